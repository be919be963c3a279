internal import ReimageCodecs
internal import ReimageCore

/// Where a reader of chunks looks them up. Safe from any thread.
protocol ChunkSource: AnyObject, Sendable {
    var store: any ByteStore { get }
    var rules: RecordRules { get }

    /// What slot `slot` is: a stored chunk, or `nil` for one that reads as zeros.
    func chunk(of slot: UInt64) throws(ImageError) -> IndexEntry?
}

/// One thread's reader of an archive's disk.
///
/// It holds one stored and one decoded chunk, and the decoders in use. Every chunk is proved by its hash before any of
/// its bytes are given out.
final class ArchiveCursor: DiskCursor {
    private let disk: any ChunkSource
    private let decoder: ChunkDecoder
    private var record = AlignedBuffer(byteCount: 0)
    private var chunk = AlignedBuffer(byteCount: 0)
    /// The slot whose decoded chunk lies in `chunk`, and how many bytes it has.
    private var held: (slot: UInt64, byteCount: Int)?
    /// The slot whose record lies in `record` and was proved, and how many bytes its chunk has.
    private var fetched: (slot: UInt64, byteCount: Int)?

    init(_ disk: any ChunkSource) {
        self.disk = disk
        decoder = ChunkDecoder(chunkLog2: disk.rules.geometry.chunkLog2)
    }

