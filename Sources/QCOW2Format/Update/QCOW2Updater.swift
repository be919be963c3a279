internal import ReimageCore
internal import Synchronization

/// A disk that is written in place.
///
/// Calls wait for each other, so that every one sees the tables whole. After a write that failed, nothing more is
/// written: what is in the file then is sound, but not known.
final class QCOW2Updater: WritableDisk {
    let byteCount: UInt64
    let sectorSize = 512
    let readUnit: Int
    let stores: [any ByteStore]
    private let name: String
    private let update: Mutex<ImageUpdate>

    init(_ update: consuming ImageUpdate) throws(ImageError) {
        byteCount = update.byteCount
        name = update.store.name
        let disk = try update.disk()
        readUnit = disk.readUnit
        stores = disk.stores
        self.update = Mutex(update)
    }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        try disk().extent(at: offset, limit: limit, layers: layers, detail: detail)
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { UpdaterCursor(self) }

    /// The disk as it is now.
    fileprivate func disk() throws(ImageError) -> QCOW2Disk {
        try update.withLock { (update) throws(ImageError) in try update.disk() }
    }

    func write(_ bytes: RawSpan, at offset: GuestOffset) throws(ImageError) {
        try check(offset.value, UInt64(bytes.byteCount))
        try change { (update) throws(ImageError) in try update.write(bytes, at: offset) }
    }

    func zero(_ range: GuestRange, mayUnmap: Bool) throws(ImageError) {
        try check(range.start.value, range.count)
        try change { (update) throws(ImageError) in
            try update.zero(range.start.value..<range.end.value, mayUnmap: mayUnmap)
        }
    }

    func discard(_ range: GuestRange) throws(ImageError) {
        try check(range.start.value, range.count)
        try change { (update) throws(ImageError) in try update.discard(range.start.value..<range.end.value) }
    }

    func flush() throws(ImageError) {
        try change { (update) throws(ImageError) in try update.flush() }
    }

    private func change(_ body: (inout ImageUpdate) throws(ImageError) -> Void) throws(ImageError) {
        do throws(ImageError) {
            try update.withLock { (update) throws(ImageError) in try body(&update) }
        } catch {
            throw error.inFile(name)
        }
    }

    private func check(_ start: UInt64, _ count: UInt64) throws(ImageError) {
        guard start <= byteCount, count <= byteCount - start else {
            throw ImageError(
                .invalidArgument, "\(count) bytes pass the end of the disk (\(byteCount) bytes)",
                at: .guest(GuestOffset(start)), file: name)
        }
    }
}

/// A reader that sees every change: it takes a new view of the tables after they changed.
private final class UpdaterCursor: DiskCursor {
    private let updater: QCOW2Updater
    private var current: (disk: QCOW2Disk, cursor: any DiskCursor)?

    init(_ updater: QCOW2Updater) { self.updater = updater }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        let disk = try updater.disk()
        let cursor: any DiskCursor
        if let current, current.disk === disk { cursor = current.cursor } else { cursor = try disk.makeCursor() }
        current = (disk, cursor)
        try cursor.read(into: &buffer, at: offset)
    }
}
