/// A stored image that is changed in place: what repairing, resizing and writing into an image work on.
///
/// Reads see every write that returned before; ``ByteStore/byteCount`` is the length now, and follows
/// ``ByteSink/setByteCount(_:)`` and writes past the end. One caller changes it at a time.
public protocol UpdatableStore: ByteStore, ByteSink {}

/// An image file that is opened to be changed.
public struct UpdateTarget: Sendable {
    /// The stored bytes.
    public let store: any UpdatableStore
    /// The path that relative references start from; `nil` for memory.
    public let path: String?

    public init(store: any UpdatableStore, path: String? = nil) {
        self.store = store
        self.path = path
    }

    /// The same file, as a reader sees it.
    public var source: ImageSource { ImageSource(store: store, path: path) }
}

/// A guest's disk that is written in place.
///
/// One caller at a time. After an interruption at any moment the image opens, and every guest byte that was being
/// changed is either old or new; space may be lost until the image is repaired. What ``flush()`` returned for is on the
/// medium.
public protocol WritableDisk: BlockDevice {
    /// Writes `bytes` from `offset`; the range lies inside the disk.
    func write(_ bytes: RawSpan, at offset: GuestOffset) throws(ImageError)

    /// Makes `range` read as zeros; `mayUnmap` allows to give its space back.
    func zero(_ range: GuestRange, mayUnmap: Bool) throws(ImageError)

    /// Gives up the content of `range`, as far as whole units of the format go: it reads as zeros, and takes no space
    /// where the format can do that.
    func discard(_ range: GuestRange) throws(ImageError)

    /// Returns once everything is on the medium.
    func flush() throws(ImageError)
}
