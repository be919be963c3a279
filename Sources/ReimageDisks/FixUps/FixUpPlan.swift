public import ReimageCore

/// One thing that is changed in the image on its way to a target.
public struct FixUp: Sendable, Hashable {
    /// What kind of change it is; the raw values stand in JSON.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case repairedPrimary = "primary-gpt-repaired"
        case repairedBackup = "backup-gpt-repaired"
        case movedBackup = "backup-gpt-moved"
        case erasedStale = "stale-gpt-erased"
        case usableRange = "usable-range"
        case protectiveMBR = "protective-mbr"
        case sectorSize = "sector-size"
        case diskID = "disk-id"
        case partitionID = "partition-id"
        case grownPartition = "partition-grown"
        case wipedEnd = "end-wiped"
    }

    public var kind: Kind
    /// What is done, as a sentence without a full stop.
    public var message: String
    /// The partition it is done to.
    public var partition: Int?

    public init(_ kind: Kind, _ message: String, partition: Int? = nil) {
        self.kind = kind
        self.message = message
        self.partition = partition
    }
}

/// What a target has to hold instead of the image's own bytes, and why.
public struct FixUpPlan: Sendable {
    /// Bytes that take the place of others.
    public struct Patch: Sendable, Hashable {
        public var start: GuestOffset
        public var bytes: [UInt8]

        public var range: GuestRange { GuestRange(start: start, count: UInt64(bytes.count)) }
    }

    /// The target's length in bytes.
    public let targetByteCount: UInt64
    /// The target's logical sector in bytes.
    public let targetSectorSize: Int
    /// How many bytes from the start of the image go to the target: all of them, or those that a smaller target holds.
    public let contentByteCount: UInt64
    /// The logical sector that the image's own table was written for; the caller's where there is no table.
    public internal(set) var imageSectorSize: Int
    /// What is changed, in the order of doing; empty where the target becomes an exact copy.
    public internal(set) var changes: [FixUp] = []
    /// The changed bytes, ascending and apart from each other.
    public internal(set) var patches: [Patch] = []
    /// What has to read as zeros, ascending and apart from each other; patches go over it.
    public internal(set) var wipes: [GuestRange] = []
    /// What the user should know.
    public internal(set) var warnings: [Note] = []
    /// What to do when the target is written, as sentences with commands.
    public internal(set) var advice: [String] = []

    init(targetByteCount: UInt64, targetSectorSize: Int, contentByteCount: UInt64, imageSectorSize: Int) {
        self.targetByteCount = targetByteCount
        self.targetSectorSize = targetSectorSize
        self.contentByteCount = contentByteCount
        self.imageSectorSize = imageSectorSize
    }

    /// What the target has to hold, in whole sectors of it, ascending and apart from each other: the content, and what is
    /// patched or wiped behind it. Between them nothing is said, and nothing needs to be written.
    public var contentRanges: [GuestRange] {
        let unit = UInt64(targetSectorSize)
        let content = GuestRange(start: .zero, count: contentByteCount)
        let parts = ([content] + patches.map(\.range) + wipes).filter { !$0.isEmpty }.map { range in
            let end = range.end.value.roundedUp(to: unit) ?? targetByteCount
            return GuestRange(
                from: GuestOffset(range.start.value.roundedDown(to: unit)), to: GuestOffset(min(end, targetByteCount)))
        }
        return GuestRanges(parts).ranges
    }
}

extension [GuestRange] {
    /// What is left of them, which ascend, without the bytes of `others`.
    func subtracting(_ others: [GuestRange]) -> [GuestRange] {
        let others = GuestRanges(others).ranges
        return flatMap { range in
            var (rest, start) = ([GuestRange](), range.start)
            for other in others where other.end > start && other.start < range.end {
                if other.start > start { rest.append(GuestRange(from: start, to: other.start)) }
                start = Swift.max(start, other.end)
            }
            if start < range.end { rest.append(GuestRange(from: start, to: range.end)) }
            return rest
        }
    }
}

extension GuestRange {
    /// Whether they have a byte in common.
    func overlaps(_ other: GuestRange) -> Bool {
        !isEmpty && !other.isEmpty && start < other.end && other.start < end
    }
}
