public import ReimageCore

#if canImport(Darwin)
    internal import Darwin
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Glibc
#endif

/// A store that takes its time, as a disk that seeks or a network does.
public final class SlowStore: ByteStore {
    private let store: any ByteStore
    private let delay: UInt32

    /// A store that is `store`, but blocks for `microseconds` (less than a million) before each read.
    public init(_ store: any ByteStore, microseconds: Int) {
        self.store = store
        delay = UInt32(clamping: min(microseconds, 999_999))
    }

    public var id: StoreID { store.id }
    public var name: String { store.name }
    public var identity: StoreIdentity? { store.identity }
    public var byteCount: UInt64 { store.byteCount }
    public var traits: StoreTraits { store.traits }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        usleep(delay)
        try store.read(into: &buffer, at: offset)
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try store.extent(at: offset, limit: limit)
    }
}
