/// What a damaged image is made anew with.
public struct RebuildRequest: Sendable {
    /// Where the new image goes.
    public var sink: any ByteSink
    /// Other disks that may hold the same bytes: what is missing is taken from them, where it can be proved.
    public var others: [any BlockDevice]
    /// When the new image is made, and its own number.
    public var stamp: ImageStamp
    public var threads: WorkThreads
    /// Told how many bytes of disk there are to go through, and each time how many more were.
    public var begin: @Sendable (UInt64) -> Void
    public var advance: @Sendable (UInt64) -> Void

    public init(
        to sink: any ByteSink, others: [any BlockDevice] = [], stamp: ImageStamp = ImageStamp(),
        threads: WorkThreads = .single, begin: @escaping @Sendable (UInt64) -> Void = { _ in },
        advance: @escaping @Sendable (UInt64) -> Void = { _ in }
    ) {
        self.sink = sink
        self.others = others
        self.stamp = stamp
        self.threads = threads
        self.begin = begin
        self.advance = advance
    }
}

/// What became of a damaged image.
public struct RebuildSummary: Sendable, Hashable {
    /// The disk's length in bytes.
    public var byteCount: UInt64
    /// The parts that were taken from other disks.
    public var healed = GuestRanges()
    /// The parts whose bytes are missing, but known by their hash: they can still be healed.
    public var damaged = GuestRanges()
    /// The parts of which nothing is known; they are unreadable in the new image.
    public var lost = GuestRanges()
    /// The 32 bytes of the disk's content digest by the new image's index.
    public var digest: [UInt8]
    /// Whether the new image is only what was left of the disk: its digest is then no disk's.
    public var isPartial: Bool

    public init(byteCount: UInt64, digest: [UInt8], isPartial: Bool) {
        self.byteCount = byteCount
        self.digest = digest
        self.isPartial = isPartial
    }
}
