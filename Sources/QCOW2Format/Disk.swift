internal import ReimageCore
internal import Synchronization

/// The guest's disk: one state of an image, with the layer below it.
final class QCOW2Disk: BlockDevice {
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore]
    let readUnit: Int

    /// The image's own file.
    let store: any ByteStore
    /// What plain data lies in: the same file, or the data file.
    let data: any ByteStore
    let mapping: Mapping
    let geometry: Geometry
    let compression: CompressionType
    let below: DiskBelow
    /// log2 of the largest window that a zstd frame may ask for.
    let windowLogMax: Int

    /// Whether an answer from the tables tells of the host's holes too.
    private let showsHostHoles: Bool

    /// The run that the last query found. An extent query that is cut by the layer below comes back within the same
    /// run, and walking the tables anew each time would make a walk of the whole disk quadratic.
    private let last = Mutex<(start: UInt64, run: Run)?>(nil)

    init(
        store: any ByteStore, data: any ByteStore, mapping: Mapping, geometry: Geometry, compression: CompressionType,
        below: (any BlockDevice)?, windowLogMax: Int
    ) {
        self.store = store
        self.data = data
        self.mapping = mapping
        self.geometry = geometry
        self.compression = compression
        self.below = DiskBelow(below)
        self.windowLogMax = windowLogMax
        byteCount = mapping.byteCount
        readUnit = max(Int(geometry.clusterSize), below?.readUnit ?? 0)
        showsHostHoles = data.id == store.id && Self.hasManyHoles(store, clusterSize: geometry.clusterSize)
        var stores = [store]
        if data.id != store.id { stores.append(data) }
        self.stores = stores + (below?.stores ?? [])
    }

    /// Whether about a tenth of the file's clusters, and two at least, take no space: then they were handed out before
    /// they were written, and the tables' word on data says little.
    ///
    /// The line is where `qemu-img map` 7.2 draws it, found by punching holes into its images one by one.
    private static func hasManyHoles(_ store: any ByteStore, clusterSize: UInt64) -> Bool {
        guard let allocated = store.allocatedByteCount else { return false }
        let stored = allocated / clusterSize
        return store.byteCount.dividedRoundingUp(by: clusterSize) >= max(stored + stored / 9, stored + 2)
    }

    /// See ``BlockDevice/extent(at:limit:layers:detail:)``. Compressed clusters that touch in the file are one run,
    /// whose `stored` is what must be fetched for all of them.
    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        do {
            let run = try run(at: offset, limit: limit)
            switch run.kind {
            case .zero: return Extent(.zero, count: run.count)
            case .unallocated:
                return try below.extent(at: offset, count: run.count, layers: layers, detail: detail)
            case .data: return try plain(run, detail)
            case .compressed:
                let stored = StoredRun(
                    store: store.id, offset: HostOffset(run.host), count: run.hostCount, codec: compression.codec)
                return Extent(.data, count: min(run.count, limit), stored: stored)
            }
        } catch {
            throw error.inFile(store.name)
        }
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { QCOW2Cursor(self) }

    private func run(at offset: GuestOffset, limit: UInt64) throws(ImageError) -> Run {
        if let (start, run) = last.withLock({ $0 }), offset.value >= start, offset.value - start < run.count {
            return run.part(from: offset.value - start, limit: limit)
        }
        var lookup = TableLookup()
        let run = try mapping.run(at: offset, limit: limit, &lookup)
        if run.kind != .compressed { last.withLock { $0 = (offset.value, run) } }
        return run
    }

    private func plain(_ run: Run, _ detail: ExtentDetail) throws(ImageError) -> Extent {
        let place = HostOffset(run.host)
        var extent = Extent(.data, count: run.count)
        if detail == .storage || showsHostHoles {
            let host = try data.extent(at: place, limit: run.count)
            extent.count = min(run.count, host.count)
            if host.kind.readsAsZero {
                if detail == .storage { return Extent(.zero, count: extent.count) }
                extent.isHostHole = true
            }
        }
        extent.stored = StoredRun(store: data.id, offset: place, count: extent.count)
        return extent
    }
}
