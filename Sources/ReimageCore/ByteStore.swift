internal import Synchronization

/// A number that tells one open store from every other in this process.
public struct StoreID: Hashable, Sendable {
    private let number: UInt64

    private static let next = Atomic<UInt64>(1)

    /// An id that no other store of the process has.
    public init() { number = Self.next.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// What makes two openings the same file or device, whatever the path.
public struct StoreIdentity: Hashable, Sendable {
    /// The number of the file system, or of the device itself for a block device.
    public let device: UInt64
    /// The inode, 0 for a block device.
    public let inode: UInt64

    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// What a store or sink can do and likes; abilities are data.
public struct StoreTraits: Sendable, Hashable {
    /// Yes-or-no abilities.
    public struct Abilities: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Reads report the holes of the host.
        public static let reportsHoles = Abilities(rawValue: 1 << 0)
        /// A range can be given back so that it reads as zeros.
        public static let punchesHoles = Abilities(rawValue: 1 << 1)
        /// Only ever written front to back: a pipe.
        public static let appendOnly = Abilities(rawValue: 1 << 2)
        /// Every byte not yet written reads as zero.
        public static let startsZeroed = Abilities(rawValue: 1 << 3)
        /// Large aligned requests go past the page cache.
        public static let direct = Abilities(rawValue: 1 << 4)
        /// The medium turns: many requests at once cost seeks.
        public static let rotational = Abilities(rawValue: 1 << 5)
    }

    /// What it can do.
    public var abilities: Abilities
    /// Offsets and lengths that are multiples of this avoid read-modify-write; a power of two.
    public var alignment: Int
    /// The request size at which the store is at its best, in bytes.
    public var requestSize: Int

    public init(abilities: Abilities = [], alignment: Int = 512, requestSize: Int = 1 << 20) {
        self.abilities = abilities
        self.alignment = alignment
        self.requestSize = requestSize
    }

    /// Whether all of `abilities` are there.
    public func contains(_ abilities: Abilities) -> Bool { self.abilities.contains(abilities) }
}

/// Random access to stored bytes: a host file, a block device, memory.
///
/// Calls block, may come from many threads at once, and take any offset and length; alignment is the store's affair.
public protocol ByteStore: Sendable {
    /// Tells this store from others.
    var id: StoreID { get }
    /// The name to show: the path as the caller gave it.
    var name: String { get }
    /// The file behind the store; `nil` where there is none.
    var identity: StoreIdentity? { get }
    /// The length in bytes, fixed when the store was opened.
    var byteCount: UInt64 { get }
    /// What the store can do.
    var traits: StoreTraits { get }
    /// The bytes of the medium that it takes, when it was opened; `nil` where that is not known.
    var allocatedByteCount: UInt64? { get }
    /// When the stored bytes were last changed, in seconds since 1970, when it was opened; `nil` where that is not known.
    var modificationSeconds: Int64? { get }
    /// The open file behind the store, whose blocks a sink may share; `nil` where there is none.
    var blockSource: BlockSource? { get }

    /// Fills `buffer` with the bytes from `offset`.
    /// - Throws: `.unreadable` on an I/O error and where the range passes the end.
    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError)

    /// The run at `offset`: `hole` where the host stores nothing, else `data`; at most `limit` bytes.
    ///
    /// `offset` lies below ``byteCount`` and `limit` is at least 1. A store that cannot tell says `data`.
    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent
}

extension ByteStore {
    public var allocatedByteCount: UInt64? { nil }
    public var modificationSeconds: Int64? { nil }

    /// The `count` bytes from `offset`, for headers and other small structures.
    /// - Throws: `.unreadable` on an I/O error and where the range passes the end.
    public func bytes(at offset: HostOffset, count: Int) throws(ImageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        try bytes.withMutableBytes { (span) throws(ImageError) in try read(into: &span, at: offset) }
        return bytes
    }
}

/// How zeros are put into a sink.
public enum ZeroMode: Sendable, Hashable {
    /// Take no space where the sink can do without.
    case sparse
    /// Reserve the space, so that a later write cannot fail for want of it.
    case allocated
    /// Write them out.
    case written
}

/// Where an image is written to: a file, a pipe.
///
/// Calls block and may come from many threads at once, but ranges in flight never overlap.
public protocol ByteSink: Sendable {
    /// The name to show.
    var name: String { get }
    /// What the sink can do.
    var traits: StoreTraits { get }

    /// Writes all of `bytes` at `offset`.
    /// - Throws: `.targetFailed`; also where an append-only sink is written anywhere but at its end.
    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError)

    /// Writes tables and headers, which a sink may have another use for than guest data.
    func writeMetadata(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError)

    /// Makes `range` read as zeros.
    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError)

    /// The unit in bytes in which blocks of `source` can be shared, a power of two; `nil` where they cannot. To be asked
    /// before anything is written, as it may take a trial.
    func sharedBlockSize(with source: BlockSource) -> Int?

    /// Makes the bytes from `offset` on those of `range` of `source`, by sharing its blocks; whole units on both sides.
    /// - Returns: whether that was done; where not, the bytes are still to be written.
    func shareBlocks(of source: BlockSource, _ range: HostRange, at offset: HostOffset) -> Bool

    /// Cuts or extends the sink to `count` bytes; what is new reads as zeros.
    func setByteCount(_ count: UInt64) throws(ImageError)

    /// Returns once everything written so far is on the medium.
    func sync() throws(ImageError)
}

extension ByteSink {
    public func writeMetadata(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        try write(bytes, at: offset)
    }
}
