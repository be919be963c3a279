internal import ReimageCodecs
internal import ReimageCore

/// One thread's reader of a qcow2 disk.
///
/// It holds the table pages used last, a window of compressed bytes (1 MiB, or what one cluster asks for), one decoded
/// cluster, and a decoder; each is made when it is first needed.
final class QCOW2Cursor: DiskCursor {
    /// The most compressed bytes fetched by one read, where a single cluster does not need more.
    private static let mostFetched: UInt64 = 1 << 20

    private enum Decoder {
        case deflate(DeflateDecoder)
        case zstd(ZstdDecoder)
    }

    private let disk: QCOW2Disk
    private var lookup = TableLookup()
    private let below: DiskBelow.Cursor
    private var decoder: Decoder?

    /// Compressed bytes as they lie in the file.
    private var fetched = AlignedBuffer(byteCount: 0)
    private var fetchedStart: UInt64 = 0
    private var fetchedCount: UInt64 = 0

    /// The cluster decoded last, by its guest offset.
    private var cluster = AlignedBuffer(byteCount: 0)
    private var clusterStart: UInt64?

    init(_ disk: QCOW2Disk) {
        self.disk = disk
        below = disk.below.makeCursor()
    }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        do {
            var done = 0
            while done < buffer.byteCount {
                let place = offset + UInt64(done)
                let limit = UInt64(buffer.byteCount - done)
                let run = try disk.mapping.run(at: place, limit: limit, &lookup)
                let range = done..<done + Int(min(run.count, limit))
                switch run.kind {
                case .zero: buffer.zero(range)
                case .unallocated:
                    try buffer.withSlice(range) { (slice) throws(ImageError) in
                        try below.read(into: &slice, at: place)
                    }
                case .data:
                    try buffer.withSlice(range) { (slice) throws(ImageError) in
                        try disk.data.read(into: &slice, at: HostOffset(run.host))
                    }
                case .compressed: try readCompressed(run, into: &buffer, range, at: place)
                }
                done = range.upperBound
            }
        } catch {
            throw error.inFile(disk.store.name)
        }
    }

    func readStored(
        into buffer: inout MutableRawSpan, at offset: GuestOffset, stored: inout OutputRawSpan
    ) throws(ImageError) -> StoredForm? {
        let size = disk.geometry.clusterSize
        guard offset.value % size == 0, UInt64(buffer.byteCount) == size else {
            try read(into: &buffer, at: offset)
            return nil
        }
        do {
            // The clusters that follow are looked up too, so that one read fetches many.
            let run = try disk.mapping.run(at: offset, limit: Self.mostFetched, &lookup)
            guard run.kind == .compressed else {
                try read(into: &buffer, at: offset)
                return nil
            }
            var form: StoredForm?
            try fetch(offset, until: run.host + run.hostCount) { (source) throws(ImageError) in
                let count = try decode(source, into: &buffer)
                guard let count, count <= stored.freeCapacity else { return }
                stored.append(contentsOf: source.extracting(0..<count))
                form = StoredForm(codec: disk.compression.codec)
            }
            return form
        } catch {
            throw error.inFile(disk.store.name)
        }
    }
}

// Compressed clusters.
extension QCOW2Cursor {
    /// Fills `range` of `buffer` from the clusters of `run`, which touch in the file.
    private func readCompressed(
        _ run: Run, into buffer: inout MutableRawSpan, _ range: Range<Int>, at offset: GuestOffset
    ) throws(ImageError) {
        let size = disk.geometry.clusterSize
        var position = range.lowerBound
        while position < range.upperBound {
            let place = offset + UInt64(position - range.lowerBound)
            let within = place.value & (size - 1)
            let start = GuestOffset(place.value - within)
            let count = Int(min(size - within, UInt64(range.upperBound - position)))
            if within == 0, UInt64(count) == size {
                try fetch(start, until: run.host + run.hostCount) { (source) throws(ImageError) in
                    try buffer.withSlice(position..<position + count) { (slice) throws(ImageError) in
                        _ = try decode(source, into: &slice)
                    }
                }
            } else {
                try decodeCluster(start, until: run.host + run.hostCount)
                cluster.withBytes(Int(within)..<Int(within) + count) { buffer.copy(from: $0, at: position) }
            }
            position += count
        }
    }

    /// Makes the cluster at `start` the one decoded last.
    private func decodeCluster(_ start: GuestOffset, until end: UInt64) throws(ImageError) {
        guard clusterStart != start.value else { return }
        clusterStart = nil
        if cluster.byteCount == 0 { cluster = AlignedBuffer(byteCount: Int(disk.geometry.clusterSize)) }
        try fetch(start, until: end) { (source) throws(ImageError) in
            try cluster.withMutableBytes { (target) throws(ImageError) in _ = try decode(source, into: &target) }
        }
        clusterStart = start.value
    }

    /// Lends the stored bytes of the compressed cluster at `start`; fetches on towards `end`, where the clusters after
    /// it lie, so that one read serves many.
    private func fetch(
        _ start: GuestOffset, until end: UInt64, _ body: (RawSpan) throws(ImageError) -> Void
    ) throws(ImageError) {
        let one = try disk.mapping.run(at: start, limit: 1, &lookup)
        guard one.kind == .compressed else { throw .damaged("the tables changed while they were read") }
        if one.host < fetchedStart || one.host + one.hostCount > fetchedStart + fetchedCount {
            let count = max(one.hostCount, min(max(end, one.host) - one.host, Self.mostFetched))
            fetchedCount = 0
            if UInt64(fetched.byteCount) < count {
                // Grown to the full window at once, or just enough for a disk that is read in small pieces.
                fetched = AlignedBuffer(byteCount: Int(count > 64 << 10 ? max(count, Self.mostFetched) : 64 << 10))
            }
            try fetched.withMutableBytes(0..<Int(count)) { (window) throws(ImageError) in
                try disk.store.read(into: &window, at: HostOffset(one.host))
            }
            fetchedStart = one.host
            fetchedCount = count
        }
        let first = Int(one.host - fetchedStart)
        do {
            try fetched.withBytes(first..<first + Int(one.hostCount), body)
        } catch {
            // The decoder knows only bytes: the disk's place and the file's go into one message.
            throw ImageError(
                error.code, "the compressed cluster of guest offset \(start): \(error.message)",
                at: .host(HostOffset(one.host)), advice: error.advice)
        }
    }

    /// - Returns: how many bytes of `source` are the cluster's; `nil` where that cannot be told, or they are more than one
    ///   whole stream.
    private func decode(_ source: RawSpan, into target: inout MutableRawSpan) throws(ImageError) -> Int? {
        switch try readyDecoder() {
        case .deflate(let decoder): try decoder.decodeMeasured(source, into: &target)
        case .zstd(let decoder): try decoder.decodeMeasured(source, into: &target)
        }
    }

    private func readyDecoder() throws(ImageError) -> Decoder {
        if let decoder { return decoder }
        let made: Decoder =
            switch disk.compression {
            case .zlib: .deflate(try DeflateDecoder())
            case .zstd: .zstd(try ZstdDecoder(windowLogMax: disk.windowLogMax))
            }
        decoder = made
        return made
    }
}
