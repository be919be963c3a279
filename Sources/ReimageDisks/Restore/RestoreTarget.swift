public import ReimageCodecs
public import ReimageCore

/// A disk that an image is put on, and how.
public struct RestoreTarget: Sendable {
    /// The disk: read and written past every cache, held exclusively.
    public var medium: any UpdatableStore
    /// What the target is to have besides the image.
    public var overlay: DiskOverlay
    /// How much of the image it takes, in bytes; `nil` takes as much as it holds.
    public var byteCount: UInt64?
    /// Where the old tables, and how far the work is, are written down; `nil` keeps nothing.
    public var journal: RestoreJournal?
    /// Ranges of the old disk, besides its ends, that the journal keeps.
    public var saved: [HostRange]
    /// What an earlier, interrupted run has done, by its journal.
    public var progress: RestoreJournal.Progress?

    public init(
        _ medium: any UpdatableStore, overlay: DiskOverlay = DiskOverlay(), byteCount: UInt64? = nil,
        journal: RestoreJournal? = nil, saved: [HostRange] = [], progress: RestoreJournal.Progress? = nil
    ) {
        self.medium = medium
        self.overlay = overlay
        self.byteCount = byteCount
        self.journal = journal
        self.saved = saved
        self.progress = progress
    }
}

/// How often a byte of a target was dealt with, and how.
public struct RestoreCounts: Sendable, Hashable {
    /// Bytes that were written, the ends and fix-ups among them.
    public internal(set) var written: UInt64 = 0
    /// Bytes that were made zeros by one request.
    public internal(set) var zeroed: UInt64 = 0
    /// Bytes that were there already, and were left as they are.
    public internal(set) var kept: UInt64 = 0
    /// Bytes that an earlier run had written, as their hashes prove.
    public internal(set) var resumed: UInt64 = 0
    /// Bytes that were read back and found right.
    public internal(set) var verified: UInt64 = 0
}

/// What became of one target.
public struct RestoreResult: Sendable {
    /// What reading it back showed.
    public enum Verification: Sendable, Hashable {
        /// It was not read back.
        case none
        /// All that was written reads back as it was meant.
        case passed
        /// These ranges do not; more than are named where `isCut`.
        case differs([HostRange], isCut: Bool)
    }

    /// The target's name.
    public let name: String
    /// Why it is not complete; `nil` where it is.
    public internal(set) var error: ImageError?
    public internal(set) var counts = RestoreCounts()
    public internal(set) var verification = Verification.none
    /// What was laid over the image.
    public internal(set) var overlay = DiskOverlay()
    /// The digest of as much of the target as the image covers; `nil` where none was made.
    public internal(set) var digest: ContentDigest?
    /// How much of the target the image covers, in bytes.
    public internal(set) var byteCount: UInt64 = 0
    /// The seconds that writing and reading back took.
    public internal(set) var writeSeconds = 0.0
    public internal(set) var verifySeconds = 0.0
}

/// What became of a restore.
public struct RestoreSummary: Sendable {
    /// The image's length in bytes.
    public internal(set) var byteCount: UInt64 = 0
    /// The image's digest; `nil` where none was made.
    public internal(set) var digest: ContentDigest?
    /// How many bytes of the image its source could not give; they are zeros.
    public internal(set) var unreadableByteCount: UInt64 = 0
    /// One for each target, in their order.
    public internal(set) var results: [RestoreResult] = []
}
