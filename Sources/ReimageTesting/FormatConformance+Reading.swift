public import ReimageCore
internal import Synchronization

extension FormatConformance {
    /// Extents tile the disk, keep every limit, name stored bytes that are there, and tell the truth about zeros.
    public func checkExtents(of disk: any BlockDevice, _ sample: Sample) throws {
        let count = UInt64(sample.guest.count)
        try check(disk.byteCount == count, "the disk has \(disk.byteCount) bytes instead of \(count)", sample)
        let sector = disk.sectorSize
        try check(sector >= 512 && sector & (sector - 1) == 0, "a sector has \(sector) bytes", sample)
        for layers in [Layers.flattened, .top] {
            for detail in [ExtentDetail.tables, .storage] {
                for limit in [511, 4096, UInt64.max] {
                    var offset: UInt64 = 0
                    // Small limits on a large disk would only ask the same again.
                    let end = limit == .max ? count : min(count, limit * 4096)
                    while offset < end {
                        offset += try checkExtent(disk, at: offset, limit: limit, layers, detail, sample).count
                    }
                }
                var random = SeededGenerator(seed: seed)
                for _ in 0..<min(500, count) {
                    let offset = UInt64.random(in: 0..<count, using: &random)
                    _ = try checkExtent(disk, at: offset, limit: 1, layers, detail, sample)
                }
                for back: UInt64 in [1, 2, 511, 512, 513] where back <= count {
                    _ = try checkExtent(disk, at: count - back, limit: .max, layers, detail, sample)
                }
            }
        }
    }

    private func checkExtent(
        _ disk: any BlockDevice, at offset: UInt64, limit: UInt64, _ layers: Layers, _ detail: ExtentDetail,
        _ sample: Sample
    ) throws -> Extent {
        let run = try disk.extent(at: GuestOffset(offset), limit: limit, layers: layers, detail: detail)
        let place = "the extent at \(offset) (limit \(limit), \(layers), \(detail))"
        let room = min(limit, disk.byteCount - offset)
        try check(run.count >= 1 && run.count <= room, "\(place) has \(run.count) bytes, 1 to \(room) allowed", sample)
        let range = Int(offset)..<Int(offset + run.count)
        // Of the top layer alone, a hole says nothing of what is below.
        if run.kind.readsAsZero, !(layers == .top && run.kind == .hole) {
            let isZero = sample.guest[range].isZero
            try check(isZero, "\(place) says \(run.kind), but there is data", sample)
        }
        if let stored = run.stored, stored.codec == nil {
            try check(run.kind == .data, "\(place) says \(run.kind), and names stored bytes", sample)
            try check(stored.count == run.count, "\(place) names \(stored.count) bytes for \(run.count)", sample)
            guard let store = disk.stores.first(where: { $0.id == stored.store }) else {
                throw failure("\(place) names a store that is not among the disk's", sample)
            }
            let piece = Int(min(run.count, 1 << 16))
            let bytes = try store.bytes(at: stored.offset, count: piece)
            try compare(bytes, sample.guest[range.prefix(piece)], "the stored bytes of \(place)", sample)
        }
        return run
    }

    /// A cursor gives the right bytes whatever is asked for, and fills all of its buffer.
    public func checkReads(of disk: any BlockDevice, _ sample: Sample) throws {
        let count = sample.guest.count
        try compare(
            try DiskContent.random(disk).allBytes(piece: 100_003), sample.guest[...], "reading front to back", sample)
        let cursor = try disk.makeCursor()
        for range in Self.ranges(of: count, number: 300, seed: seed) {
            let bytes = try cursor.bytes(at: GuestOffset(UInt64(range.lowerBound)), count: range.count)
            try compare(bytes, sample.guest[range], "reading \(range.count) bytes at \(range.lowerBound)", sample)
        }
    }

    /// Ranges inside `count` bytes: odd ones, aligned ones, and the disk's very ends.
    private static func ranges(of count: Int, number: Int, seed: UInt64) -> [Range<Int>] {
        guard count > 0 else { return [] }
        var random = SeededGenerator(seed: seed)
        var ranges = [1, 2, 511, 512, 513, 4095, 4096, 4097, 65536].flatMap { size in
            [0..<min(size, count), max(0, count - size)..<count]
        }
        for _ in 0..<number {
            let start = Int.random(in: 0..<count, using: &random)
            // Lengths of every magnitude, not mostly large ones.
            let longest = 1 << Int.random(in: 0...18, using: &random)
            ranges.append(start..<min(count, start + Int.random(in: 1...longest, using: &random)))
        }
        return ranges
    }

    /// Four threads with a cursor each read the same bytes.
    public func checkThreads(on disk: any BlockDevice, _ sample: Sample) throws {
        let failures = Mutex<[Failure]>([])
        let suite = self
        let ran = runOnThreads(4) { number in
            do {
                let cursor = try disk.makeCursor()
                for range in Self.ranges(of: sample.guest.count, number: 150, seed: suite.seed + UInt64(number)) {
                    let bytes = try cursor.bytes(at: GuestOffset(UInt64(range.lowerBound)), count: range.count)
                    try suite.compare(bytes, sample.guest[range], "reading \(range) beside other threads", sample)
                }
            } catch {
                let failure = error as? Failure ?? suite.failure("reading beside other threads: \(error)", sample)
                failures.withLock { $0.append(failure) }
            }
        }
        if let failure = failures.withLock({ $0.first }) { throw failure }
        try check(ran, "the machine gave no four threads", sample)
    }

    /// A stream gives the same bytes in pieces of any size, and says its length rightly where it does.
    public func checkStream(_ sample: Sample) throws {
        for piece in [1, 511, 4096, 100_003] where sample.guest.count / piece < 100_000 {
            guard case .stream(let stream) = try content(of: sample) else {
                throw failure("the image opens once as a stream, and once not", sample)
            }
            if let count = stream.byteCount {
                try check(count == sample.guest.count, "the stream says it has \(count) bytes", sample)
            }
            try compare(try stream.allBytes(piece: piece), sample.guest[...], "reading pieces of \(piece)", sample)
        }
    }
}