    private var geometry: Geometry { disk.rules.geometry }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        do {
            var done = 0
            while done < buffer.byteCount {
                let place = offset.value + UInt64(done)
                let slot = place >> UInt64(geometry.chunkLog2)
                let within = Int(place & (geometry.chunkSize - 1))
                let count = min(Int(geometry.byteCount(ofSlot: slot)) - within, buffer.byteCount - done)
                try read(slot, from: within, into: &buffer, done..<done + count)
                done += count
            }
        } catch {
            throw error.suggestingPartial.inFile(disk.store.name)
        }
    }

    func readStored(
        into buffer: inout MutableRawSpan, at offset: GuestOffset, stored: inout OutputRawSpan
    ) throws(ImageError) -> StoredForm? {
        try read(into: &buffer, at: offset)
        let slot = offset.value >> UInt64(geometry.chunkLog2)
        guard offset.value % geometry.chunkSize == 0, let fetched, fetched.slot == slot,
            fetched.byteCount == buffer.byteCount,
            let entry = try disk.chunk(of: slot)
        else { return nil }
        let method = try ChunkMethod(codec: entry.codec, filter: entry.filter, at: entry.place)
        if method.codec != .store {
            guard Int(entry.storedByteCount) <= stored.freeCapacity else { return nil }
            record.withBytes(ChunkRecord.headerByteCount..<entry.recordByteCount) { stored.append(contentsOf: $0) }
        }
        // The record was proved by this hash.
        return StoredForm(codec: method.name, node: entry.hash.bytes)
    }

    /// Fills `range` of `buffer` with the bytes of `slot` from byte `start` on.
    private func read(
        _ slot: UInt64, from start: Int, into buffer: inout MutableRawSpan, _ range: Range<Int>
    ) throws(ImageError) {
        guard let entry = try disk.chunk(of: slot) else { return buffer.zero(range) }
        if held?.slot != slot {
            if try load(entry, for: slot, whole: start == 0 ? range : nil, of: &buffer) { return }
        }
        guard let held else { return buffer.zero(range) }
        // A duplicate's chunk may be that of a shorter slot, and goes on with zeros.
        let filled = min(max(held.byteCount - start, 0), range.count)
        chunk.withBytes(min(start, held.byteCount)..<min(start, held.byteCount) + filled) { bytes in
            buffer.copy(from: bytes, at: range.lowerBound)
        }
        buffer.zero(range.lowerBound + filled..<range.upperBound)
    }

    /// Decodes the chunk of `entry`, and proves it.
    ///
    /// - Parameter whole: where in `buffer` the chunk's bytes are wanted, if they may all be wanted there.
    /// - Returns: whether they were put there; else the chunk is the one held now.
    private func load(
        _ entry: IndexEntry, for slot: UInt64, whole: Range<Int>?, of buffer: inout MutableRawSpan
    ) throws(ImageError) -> Bool {
        do {
            let method = try ChunkMethod(codec: entry.codec, filter: entry.filter, at: entry.place)
            fetched = nil
            try fetch(entry)
            let lengths = try rawByteCounts(of: entry, for: slot)
            return try decode(entry, method, lengths, for: slot, whole: whole, of: &buffer)
        } catch {
            // A decoder knows only bytes: the disk's place and the file's go into one message.
            let start = slot << UInt64(geometry.chunkLog2)
            throw ImageError(
                error.code,
                "the chunk of disk bytes \(start) to \(start + geometry.byteCount(ofSlot: slot)): \(error.message)",
                at: .host(entry.place), advice: error.advice)
        }
    }

    /// Decodes the fetched chunk, which has one of `lengths`.
    private func decode(
        _ entry: IndexEntry, _ method: ChunkMethod, _ lengths: [Int], for slot: UInt64, whole: Range<Int>?,
        of buffer: inout MutableRawSpan
    ) throws(ImageError) -> Bool {
        var failure: ImageError?
        for count in lengths {
            do {
                let fits = lengths.count == 1 && whole?.count == count
                if fits, let whole {
                    try buffer.withSlice(whole) { (target) throws(ImageError) in try decode(entry, method, &target) }
                } else {
                    held = nil
                    if chunk.byteCount == 0 { chunk = AlignedBuffer(byteCount: Int(geometry.chunkSize)) }
                    try chunk.withMutableBytes(0..<count) { (target) throws(ImageError) in
                        try decode(entry, method, &target)
                    }
                    held = (slot, count)
                }
                fetched = (slot, count)
                return fits
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        return false
    }

    /// Reads the record of `entry`, header and payload at once; the entry was bounded by the archive's length.
    private func fetch(_ entry: IndexEntry) throws(ImageError) {
        let count = entry.recordByteCount
        // Grown by doubling, and at the most to what a whole chunk takes.
        if record.byteCount < count {
            let most = ChunkRecord.headerByteCount + Int(geometry.chunkSize)
            record = AlignedBuffer(byteCount: min(max(count, record.byteCount * 2, 64 << 10), most))
        }
        try record.withMutableBytes(0..<count) { (bytes) throws(ImageError) in
            try disk.store.read(into: &bytes, at: entry.place)
        }
    }

    /// How long the fetched chunk may be: as its own header says or, where that is damaged, as slots are.
    private func rawByteCounts(of entry: IndexEntry, for slot: UInt64) throws(ImageError) -> [Int] {
        let rules = disk.rules
        return try record.withBytes(0..<entry.recordByteCount) { (bytes) throws(ImageError) in
            guard let header = try? RecordHeader(decoding: bytes, at: entry.place, tag: rules.tag) else {
                let last = Int(geometry.byteCount(ofSlot: geometry.slots - 1))
                return Int(geometry.chunkSize) == last ? [last] : [Int(geometry.chunkSize), last]
            }
            let record = try ChunkRecord(decoding: bytes, of: header, rules)
            guard header.payloadByteCount == UInt64(entry.storedByteCount), record.codec == entry.codec,
                record.filter == entry.filter, record.hash == entry.hash, record.slot <= slot
            else {
                throw .damaged("a CHNK record is not the one that its LEAF record means", at: entry.place)
            }
            try header.check(payload: bytes.extracting(ChunkRecord.headerByteCount..<bytes.byteCount))
            return [Int(record.rawByteCount)]
        }
    }

    /// Fills `target`, which has the chunk's length, from the fetched record.
    private func decode(
        _ entry: IndexEntry, _ method: ChunkMethod, _ target: inout MutableRawSpan
    ) throws(ImageError) {
        try record.withBytes(ChunkRecord.headerByteCount..<entry.recordByteCount) { (payload) throws(ImageError) in
            try decoder.decode(payload, method, into: &target)
        }
        guard geometry.node(ofChunk: target.bytes) == entry.hash else {
            throw .damaged("the stored bytes are not those that its hash stands for")
        }
    }
}
