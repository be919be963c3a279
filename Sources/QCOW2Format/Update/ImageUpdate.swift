internal import ReimageCore

/// An image that is changed in place: its tables, and the order in which they reach the medium.
///
/// A change is made in batches. Of each, data, refcounts and new L2 tables are written first; then, once they are on the
/// medium, the L1 and L2 entries that refer to them; and last, once those are there, what nothing refers to any more is
/// counted down. A crash between any two writes leaves clusters that are counted and not used, nothing worse.
struct ImageUpdate: Sendable {
    /// What to do where the image cannot be changed as it is.
    static func repairAdvice(_ store: any ByteStore) -> String {
        "Put it right first: reimage check -r all \(store.name)"
    }

    let store: any UpdatableStore
    /// What plain data lies in: the same file, or the data file.
    let data: any UpdatableStore
    let layout: Layout
    let geometry: Geometry
    let grains: Grains
    let below: (any BlockDevice)?
    let windowLogMax: Int
    let note: @Sendable (Note) -> Void

    /// The length of the disk that changes may reach; the header's, except while it is being changed.
    var byteCount: UInt64
    var l1: TableRange
    var space: HostSpace
    var l1Pages: TablePages
    var l2Pages: TablePages
    /// Space that may be given back to the host once nothing refers to it.
    var punches: [(store: any UpdatableStore, range: HostRange)] = []
    /// Whether freed clusters of this batch are given back to the host.
    var punchesFreed = false
    private var view: TableView?
    private var isMarked = false
    /// What ended the work: after it, the file and the tables in memory may differ.
    private var failure: ImageError?

    var hasDataFile: Bool { layout.hasDataFile }
    /// Whether the data file alone is to be the disk.
    var isRawDataFile: Bool { layout.header.autoclear.contains(.rawDataFile) }
    var isVersion2: Bool { layout.header.version == 2 }
    var clusterSize: UInt64 { geometry.clusterSize }

    init(_ target: UpdateTarget, _ context: OpenContext) throws(ImageError) {
        store = target.store
        layout = try Layout(target.store)
        geometry = layout.geometry
        grains = Grains(layout.geometry)
        note = context.note
        byteCount = layout.header.size
        l1 = layout.l1
        try Self.checkState(layout, target.store)
        let references = try Self.references(of: layout, target, context)
        data = references.data ?? target.store
        below = references.below
        windowLogMax = QCOW2Image.windowLog(memory: context.decoderMemoryLimit)
        space = try HostSpace(target.store, header: layout.header)
        l1Pages = TablePages(target.store, clusterSize: layout.geometry.clusterSize)
        l2Pages = TablePages(target.store, clusterSize: layout.geometry.clusterSize)
        try reserve()
    }

    /// Refuses what must be repaired, or cannot be written.
    private static func checkState(_ layout: Layout, _ store: any ByteStore) throws(ImageError) {
        let place = ImageError.Place.host(HostOffset(UInt64(Header.Field.incompatibleFeatures)))
        guard !layout.header.incompatible.contains(.corrupt) else {
            throw ImageError(
                .refused, "the image is marked corrupt, and writing to it may destroy more", at: place,
                advice: repairAdvice(store))
        }
        guard !layout.header.incompatible.contains(.dirty) else {
            throw ImageError(
                .refused,
                "the image was not closed cleanly: its refcounts may be stale, and new data could be put on "
                    + "old", at: place, advice: repairAdvice(store))
        }
        guard layout.header.cryptMethod == .none else {
            throw ImageError(
                .unsupported, "the disk is encrypted, and cannot be written in place",
                at: .host(HostOffset(UInt64(Header.Field.cryptMethod))))
        }
    }

    /// Opens the data file to be written, and the layer below to be read.
    private static func references(
        of layout: Layout, _ target: UpdateTarget, _ context: OpenContext
    ) throws(ImageError) -> (data: (any UpdatableStore)?, below: (any BlockDevice)?) {
        var data: (any UpdatableStore)?
        var below: (any BlockDevice)?
        for reference in [layout.hasDataFile ? layout.dataFile : nil, layout.backing] {
            guard let reference else { continue }
            guard context.opensReferences, let resolver = context.references else {
                throw ImageError(
                    .refused,
                    "the image needs the \(reference.role) '\(reference.name)', and references are not allowed")
            }
            if reference.role == Layout.dataFileRole {
                data = try resolver.openForUpdate(reference, of: target.source)
            } else {
                let image = try resolver.openImage(reference, of: target.source)
                below = try QCOW2Image.backingDisk(image, reference, target.store)
            }
        }
        return (data, below)
    }

    // MARK: Order

