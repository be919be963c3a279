internal import ReimageCore

/// A file whose reads end when the work is cancelled.
struct CancellableStore: ByteStore {
    let store: any ByteStore
    private let cancellation: Cancellation

    init(_ store: any ByteStore, _ cancellation: Cancellation) {
        self.store = store
        self.cancellation = cancellation
    }

    var id: StoreID { store.id }
    var name: String { store.name }
    var identity: StoreIdentity? { store.identity }
    var byteCount: UInt64 { store.byteCount }
    var traits: StoreTraits { store.traits }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try cancellation.check()
        try store.read(into: &buffer, at: offset)
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try cancellation.check()
        return try store.extent(at: offset, limit: limit)
    }
}
