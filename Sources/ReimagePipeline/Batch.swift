internal import ReimageCore

/// One worker's share of the disk at a time: about 1 MiB of guest bytes, or a long run of zeros in one go.
struct Batch: ~Copyable {
    /// What to do with the bytes.
    enum Work: Sendable {
        /// The bytes lie in the buffer, or are to be read into it by `segments`, or are not read at all.
        case bytes
        /// A run that reads as zeros and was not read.
        case zeros(Extent.Kind)
    }

    /// The place in the order of all batches.
    var ticket: UInt64 = 0
    var range = GuestRange(start: .zero, count: 0)
    var work = Work.bytes
    /// Whether the disk ends with this batch.
    var endsDisk = false
    var segments: [Segment] = []
    /// Where the bytes lie that do not go through the buffer, which may be shorter than the batch then.
    var unread: UnreadData?
    var buffer: AlignedBuffer
    var map: GrainMap
    /// Which of the bytes the source could not give; they are zeros in the buffer.
    var lost: [LostRun] = []

    init(byteCount: Int, grainSize: Int) {
        buffer = AlignedBuffer(byteCount: byteCount)
        map = GrainMap(grainSize: grainSize, capacity: byteCount)
    }

    /// How many bytes of the buffer are in use.
    var byteCount: Int { Int(range.count) }

    /// How many bytes of the buffer the grain map covers: those in use, and the padding of the last chunk.
    var paddedByteCount: Int { map.byteCount }

    /// Makes the grain map, and reads the segments that hold data.
    ///
    /// - Parameters:
    ///   - cursor: the reader of the disk; `nil` where the bytes are in the buffer already.
    ///   - unit: the bytes are padded with zeros to a multiple of this.
    mutating func load(
        _ cursor: (any DiskCursor)?, paddedTo unit: Int, _ reading: CopyJob.Reading
    ) throws(ImageError) {
        let padding = byteCount..<(byteCount + unit - 1) / unit * unit
        map.reset(byteCount: padding.upperBound, to: .data)
        for segment in segments where segment.kind != .data { map.set(segment.kind, in: segment.range) }
        map.set(.zero, in: padding)
        lost.removeAll(keepingCapacity: true)
        guard reading != .nothing, unread == nil else { return }
        buffer.withMutableBytes(padding) { $0.zero() }
        for segment in segments {
            if segment.kind == .data {
                guard let cursor else { continue }
                let start = range.start + UInt64(segment.range.lowerBound)
                try buffer.withMutableBytes(segment.range) { (span) throws(ImageError) in
                    try cursor.read(into: &span, at: start)
                }
                noteUnreadable(cursor)
            } else {
                buffer.withMutableBytes(segment.range) { $0.zero() }
            }
        }
        if reading == .content { buffer.withBytes { map.detectZeros(in: $0) } }
    }

    /// Marks what the last read of `cursor` could not give.
    mutating func noteUnreadable(_ cursor: any DiskCursor) {
        for run in cursor.unreadable {
            let first = Int(run.range.start - range.start)
            map.set(.unreadable, in: first..<first + Int(run.range.count))
            lost.append(run)
        }
    }
}
