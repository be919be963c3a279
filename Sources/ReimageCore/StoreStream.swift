internal import Synchronization

/// A store read front to back.
public final class StoreStream: ByteStream {
    private let store: any ByteStore
    private let position = Mutex<UInt64>(0)

    /// The bytes of `store` from its start.
    public init(_ store: any ByteStore) { self.store = store }

    public var name: String { store.name }

    public func read(into buffer: inout OutputRawSpan) throws(ImageError) {
        let start = position.withLock { $0 }
        let count = Int(min(UInt64(buffer.freeCapacity), store.byteCount - start))
        guard count > 0 else { return }
        try buffer.append(count: count) { (span) throws(ImageError) in
            try store.read(into: &span, at: HostOffset(start))
        }
        position.withLock { $0 = start + UInt64(count) }
    }
}
