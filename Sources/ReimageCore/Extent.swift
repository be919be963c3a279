/// A run of guest bytes of one kind, as ``BlockDevice/extent(at:limit:layers:detail:)`` gives it.
public struct Extent: Hashable, Sendable {
    /// What the bytes of a run are.
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// Stored bytes, which may still be zeros.
        case data
        /// Reads as zeros by the format's own word; hides what lies below.
        case zero
        /// Nothing is stored here: reads as zeros or, of a single layer, as the layer below.
        case hole
        /// The source could not give these bytes; they read as zeros, and that is always reported.
        case unreadable

        /// Whether the bytes read as zeros without being read.
        @inlinable
        public var readsAsZero: Bool { self != .data }
    }

    /// What the bytes are.
    public var kind: Kind
    /// The length in guest bytes, at least 1.
    public var count: UInt64
    /// The layer that decides: 0 is the image itself, 1 its backing image and so on.
    public var depth: Int
    /// Where the bytes lie, for plain and compressed data whose place is known.
    public var stored: StoredRun?
    /// Data by the image's tables that its host file has a hole for: it reads as zeros.
    public var isHostHole = false

    /// A run of `count` bytes.
    public init(_ kind: Kind, count: UInt64, depth: Int = 0, stored: StoredRun? = nil) {
        self.kind = kind
        self.count = count
        self.depth = depth
        self.stored = stored
    }
}

/// Where the bytes of an extent lie in a store.
public struct StoredRun: Hashable, Sendable {
    /// The store that holds them.
    public var store: StoreID
    /// The first stored byte.
    public var offset: HostOffset
    /// The length in stored bytes: the guest's length for plain data, the fetched length for coded data.
    public var count: UInt64
    /// How the bytes are coded; `nil` is plain.
    public var codec: Codec?

    /// A run of `count` stored bytes.
    public init(store: StoreID, offset: HostOffset, count: UInt64, codec: Codec? = nil) {
        self.store = store
        self.offset = offset
        self.count = count
        self.codec = codec
    }
}

/// A compression method, by its usual name.
public struct Codec: Hashable, Sendable, CustomStringConvertible {
    /// The name, for instance `zstd`.
    public let name: String

    /// A codec called `name`.
    public init(_ name: String) { self.name = name }

    /// Raw deflate, without any wrapper.
    public static let deflate = Codec("deflate")
    /// Zstandard frames.
    public static let zstd = Codec("zstd")

    public var description: String { name }
}

/// Which layers of a chain an extent query looks at.
public enum Layers: Sendable {
    /// The whole chain, as a guest sees it; no `hole` but where nothing is stored in any layer.
    case flattened
    /// The image alone; `hole` means that the layer below decides.
    case top
}

/// How far down an extent query looks for zeros.
public enum ExtentDetail: Sendable {
    /// What the image's own tables say; data stays data, marked at most as ``Extent/isHostHole``.
    case tables
    /// The holes of the host file below plain data too: they are zeros that need no reading.
    case storage
}
