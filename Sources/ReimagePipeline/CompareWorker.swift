internal import ReimageCore

/// One thread of a comparison: reads its share of both disks and looks for the first byte that differs.
final class CompareWorker {
    private let plan: ComparePlan
    private let cursors: (any DiskCursor, any DiskCursor)
    private var first = AlignedBuffer(byteCount: ComparePlan.size)
    private var second = AlignedBuffer(byteCount: ComparePlan.size)

    init(_ plan: ComparePlan, _ first: any BlockDevice, _ second: any BlockDevice) throws(ImageError) {
        self.plan = plan
        cursors = (try first.makeCursor(), try second.makeCursor())
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
        try Self.load(&first, pair.first, at: pair.range.start, from: cursors.0)
        try Self.load(&second, pair.second, at: pair.range.start, from: cursors.1)
        let different = first.withBytes(0..<count) { left in
            second.withBytes(0..<count) { right in left.firstDifference(from: right) }
        }
        if let different {
            let offset = pair.range.start + UInt64(different)
            plan.note(.differs(at: offset), at: offset)
        }
        if plan.isStrict, let different = Self.firstAllocationDifference(pair) {
            let offset = pair.range.start + UInt64(different)
            plan.note(.allocationDiffers(at: offset), at: offset)
        }
    }

    private static func load(
        _ buffer: inout AlignedBuffer, _ segments: [Segment], at start: GuestOffset, from cursor: any DiskCursor
    ) throws(ImageError) {
        for segment in segments {
            try buffer.withMutableBytes(segment.range) { (span) throws(ImageError) in
                if segment.kind == .data {
                    try cursor.read(into: &span, at: start + UInt64(segment.range.lowerBound))
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

extension RawSpan {
    /// The first byte that differs from `other`, which is as long; `nil` where all are equal.
    package func firstDifference(from other: RawSpan) -> Int? {
        let count = byteCount
        // SAFETY: every load lies inside both borrowed spans, which are `count` bytes long.
        return unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                typealias Block = SIMD8<UInt64>
                var offset = 0
                while offset <= count - MemoryLayout<Block>.size {
                    let first = unsafe left.loadUnaligned(fromByteOffset: offset, as: Block.self)
                    let second = unsafe right.loadUnaligned(fromByteOffset: offset, as: Block.self)
                    if first != second { break }
                    offset += MemoryLayout<Block>.size
                }
                while offset < count {
                    if unsafe left[offset] != right[offset] { return offset }
                    offset += 1
                }
                return nil
            }
        }
    }
}
