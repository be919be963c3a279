public import ReimageCore
internal import Synchronization

/// A store that stops taking changes after a chosen number of them, as if the power went then.
///
/// What came before the stop is there in full, in the order of the calls; what a medium may lose between two calls of
/// ``sync()`` is not played out.
public final class InterruptedStore: UpdatableStore {
    private let store: MemoryStore
    private let most: Int
    private let mutations = Mutex(0)

    /// A store that is `store` until `mutations` calls have changed it; every later change and `sync()` fails and
    /// changes nothing.
    public init(_ store: MemoryStore, after mutations: Int) {
        self.store = store
        most = mutations
    }

    /// How many calls have changed the store.
    public var mutationCount: Int { mutations.withLock { $0 } }

    public var id: StoreID { store.id }
    public var name: String { store.name }
    public var identity: StoreIdentity? { store.identity }
    public var byteCount: UInt64 { store.byteCount }
    public var traits: StoreTraits { store.traits }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try store.read(into: &buffer, at: offset)
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try store.extent(at: offset, limit: limit)
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        try count()
        try store.write(bytes, at: offset)
    }

    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        try count()
        try store.zero(range, mode: mode)
    }

    public func setByteCount(_ count: UInt64) throws(ImageError) {
        try self.count()
        try store.setByteCount(count)
    }

    public func sync() throws(ImageError) {
        let isOver = mutations.withLock { $0 >= most }
        if isOver { throw Self.interruption }
        try store.sync()
    }

    /// Counts a change that may still be made.
    private func count() throws(ImageError) {
        let isOver = mutations.withLock { count in
            if count >= most { return true }
            count += 1
            return false
        }
        if isOver { throw Self.interruption }
    }

    private static let interruption = ImageError(.targetFailed, "interrupted")
}
