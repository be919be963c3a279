public import ReimageCore
internal import ReimageSystem

/// A device as the disk that is captured: read once and in large requests, and sector by sector where that fails.
/// How is for ``CaptureCursor``.
///
/// What was lost stays lost: a second read of it gives zeros without another try, so that an image that is laid out
/// before it is written comes out the same.
public struct CaptureDisk: BlockDevice {
    let store: any ByteStore
    let options: CaptureOptions
    let losses = LossLog()
    let cancellation: Cancellation
    public let sectorSize: Int
    /// What the medium reads and loses as one, in bytes; ``sectorSize`` where that is not known.
    let physicalSectorSize: Int

    /// - Parameters:
    ///   - store: the device, best past the page cache.
    ///   - sectorSize: its logical sector in bytes.
    ///   - physicalSectorSize: its physical sector in bytes, where one starts at the store's first byte.
    public init(
        _ store: any ByteStore, sectorSize: Int, physicalSectorSize: Int? = nil,
        options: CaptureOptions = CaptureOptions(),
        cancellation: Cancellation = Cancellation()
    ) {
        self.store = store
        self.sectorSize = sectorSize
        self.physicalSectorSize = max(physicalSectorSize ?? sectorSize, sectorSize)
        self.options = options
        self.cancellation = cancellation
    }

    public var byteCount: UInt64 { store.byteCount }
    public var stores: [any ByteStore] { [store] }

    /// What could not be read so far, ascending and apart from each other where it failed alike.
    public var lost: [LostRun] { losses.all }

    public func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        // Where it is stored stays untold, so that nobody reads it past what is done here about bad sectors.
        Extent(.data, count: min(limit, byteCount - offset.value))
    }

    public func makeCursor() throws(ImageError) -> any DiskCursor { CaptureCursor(self) }
}
