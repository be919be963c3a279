internal import ReimageCore
internal import Synchronization

/// The guest's disk of a dynamic or differencing image, with its parent's below it.
final class VHDDisk: BlockDevice {
    let byteCount: UInt64
    let sectorSize = Int(Geometry.sectorSize)
    let stores: [any ByteStore]
    let readUnit: Int

    let store: any ByteStore
    let mapping: Mapping
    let parent: DiskBelow

    /// The run that the last query found. An extent query that is cut by the parent comes back within the same run, and
    /// walking the table anew each time would make a walk of the whole disk quadratic.
    private let last = Mutex<(start: UInt64, run: Run)?>(nil)

    init(_ store: any ByteStore, _ mapping: Mapping, parent: (any BlockDevice)?) {
        self.store = store
        self.mapping = mapping
        self.parent = DiskBelow(parent)
        byteCount = mapping.byteCount
        stores = [store] + (parent?.stores ?? [])
        readUnit = max(Int(Geometry.sectorSize), parent?.readUnit ?? 0)
    }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        do {
            let run = try run(at: offset, limit: limit)
            guard run.kind == .data else {
                return try parent.extent(at: offset, count: run.count, layers: layers, detail: detail)
            }
            return try HostRun.extent(run, of: store, detail)
        } catch {
            throw error.inFile(store.name)
        }
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { VHDCursor(self) }

    private func run(at offset: GuestOffset, limit: UInt64) throws(ImageError) -> Run {
        if let (start, run) = last.withLock({ $0 }), offset.value >= start, offset.value - start < run.count {
            return run.part(from: offset.value - start, limit: limit)
        }
        var lookup = TableLookup()
        let run = try mapping.run(at: offset, limit: limit, &lookup)
        last.withLock { $0 = (offset.value, run) }
        return run
    }
}

/// The guest's disk of a fixed image: the bytes of the file from its start.
struct FixedDisk: BlockDevice {
    let store: any ByteStore
    let byteCount: UInt64

    var sectorSize: Int { Int(Geometry.sectorSize) }
    var stores: [any ByteStore] { [store] }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        let run = Run(.data, count: min(limit, byteCount - offset.value), host: offset.value)
        // There are no tables, so the host's holes are the disk's own word.
        return try HostRun.extent(run, of: store, .storage)
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { Cursor(store: store) }

    private final class Cursor: DiskCursor {
        private let store: any ByteStore

        init(store: any ByteStore) { self.store = store }

        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            try store.read(into: &buffer, at: HostOffset(offset.value))
        }
    }
}

/// What is said of stored bytes.
enum HostRun {
    /// The extent of a run of data in `store`; where `detail` asks for it, zeros for the host's holes.
    static func extent(
        _ run: Run, of store: any ByteStore, _ detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        let place = HostOffset(run.host)
        var count = run.count
        if detail == .storage {
            let host = try store.extent(at: place, limit: run.count)
            count = min(run.count, host.count)
            if host.kind.readsAsZero { return Extent(.zero, count: count) }
        }
        return Extent(.data, count: count, stored: StoredRun(store: store.id, offset: place, count: count))
    }
}
