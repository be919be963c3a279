internal import ReimageCodecs
internal import ReimageCore

/// The disk of an archive that comes through a pipe: records in order, each held against all before it.
///
/// One caller at a time moves on; cursors decode and prove on other threads what it passed.
final class ArchiveStream: RunStream, @unchecked Sendable {
    // SAFETY: only `held`, which has a lock of its own, and constants are touched by more than the one caller.
    let name: String
    let header: FileHeader
    /// The archive's metadata, where its first record is a META that can be read.
    private(set) var metadata: Metadata?
    private let source: RecordSource
    private var replay: RecordReplay
    private let held = HeldChunks()
    private let note: @Sendable (Note) -> Void
    /// The RUN record in hand, and how many of its slots were passed.
    private var run: (record: RunRecord, passed: UInt64)?
    private var isAtEnd = false
    private var failure: ImageError?
    // What ``read(into:)`` has in hand: bytes of a unit, or zeros.
    private var unit = AlignedBuffer(byteCount: 0)
    private var unread = 0..<0
    private var zeros: UInt64 = 0
    private var offset = GuestOffset.zero
    private lazy var cursor = StreamCursor(held, chunkLog2: header.chunkLog2, name: name)

    /// Reads the file header, and the first record where it is a META.
    /// - Throws: `.damaged` where they are; `.unsupported`, by name, for what 1.0 does not have.
    init(_ stream: any ByteStream, note: @escaping @Sendable (Note) -> Void) throws(ImageError) {
        name = stream.name
        self.note = note
        source = RecordSource(stream)
        let bytes = try source.bytes(FileHeader.byteCount)
        header = try bytes.withBytes { (bytes) throws(ImageError) in try FileHeader(decoding: bytes, at: .zero) }
        replay = try RecordReplay(header)
        let first = try next()
        if case .structure(.metadata, let payload) = first { metadata = try? Metadata(decoding: payload) }
        ahead = first
    }

    /// The record that was read at the start.
    private var ahead: Next?

    /// What comes next in the archive.
    private enum Next {
        case chunk(Extent)
        case run(RunRecord)
        case structure(RecordType, [UInt8])
        case ancillary
        case end
    }

    var byteCount: UInt64? { replay.byteCount }
    var readUnit: Int { 1 << header.chunkLog2 }

    /// The digest that FOOT tells, and that every record before it gave; that chunks are what their hashes say is proved
    /// by whoever read them all.
    var provenDigest: [UInt8]? {
        guard isAtEnd, let footer = replay.footer, footer.flags.contains(.complete) else { return nil }
        return footer.digest.bytes
    }

    func makeCursor() throws(ImageError) -> any DiskCursor {
        StreamCursor(held, chunkLog2: header.chunkLog2, name: name)
    }

    func release(before offset: GuestOffset) { held.release(before: offset.value >> UInt64(header.chunkLog2)) }

    func useEarlierBytes(_ source: EarlierBytes) { held.earlier = source }

    func advance() throws(ImageError) -> Extent? {
        if let failure { throw failure }
        do throws(ImageError) {
            while !isAtEnd {
                if let extent = passRun() { return extent }
                let next = if let ahead { ahead } else { try next() }
                ahead = nil
                switch next {
                case .chunk(let extent): return extent
                case .run(let record): run = (record, 0)
                case .structure, .ancillary: break
                case .end: isAtEnd = true
                }
            }
            return nil
        } catch {
            failure = error.inFile(name)
            throw error.inFile(name)
        }
    }

    /// The next part of the RUN record in hand: all of it or, of duplicates, one slot.
    private func passRun() -> Extent? {
        guard let (record, passed) = run else { return nil }
        let geometry = replay.index.geometry
        let first = record.first + passed
        guard record.kind == .duplicate, let entry = replay.chunks[record.source + passed] else {
            run = nil
            let end = min((record.first + record.count) << UInt64(header.chunkLog2), geometry.byteCount)
            return Extent(record.kind.extent, count: end - first << UInt64(header.chunkLog2))
        }
        let chunk = HeldChunks.Held(
            source: record.source + passed, entry: entry, height: geometry.chunkHeight,
            rawByteCount: Int(geometry.byteCount(ofSlot: record.source + passed)))
        held.insert(chunk, at: first)
        run = passed + 1 == record.count ? nil : (record, passed + 1)
        return Extent(.data, count: geometry.byteCount(ofSlot: first))
    }

