internal import ReimageCore

/// A file whose missing end reads as zeros, as every reader of the format has it: a check must get over tables that
/// the end of the file cuts, and say so itself where that loses something.
struct PaddedStore: ByteStore {
    let store: any ByteStore
    /// Ends the work at the next read.
    private let cancellation: Cancellation
    /// The file's own length.
    let byteCount: UInt64

    init(_ store: any ByteStore, _ cancellation: Cancellation = Cancellation()) {
        self.store = store
        self.cancellation = cancellation
        byteCount = store.byteCount
    }

    var id: StoreID { store.id }
    var name: String { store.name }
    var identity: StoreIdentity? { store.identity }
    var traits: StoreTraits { store.traits }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try cancellation.check()
        let there = Int(min(byteCount - min(byteCount, offset.value), UInt64(buffer.byteCount)))
        buffer.zero(there..<buffer.byteCount)
        guard there > 0 else { return }
        try buffer.withSlice(0..<there) { (part) throws(ImageError) in try store.read(into: &part, at: offset) }
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try store.extent(at: offset, limit: limit)
    }
}
