internal import ReimageCore

/// Which slots the CHNK and RUN records tell of that a scan found, without a LEAF record that does: where those records
/// lie, not what they say. So it grows with the leaf ranges, and with the damage, and not with the disk.
struct FoundSlots: Sendable {
    /// Records that touch each other, whose slots rise, and which start in one leaf range.
    struct Segment: Hashable, Sendable {
        var place: HostOffset
        /// Behind the last record.
        var end: HostOffset
        var first: UInt64
        /// Behind the last slot.
        var limit: UInt64
        /// What all slots are, where the segment is one RUN record that goes on past its leaf range.
        var kind: SlotKind?
    }

    /// The most segments that are kept, and how many of them may be out of order.
    static let mostSegments = (1 << 20) + (1 << 16)
    static let mostStrays = 1 << 16

    private let leafLog2: UInt64
    /// Segments whose slots rise from one to the next.
    private(set) var segments: [Segment] = []
    /// Segments that tell of slots before those of a segment that lies before them in the file.
    private(set) var strays: [Segment] = []
    /// Whether records were left out because there were too many that follow no order.
    private(set) var isFull = false

    init(leafLog2: Int) { self.leafLog2 = UInt64(leafLog2) }

    /// Behind the last slot that a segment in order tells of.
    var limit: UInt64 { segments.last?.limit ?? 0 }

    /// Adds a record at `place` that tells of `slots`; `kind` is that of a RUN record that is no duplicate.
    mutating func add(_ slots: Range<UInt64>, _ kind: SlotKind?, at place: HostOffset, end: HostOffset) {
        let range = slots.lowerBound >> leafLog2
        let isLong = kind != nil && (slots.upperBound - 1) >> leafLog2 > range
        let segment = Segment(
            place: place, end: end, first: slots.lowerBound, limit: slots.upperBound, kind: isLong ? kind : nil)
        guard slots.lowerBound >= limit else {
            guard strays.count < Self.mostStrays else { return isFull = true }
            return strays.append(segment)
        }
        if !isLong, let last = segments.last, last.kind == nil, last.end == place, last.first >> leafLog2 == range {
            segments[segments.count - 1].end = end
            segments[segments.count - 1].limit = slots.upperBound
            return
        }
        guard segments.count < Self.mostSegments else { return isFull = true }
        segments.append(segment)
    }

    /// Lets the segment in hand go on over a record that tells of no slots.
    mutating func pass(_ place: HostOffset, end: HostOffset) {
        guard let last = segments.last, last.kind == nil, last.end == place else { return }
        segments[segments.count - 1].end = end
    }

    /// Drops what was found of leaf range `range` alone, which a LEAF record tells of.
    mutating func drop(_ range: UInt64) {
        while let last = segments.last, last.first >> leafLog2 == range, (last.limit - 1) >> leafLog2 == range {
            segments.removeLast()
        }
    }

    /// The segments that tell of any of `slots`, in the order in which they count.
    func segments(of slots: Range<UInt64>) -> [Segment] {
        var (low, high) = (0, segments.count)
        while low < high {
            let middle = (low + high) / 2
            if segments[middle].limit <= slots.lowerBound { low = middle + 1 } else { high = middle }
        }
        var found: [Segment] = []
        while low < segments.count, segments[low].first < slots.upperBound {
            found.append(segments[low])
            low += 1
        }
        return found + strays.filter { $0.first < slots.upperBound && $0.limit > slots.lowerBound }
    }
}
