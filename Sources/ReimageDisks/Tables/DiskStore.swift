internal import ReimageCore

/// A disk shown as a store, for what reads a few small structures from either.
///
/// Every read makes a reader of its own; bulk data is read with a cursor.
struct DiskStore: ByteStore {
    let disk: any BlockDevice
    let id = StoreID()
    let name: String

    init(_ disk: any BlockDevice) {
        self.disk = disk
        name = disk.stores.first?.name ?? "disk"
    }

    var identity: StoreIdentity? { nil }
    var byteCount: UInt64 { disk.byteCount }
    var traits: StoreTraits { StoreTraits(alignment: disk.sectorSize) }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let count = UInt64(buffer.byteCount)
        guard count <= byteCount, offset.value <= byteCount - count else {
            throw ImageError(
                .unreadable, "a read of \(count) bytes passes the end (\(byteCount) bytes)",
                at: .guest(GuestOffset(offset.value)))
        }
        try disk.makeCursor().read(into: &buffer, at: GuestOffset(offset.value))
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try disk.extent(at: GuestOffset(offset.value), limit: limit)
    }
}
