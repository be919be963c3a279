internal import ReimageCore

/// One worker's view of the disk below the target: what reads as it does there need not be stored.
struct BaseComparison: ~Copyable {
    private let disk: any BlockDevice
    private let cursor: any DiskCursor
    private let chunkSize: UInt64
    private var buffer: AlignedBuffer

    init(_ disk: any BlockDevice, batchSize: Int, chunkSize: Int) throws(ImageError) {
        self.disk = disk
        cursor = try disk.makeCursor()
        self.chunkSize = UInt64(chunkSize)
        buffer = AlignedBuffer(byteCount: batchSize)
    }

    /// Marks the grains of `batch` that read as in the base as holes, and those that read as zeros while the base does
    /// not as zeros. Behind the base's end all reads as zeros.
    mutating func mark(_ batch: inout Batch) throws(ImageError) {
        let count = batch.paddedByteCount
        let present = Int(min(UInt64(count), disk.byteCount - min(disk.byteCount, batch.range.start.value)))
        try buffer.withMutableBytes(0..<count) { (span) throws(ImageError) in
            if present > 0 {
                try span.withSlice(0..<present) { (part) throws(ImageError) in
                    try cursor.read(into: &part, at: batch.range.start)
                }
            }
            span.zero(present..<count)
        }
        batch.compare(with: buffer)
    }

    /// The parts of a run of zeros: holes where the base reads as zeros by its own word, zeros elsewhere.
    func runs(ofZeros range: GuestRange, _ kind: Extent.Kind) throws(ImageError) -> [(Extent.Kind, GuestRange)] {
        var runs: [(kind: Extent.Kind, range: GuestRange)] = []
        var position = range.start
        while position < range.end {
            var end = range.end
            var isHole = position.value >= disk.byteCount
            if !isHole {
                let extent = try disk.extent(
                    at: position, limit: min(range.end - position, disk.byteCount - position.value))
                isHole = extent.kind.readsAsZero
                end = extent.count + position.value == disk.byteCount && isHole ? range.end : position + extent.count
            }
            end = aligned(end, position, range.end, isHole: &isHole)
            let next: Extent.Kind = isHole ? .hole : kind == .hole ? .zero : kind
            if let last = runs.last, last.kind == next {
                runs[runs.count - 1].range = GuestRange(from: last.range.start, to: end)
            } else {
                runs.append((next, GuestRange(from: position, to: end)))
            }
            position = end
        }
        return runs
    }

    /// The end of a run that starts on a chunk, moved to one: holes shrink, zeros grow, and a hole too small for a
    /// chunk becomes one of zeros.
    private func aligned(
        _ end: GuestOffset, _ start: GuestOffset, _ most: GuestOffset, isHole: inout Bool
    ) -> GuestOffset {
        guard end < most else { return most }
        if isHole {
            let down = GuestOffset(end.value.roundedDown(to: chunkSize))
            if down > start { return down }
            isHole = false
        }
        return min(GuestOffset(end.value.roundedUp(to: chunkSize) ?? most.value), most)
    }
}

extension Batch {
    /// See ``BaseComparison/mark(_:)``; `base` holds the base's bytes of this batch.
    fileprivate mutating func compare(with base: borrowing AlignedBuffer) {
        base.withBytes { below in
            buffer.withBytes { bytes in
                map.replaceEach { kind, range in
                    let mine = bytes.extracting(range)
                    if mine.firstDifference(from: below.extracting(range)) == nil { return .hole }
                    return kind == .hole ? .zero : kind
                }
            }
        }
    }
}
