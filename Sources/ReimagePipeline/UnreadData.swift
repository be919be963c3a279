internal import ReimageCore

/// The bytes of a batch that nobody read: they stay in the source's files until they are shared or copied.
struct UnreadData: Sendable {
    /// Data that lies in one piece in a file.
    struct Piece: Sendable {
        /// The bytes of the batch.
        var range: Range<Int>
        /// Where they start in the file.
        let place: HostOffset
        let origin: BlockSharing.Origin
    }

    /// The most bytes that are copied by one read, where they cannot be shared.
    private static let mostCopied = 1 << 20

    /// The data, in order; what lies between reads as zeros.
    var pieces: [Piece] = []
    /// How zeros between the data are put into the target.
    let zeros: ZeroMode

    init(zeros: ZeroMode) { self.zeros = zeros }

    /// Adds a piece, or makes the last one longer where it goes on in the file.
    mutating func append(_ piece: Piece) {
        guard let last = pieces.last, last.range.upperBound == piece.range.lowerBound,
            last.origin.store.id == piece.origin.store.id, last.place + UInt64(last.range.count) == piece.place
        else { return pieces.append(piece) }
        pieces[pieces.count - 1].range = last.range.lowerBound..<piece.range.upperBound
    }

    /// Puts the bytes of `range` of the batch into `sink` at `offset`.
    func write(_ range: Range<Int>, to sink: any ByteSink, at offset: HostOffset) throws(ImageError) {
        var position = range.lowerBound
        func zero(until end: Int) throws(ImageError) {
            guard position < end else { return }
            let start = offset + UInt64(position - range.lowerBound)
            try sink.zero(HostRange(start: start, count: UInt64(end - position)), mode: zeros)
        }
        for piece in pieces[firstPiece(endingBehind: range.lowerBound)...] {
            let part = piece.range.clamped(to: range)
            guard !part.isEmpty else { break }
            try zero(until: part.lowerBound)
            try put(
                HostRange(
                    start: piece.place + UInt64(part.lowerBound - piece.range.lowerBound), count: UInt64(part.count)),
                of: piece.origin, into: sink, at: offset + UInt64(part.lowerBound - range.lowerBound))
            position = part.upperBound
        }
        try zero(until: range.upperBound)
    }

    private func firstPiece(endingBehind start: Int) -> Int {
        var (low, high) = (0, pieces.count)
        while low < high {
            let middle = (low + high) / 2
            if pieces[middle].range.upperBound <= start { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Shares the whole units of `range`, and copies the rest; all of it where that cannot be.
    private func put(
        _ range: HostRange, of origin: BlockSharing.Origin, into sink: any ByteSink, at offset: HostOffset
    ) throws(ImageError) {
        let shift = (origin.unit - range.start.value % origin.unit) % origin.unit
        let whole = range.count > shift ? (range.count - shift).roundedDown(to: origin.unit) : 0
        let body = HostRange(start: range.start + min(shift, range.count), count: whole)
        let isCongruent = (range.start.value ^ offset.value) & (origin.unit - 1) == 0
        guard isCongruent, whole > 0, sink.shareBlocks(of: origin.blocks, body, at: offset + shift) else {
            return try copy(range, of: origin.store, into: sink, at: offset)
        }
        try copy(HostRange(from: range.start, to: body.start), of: origin.store, into: sink, at: offset)
        try copy(
            HostRange(from: body.end, to: range.end), of: origin.store, into: sink,
            at: offset + (body.end - range.start))
    }

    private func copy(
        _ range: HostRange, of store: any ByteStore, into sink: any ByteSink, at offset: HostOffset
    ) throws(ImageError) {
        guard !range.isEmpty else { return }
        var buffer = AlignedBuffer(byteCount: Int(min(range.count, UInt64(Self.mostCopied))))
        var position = range.start
        while position < range.end {
            let count = Int(min(range.end - position, UInt64(buffer.byteCount)))
            try buffer.withMutableBytes(0..<count) { (span) throws(ImageError) in
                try store.read(into: &span, at: position)
            }
            try buffer.withBytes(0..<count) { (span) throws(ImageError) in
                try sink.write(span, at: offset + (position - range.start))
            }
            position += UInt64(count)
        }
    }
}
