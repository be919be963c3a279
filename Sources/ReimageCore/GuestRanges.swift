/// Parts of a disk, merged where they touch and in ascending order; bounded, so that a hostile image cannot fill memory.
public struct GuestRanges: Sendable, Hashable {
    /// How many ranges are kept; what would be one more is only counted.
    public static let mostKept = 1 << 20

    /// The ranges, ascending, none touching another.
    public private(set) var ranges: [GuestRange] = []
    /// How many ranges were left out.
    public private(set) var leftOut: UInt64 = 0

    public init() {}

    /// The bytes of `ranges`, which may come in any order and overlap.
    public init(_ ranges: [GuestRange]) { for range in ranges { add(range) } }

    /// Whether there is none.
    public var isEmpty: Bool { ranges.isEmpty }

    /// How many bytes the ranges have.
    public var byteCount: UInt64 { ranges.reduce(0) { $0 + $1.count } }

    /// Adds a range; what is known of it already counts once.
    public mutating func add(_ range: GuestRange) {
        guard !range.isEmpty else { return }
        // Most often behind all others.
        if let last = ranges.last, last.end >= range.start {
            insert(range)
        } else {
            append(range, at: ranges.count)
        }
    }

    /// Adds all ranges of `other`.
    public mutating func add(_ other: GuestRanges) {
        for range in other.ranges { add(range) }
        leftOut += other.leftOut
    }

    private mutating func insert(_ range: GuestRange) {
        var (low, high) = (0, ranges.count)
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].end < range.start { low = middle + 1 } else { high = middle }
        }
        var end = low
        while end < ranges.count, ranges[end].start <= range.end { end += 1 }
        guard low < end else { return append(range, at: low) }
        let start = min(ranges[low].start, range.start)
        let limit = max(ranges[end - 1].end, range.end)
        ranges.replaceSubrange(low..<end, with: CollectionOfOne(GuestRange(from: start, to: limit)))
    }

    private mutating func append(_ range: GuestRange, at index: Int) {
        guard ranges.count < Self.mostKept else { return leftOut += 1 }
        ranges.insert(range, at: index)
    }
}
