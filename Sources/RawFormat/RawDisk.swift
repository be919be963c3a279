internal import ReimageCore

/// A store shown as a disk.
struct RawDisk: BlockDevice {
    let store: any ByteStore

    var byteCount: UInt64 { store.byteCount }
    var sectorSize: Int { 512 }
    var stores: [any ByteStore] { [store] }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        let place = HostOffset(offset.value)
        // There are no tables, so the host's holes are the disk's own word: nothing lies below a raw disk, and they
        // are zeros.
        var run = try store.extent(at: place, limit: min(limit, byteCount - offset.value))
        if run.kind == .hole { run.kind = .zero }
        run.depth = 0
        run.stored = run.kind == .data ? StoredRun(store: store.id, offset: place, count: run.count) : nil
        return run
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { RawCursor(store) }
}

private final class RawCursor: DiskCursor {
    private let store: any ByteStore

    init(_ store: any ByteStore) { self.store = store }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        try store.read(into: &buffer, at: HostOffset(offset.value))
    }
}

/// A pipe shown as a disk.
final class RawStream: DiskStream {
    private let source: any ByteStream

    init(_ source: any ByteStream) { self.source = source }

    var name: String { source.name }
    var byteCount: UInt64? { nil }

    func read(into buffer: inout OutputRawSpan) throws(ImageError) { try source.read(into: &buffer) }
}
