internal import ReimageCore

/// One thread of a comparison: reads its share of both disks and looks for the first byte that differs.
final class CompareWorker {
    private let plan: ComparePlan
    private let cursors: (any DiskCursor, any DiskCursor)
    private var first: AlignedBuffer
    private var second: AlignedBuffer

    /// The bytes that are read of each disk before they are compared: both fit a core's own cache, which is what the
    /// speed of a comparison hangs on.
    private static let piece = 256 << 10

    init(_ plan: ComparePlan, _ first: any BlockDevice, _ second: any BlockDevice) throws(ImageError) {
        self.plan = plan
        cursors = (try first.makeCursor(), try second.makeCursor())
        let unit = min(max(first.readUnit, second.readUnit, Self.piece), ComparePlan.largestPiece)
        self.first = AlignedBuffer(byteCount: unit)
        self.second = AlignedBuffer(byteCount: unit)
    }

    /// Works until the disks end, a difference lies before what is left, or another worker fails.
    func run(_ options: JobOptions) throws(ImageError) {
        var pair = Pair()
        while try plan.next(&pair) {
            try options.cancellation.check()
            if !pair.isZero { try compare(pair) }
            options.progress.add(pair.range.count)
        }
    }

    private func compare(_ pair: Pair) throws(ImageError) {
        let count = Int(pair.range.count)
        for start in stride(from: 0, to: count, by: first.byteCount) {
            let piece = start..<min(start + first.byteCount, count)
            try Self.load(&first, piece, of: pair.first, at: pair.range.start, from: cursors.0)
            try Self.load(&second, piece, of: pair.second, at: pair.range.start, from: cursors.1)
            let different = first.withBytes(0..<piece.count) { left in
                second.withBytes(0..<piece.count) { right in left.firstDifference(from: right) }
            }
            guard let different else { continue }
            let offset = pair.range.start + UInt64(start + different)
            plan.note(.differs(at: offset), at: offset)
            break
        }
        if plan.isStrict, let different = Self.firstAllocationDifference(pair) {
            let offset = pair.range.start + UInt64(different)
            plan.note(.allocationDiffers(at: offset), at: offset)
        }
    }

    /// Fills `buffer` with the bytes of `piece`, which like `segments` counts from `start`.
    private static func load(
        _ buffer: inout AlignedBuffer, _ piece: Range<Int>, of segments: [Segment], at start: GuestOffset,
        from cursor: any DiskCursor
    ) throws(ImageError) {
        for segment in segments where segment.range.overlaps(piece) {
            let part = segment.range.clamped(to: piece)
            let place = part.lowerBound - piece.lowerBound..<part.upperBound - piece.lowerBound
            try buffer.withMutableBytes(place) { (span) throws(ImageError) in
                if segment.kind == .data {
                    try cursor.read(into: &span, at: start + UInt64(part.lowerBound))
                } else {
                    span.zero()
                }
            }
        }
    }

    /// The first byte that one disk stores as data and the other does not.
    private static func firstAllocationDifference(_ pair: Pair) -> Int? {
        for left in pair.first {
            for right in pair.second where right.range.overlaps(left.range) {
                if left.kind.readsAsZero != right.kind.readsAsZero {
                    return max(left.range.lowerBound, right.range.lowerBound)
                }
            }
        }
        return nil
    }
}