    /// Prepares the next batch. The first one marks the image as changed by a program that does not keep bitmaps.
    mutating func begin() throws(ImageError) {
        if let failure { throw failure }
        l1Pages.trim()
        l2Pages.trim()
        space.pages.trim()
        guard !isMarked else { return }
        isMarked = true
        let header = layout.header
        let kept = header.autoclear.intersection(.rawDataFile)
        guard header.version > 2, kept != header.autoclear else { return }
        if header.autoclear.contains(.bitmaps) {
            note(Note("\(store.name): its bitmaps do not follow the changes, and are marked as out of date."))
        }
        try guarded { (update) throws(ImageError) in
            try update.store.writeWord(kept.rawValue, at: UInt64(Header.Field.autoclearFeatures))
            try update.store.sync()
        }
    }

    /// Runs one batch: `body` writes data and changes tables in memory, which then reach the medium in order.
    mutating func batch(_ body: (inout ImageUpdate) throws(ImageError) -> Void) throws(ImageError) {
        try begin()
        punchesFreed = false
        do throws(ImageError) {
            try body(&self)
        } catch {
            // Nothing refers to what was written so far.
            revert()
            if error.code == .targetFailed { failure = error }
            throw error
        }
        try guarded { (update) throws(ImageError) in try update.commit() }
    }

    /// Runs `body`, after whose failure nothing more is written.
    mutating func guarded(_ body: (inout ImageUpdate) throws(ImageError) -> Void) throws(ImageError) {
        do throws(ImageError) { try body(&self) } catch {
            failure = error
            throw error
        }
    }

    private mutating func revert() {
        l1Pages.revert()
        l2Pages.revert()
        space.revert()
        punches.removeAll()
    }

    private mutating func commit() throws(ImageError) {
        try space.pages.write()
        if l2Pages.isChanged || l1Pages.isChanged {
            view = nil
            try sync()
            // A new L2 table is on the medium as it was before the batch, so its entries and the L1 entry that
            // points to it may be first or second.
            try l2Pages.write()
            try l1Pages.write()
        }
        if space.hasReleased || !punches.isEmpty {
            try store.sync()
            let freed = try space.lowerReleased()
            try space.pages.write()
            if punchesFreed {
                for cluster in freed {
                    let range = HostRange(start: HostOffset(space.place(of: cluster)), count: clusterSize)
                    if let last = punches.last, last.store.id == store.id, last.range.end == range.start {
                        punches[punches.count - 1].range = HostRange(from: last.range.start, to: range.end)
                    } else {
                        punches.append((store, range))
                    }
                }
            }
            for (store, range) in punches { try store.punch(range) }
        }
        punches.removeAll(keepingCapacity: true)
    }

    /// Returns once every change is on the medium.
    mutating func flush() throws(ImageError) {
        if let failure { throw failure }
        try guarded { (update) throws(ImageError) in try update.sync() }
    }

    /// Returns once everything written is on the medium.
    func sync() throws(ImageError) {
        if data.id != store.id { try data.sync() }
        try store.sync()
    }

    // MARK: Reading

    /// The disk as the tables in the file have it, made anew after they changed.
    private struct TableView: Sendable {
        var disk: QCOW2Disk
        var decoder: L2Decoder
        var lengths: [UInt64]
    }

    /// The disk as it is now.
    mutating func disk() throws(ImageError) -> QCOW2Disk { currentView().disk }

    /// What decodes entries as they are now.
    mutating func decoder() -> L2Decoder { currentView().decoder }

    private mutating func currentView() -> TableView {
        let lengths = [store.byteCount, data.byteCount, byteCount]
        if let view, view.lengths == lengths { return view }
        let decoder = L2Decoder(
            geometry: geometry, isVersion2: isVersion2, fileByteCount: lengths[0], dataByteCount: lengths[1],
            hasDataFile: hasDataFile, reserved: space.areas)
        let mapping = Mapping(byteCount: byteCount, l1: l1, decoder: decoder, cache: TableCache(store))
        let disk = QCOW2Disk(
            store: store, data: data, mapping: mapping, geometry: geometry, compression: layout.compression,
            below: below, windowLogMax: windowLogMax)
        let made = TableView(disk: disk, decoder: decoder, lengths: lengths)
        view = made
        return made
    }

    /// Forgets the disk that was handed out, after the L1 table moved.
    mutating func forgetView() { view = nil }
}

extension UpdatableStore {
    /// Gives the space of `range` back, as far as the file reaches.
    func punch(_ range: HostRange) throws(ImageError) {
        let end = min(range.end, HostOffset(byteCount))
        guard range.start < end else { return }
        try zero(HostRange(from: range.start, to: end), mode: .sparse)
    }

    /// Makes `range` read as zeros; the store reaches its end at least.
    func clear(_ range: HostRange, mode: ZeroMode = .sparse) throws(ImageError) {
        if mode == .sparse { try punch(range) } else { try zero(range, mode: mode) }
        if byteCount < range.end.value { try setByteCount(range.end.value) }
    }
}
