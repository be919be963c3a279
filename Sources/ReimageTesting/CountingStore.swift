public import ReimageCore
internal import Synchronization

/// A store that counts what is asked of it.
public final class CountingStore: ByteStore {
    /// What was asked so far.
    public struct Counts: Hashable, Sendable {
        /// The calls to read.
        public var reads = 0
        /// The bytes they asked for.
        public var bytes: UInt64 = 0
        /// The calls for extents.
        public var extents = 0
        /// The longest read.
        public var longestRead = 0

        /// Nothing was asked yet.
        public init() {}
    }

    private let store: any ByteStore
    private let current = Mutex(Counts())

    /// A store that is `store`, and counts.
    public init(_ store: any ByteStore) { self.store = store }

    /// What was asked so far.
    public var counts: Counts { current.withLock { $0 } }

    /// Starts counting anew.
    public func reset() { current.withLock { $0 = Counts() } }

    public var id: StoreID { store.id }
    public var name: String { store.name }
    public var identity: StoreIdentity? { store.identity }
    public var byteCount: UInt64 { store.byteCount }
    public var traits: StoreTraits { store.traits }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let count = buffer.byteCount
        current.withLock { counts in
            counts.reads += 1
            counts.bytes += UInt64(count)
            counts.longestRead = max(counts.longestRead, count)
        }
        try store.read(into: &buffer, at: offset)
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        current.withLock { $0.extents += 1 }
        return try store.extent(at: offset, limit: limit)
    }
}
