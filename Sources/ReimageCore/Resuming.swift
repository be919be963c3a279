/// Where the making of an image that was interrupted can go on.
public struct ResumePoint {
    /// The writer as it was when the last checkpoint was written.
    public var writer: any ImageWriter
    /// The guest's bytes before this are in the image.
    public var start: GuestOffset
    /// How much of the file counts; what follows is cut off.
    public var storedByteCount: UInt64
    /// What the disk held before ``start``: all of it, in order, for who compares everything.
    public var proofs: [SourceProof]
    /// A few parts of it, for who believes the rest.
    public var samples: [SourceProof]
    /// Tells the writer that the source is not what it was, and that this was accepted.
    public var acceptChange: () -> Void

    public init(
        writer: any ImageWriter, start: GuestOffset, storedByteCount: UInt64, proofs: [SourceProof],
        samples: [SourceProof], acceptChange: @escaping () -> Void
    ) {
        self.writer = writer
        self.start = start
        self.storedByteCount = storedByteCount
        self.proofs = proofs
        self.samples = samples
        self.acceptChange = acceptChange
    }
}

/// What a range of a disk held, by its digest.
public struct SourceProof: Hashable, Sendable {
    /// The range; it starts at a multiple of the leaves that the node is made of.
    public var range: GuestRange
    /// The node of the digest RDD1 over it, 32 bytes; `nil` where it read as zeros.
    public var node: [UInt8]?
    /// The height of the node: 0 is a leaf of 64 KiB.
    public var height: Int

    public init(_ range: GuestRange, node: [UInt8]?, height: Int) {
        self.range = range
        self.node = node
        self.height = height
    }
}
