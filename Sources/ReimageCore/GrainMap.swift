/// The kind of every grain of one batch of guest bytes: a chunk is not of one kind.
public struct GrainMap: ~Copyable {
    /// The grain in bytes, a power of two.
    public let grainSize: Int
    /// How many bytes of the batch are in use; the last grain may be cut by it.
    public private(set) var byteCount: Int
    private var kinds: [Extent.Kind]

    /// A map of up to `capacity` bytes, empty at first.
    public init(grainSize: Int, capacity: Int) {
        self.grainSize = grainSize
        byteCount = 0
        kinds = []
        kinds.reserveCapacity((capacity + grainSize - 1) / grainSize)
    }

    /// Starts a batch of `byteCount` bytes, every grain of it `kind`.
    public mutating func reset(byteCount: Int, to kind: Extent.Kind) {
        self.byteCount = byteCount
        kinds.removeAll(keepingCapacity: true)
        kinds.append(contentsOf: repeatElement(kind, count: (byteCount + grainSize - 1) / grainSize))
    }

    /// Sets the kind of every grain that lies wholly in `range` of the batch.
    public mutating func set(_ kind: Extent.Kind, in range: Range<Int>) {
        let first = (range.lowerBound + grainSize - 1) / grainSize
        let end = range.upperBound == byteCount ? kinds.count : range.upperBound / grainSize
        guard first < end else { return }
        for grain in first..<end { kinds[grain] = kind }
    }

    /// Marks as `zero` every `data` grain whose bytes are zeros.
    ///
    /// - Parameter bytes: the batch, at least ``byteCount`` bytes.
    public mutating func detectZeros(in bytes: RawSpan) {
        for grain in kinds.indices where kinds[grain] == .data {
            let start = grain * grainSize
            if bytes.extracting(start..<min(start + grainSize, byteCount)).isZero { kinds[grain] = .zero }
        }
    }

    /// Whether any grain in `range` of the batch, which starts on a grain, holds data.
    public borrowing func hasData(in range: Range<Int>) -> Bool {
        let end = (range.upperBound + grainSize - 1) / grainSize
        return kinds[range.lowerBound / grainSize..<end].contains(.data)
    }

    /// Calls `replace` with the kind and bytes of every grain in use, and takes what it gives for the grain's kind.
    public mutating func replaceEach(_ replace: (Extent.Kind, Range<Int>) -> Extent.Kind) {
        for grain in kinds.indices {
            let start = grain * grainSize
            kinds[grain] = replace(kinds[grain], start..<min(start + grainSize, byteCount))
        }
    }

    /// Calls `body` for each run of grains of one kind in `range` of the batch, which starts on a grain.
    public borrowing func forEachRun(
        in range: Range<Int>, _ body: (Extent.Kind, Range<Int>) throws(ImageError) -> Void
    ) throws(ImageError) {
        var start = range.lowerBound
        while start < range.upperBound {
            var grain = start / grainSize
            let kind = kinds[grain]
            repeat { grain += 1 } while grain * grainSize < range.upperBound && kinds[grain] == kind
            let end = min(grain * grainSize, range.upperBound)
            try body(kind, start..<end)
            start = end
        }
    }
}
