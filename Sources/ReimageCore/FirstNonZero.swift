extension BlockDevice {
    /// The first place from `start` on, as near as 4096 bytes, behind which not all reads as zeros; `nil` where all does
    /// up to `end`, by default the disk's. What is zeros by the disk's own word is not read.
    /// - Throws: what reading throws; `.cancelled`.
    public func firstNonZero(
        from start: GuestOffset, to end: GuestOffset? = nil, _ cancellation: Cancellation = Cancellation()
    ) throws(ImageError) -> GuestOffset? {
        let unit = 4096
        let last = min(end?.value ?? byteCount, byteCount)
        let cursor = try makeCursor()
        var piece = AlignedBuffer(byteCount: 256 << 10)
        var position = start
        while position.value < last {
            try cancellation.check()
            let run = try extent(at: position, limit: last - position.value)
            let end = position + run.count
            while run.kind == .data, position < end {
                let count = Int(min(UInt64(piece.byteCount), end - position))
                try piece.withMutableBytes(0..<count) { (bytes) throws(ImageError) in
                    try cursor.read(into: &bytes, at: position)
                }
                for first in stride(from: 0, to: count, by: unit) {
                    let range = first..<min(first + unit, count)
                    if !piece.withBytes(range, { $0.isZero }) { return position + UInt64(first) }
                }
                position += UInt64(count)
            }
            position = end
        }
        return nil
    }
}
