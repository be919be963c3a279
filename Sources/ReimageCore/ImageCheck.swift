/// One thing that a check found, or that a repair did.
public struct CheckFinding: Sendable, Hashable {
    /// How bad it is.
    public enum Kind: Sendable, Hashable {
        /// The image contradicts itself: data may be wrong now or lost by the next write.
        case corruption
        /// Space is taken that nothing uses; no data is in danger.
        case leak
        /// Worth knowing; counts as nothing.
        case remark
    }

    /// How bad it is.
    public var kind: Kind
    /// The sentence, without the file's name and without a full stop.
    public var message: String
    /// Where in the file, where there is one place.
    public var place: HostOffset?
    /// The guest's bytes that are concerned, where they are known.
    public var guest: GuestRange?
    /// Whether it was put right.
    public var isFixed: Bool

    public init(
        _ kind: Kind, _ message: String, at place: HostOffset? = nil, guest: GuestRange? = nil, isFixed: Bool = false
    ) {
        self.kind = kind
        self.message = message
        self.place = place
        self.guest = guest
        self.isFixed = isFixed
    }
}

/// What a check found in all; the names are those of `qemu-img check --output=json`.
public struct CheckSummary: Sendable, Hashable {
    /// Corruptions that are there now: after a repair, those that are left.
    public var corruptions: UInt64 = 0
    /// Leaked clusters or blocks that are there now.
    public var leaks: UInt64 = 0
    /// Structures that could not be examined.
    public var checkErrors: UInt64 = 0
    /// Corruptions that the repair put right.
    public var corruptionsFixed: UInt64 = 0
    /// Leaks that the repair gave back.
    public var leaksFixed: UInt64 = 0
    /// Where the last used cluster or block ends.
    public var imageEndOffset: HostOffset = .zero
    /// Clusters or blocks of the disk.
    public var totalClusters: UInt64 = 0
    /// Those that are stored.
    public var allocatedClusters: UInt64 = 0
    /// Those stored whose predecessor on the disk does not lie before them in the file.
    public var fragmentedClusters: UInt64 = 0
    /// Those stored compressed.
    public var compressedClusters: UInt64 = 0

    public init() {}

    /// Whether nothing is wrong.
    public var isClean: Bool { corruptions == 0 && leaks == 0 && checkErrors == 0 }
}

/// One rule of a profile, and whether an image keeps it.
public struct ProfileRule: Sendable, Hashable {
    /// The rule, as a sentence without a full stop.
    public var text: String
    /// What the image has.
    public var found: String
    /// Whether that is what the rule asks for.
    public var isKept: Bool

    public init(_ text: String, found: String, isKept: Bool) {
        self.text = text
        self.found = found
        self.isKept = isKept
    }
}

/// How much a repair may change.
public enum RepairLevel: Sendable, Hashable {
    /// Give back leaked space; change nothing else.
    case leaks
    /// Put right what can be put right without guessing at data.
    case all
}

/// How a disk is to change its length.
public struct ResizeRequest: Sendable, Hashable {
    /// The new length in bytes.
    public var byteCount: UInt64
    /// Whether it may be shorter than the disk is: what lies behind is lost.
    public var allowsShrinking: Bool
    /// How new space is reserved, as the format's option `preallocation` names it; `nil` is `off`.
    public var preallocation: String?

    public init(byteCount: UInt64, allowsShrinking: Bool = false, preallocation: String? = nil) {
        self.byteCount = byteCount
        self.allowsShrinking = allowsShrinking
        self.preallocation = preallocation
    }
}