    /// Reads the next record, or the archive's end.
    private func next() throws(ImageError) -> Next {
        var bytes = try source.bytes(RecordHeader.byteCount)
        if replay.footer != nil {
            try bytes.withBytes { (bytes) throws(ImageError) in try replay.check(tail: bytes) }
            try source.finish()
            tellFlags()
            return .end
        }
        let length = bytes.withBytes { RecordHeader.byteCount(in: $0) }
        if let length, length > bytes.count { bytes += try source.bytes(length - bytes.count) }
        let (record, part) = try bytes.withBytes { (bytes) throws(ImageError) in try replay.take(bytes) }
        switch part {
        case .run(let run): return .run(run)
        case .ancillary:
            try source.skip(replay.position.value - source.position.value)
            return .ancillary
        case .chunk(let chunk, let entry):
            let count = Int(entry.storedByteCount)
            var buffer = AlignedBuffer(byteCount: count)
            try source.fill(&buffer, count: count)
            try buffer.withBytes { (payload) throws(ImageError) in try record.check(payload: payload) }
            try passPadding(of: record)
            held.insert(
                HeldChunks.Held(
                    source: chunk.slot, entry: entry, height: replay.index.geometry.chunkHeight,
                    rawByteCount: Int(chunk.rawByteCount), payload: HeldChunks.Payload(buffer, count: count)),
                at: chunk.slot)
            return .chunk(Extent(.data, count: UInt64(chunk.rawByteCount)))
        case .structure:
            let payload = try source.bytes(Int(record.payloadByteCount))
            try payload.withBytes { (payload) throws(ImageError) in try record.check(payload: payload) }
            try passPadding(of: record)
            try bytes.withBytes { (bytes) throws(ImageError) in
                try replay.take(payload: payload, of: record, bytes)
            }
            return .structure(record.type, record.type == .metadata ? payload : [])
        }
    }

    private func passPadding(of record: RecordHeader) throws(ImageError) {
        let padding = try source.bytes(Int(replay.position.value - source.position.value))
        guard padding.allSatisfy({ $0 == 0 }) else {
            throw .damaged("there is something between two records", at: record.place)
        }
    }

    /// Tells what FOOT says became of the archive.
    private func tellFlags() {
        guard let flags = replay.footer?.flags else { return }
        for remark in flags.remarks { note(Note(remark)) }
    }

    func read(into output: inout OutputRawSpan) throws(ImageError) {
        while output.freeCapacity > 0 {
            if zeros > 0 {
                let count = Int(min(zeros, UInt64(output.freeCapacity)))
                output.append(count: count) { $0.zero() }
                zeros -= UInt64(count)
            } else if !unread.isEmpty {
                let count = min(unread.count, output.freeCapacity)
                unit.withBytes(unread.lowerBound..<unread.lowerBound + count) { output.append(contentsOf: $0) }
                unread = unread.lowerBound + count..<unread.upperBound
            } else {
                guard let extent = try advance() else { return }
                try take(extent)
            }
        }
    }

    private func take(_ extent: Extent) throws(ImageError) {
        if extent.kind.readsAsZero {
            zeros = extent.count
        } else {
            let count = Int(extent.count)
            if unit.byteCount < count { unit = AlignedBuffer(byteCount: readUnit) }
            let (cursor, place) = (cursor, offset)
            try unit.withMutableBytes(0..<count) { (span) throws(ImageError) in try cursor.read(into: &span, at: place)
            }
            unread = 0..<count
        }
        offset += extent.count
        release(before: offset)
    }
}
