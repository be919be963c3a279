internal import ReimageCore
internal import Synchronization

/// An open VHD.
///
/// Opening reads the footers, the header and the parent's names. The parent is opened with the disk, so that a file that
/// turns out not to be the parent that was looked for needs none itself.
final class VHDImage: DiskImage {
    let format: FormatName = "vhd"

    private let source: ImageSource
    private let store: any ByteStore
    private let context: OpenContext
    private let options: ReaderOptions
    private let layout: Layout
    private let names: ParentNames?
    private let disk = Mutex<(any BlockDevice)?>(nil)

    init(_ source: ImageSource, _ context: OpenContext) throws(ImageError) {
        self.source = source
        self.context = context
        store = try source.randomAccess(for: "vhd")
        options = try ReaderOptions(context.options)
        layout = try Layout(store, options)
        if layout.kind == .differencing, let sparse = layout.sparse {
            names = try ParentNames(store, sparse.header)
        } else {
            names = nil
        }
        for remark in remarks { context.note(Note("\(store.name): \(remark)")) }
    }

    private var remarks: [String] { layout.remarks + (names?.remarks ?? []) }

    /// The disk, with the parent's below it; made once.
    func content() throws(ImageError) -> DiskContent {
        do {
            return try disk.withLock { (disk) throws(ImageError) in
                if let disk { return .random(disk) }
                let made = try makeDisk()
                disk = made
                return .random(made)
            }
        } catch {
            throw error.inFile(store.name)
        }
    }

    func info() throws(ImageError) -> ImageInfo { layout.info(names, remarks: remarks) }

    private func makeDisk() throws(ImageError) -> any BlockDevice {
        guard let sparse = layout.sparse else {
            try checkLeftOut()
            return FixedDisk(store: store, byteCount: layout.byteCount)
        }
        var parent: (any BlockDevice)?
        if let names {
            parent = try Parent(
                source: source, store: store, footer: layout.footer, header: sparse.header, headerPlace: sparse.place,
                names: names, options: options, context: context
            ).disk()
        }
        try checkLeftOut()
        if let overlap = try BlockOverlap.first(in: sparse, store) {
            context.note(
                Note(
                    "\(store.name): \(overlap); it is read as its table says, but it is damaged, and must not be "
                        + "written to"))
        }
        let table = BlockTable(
            store, layout, sparse, range: sparse.table, byteCount: layout.byteCount, names: names?.places ?? [])
        let mapping = Mapping(byteCount: layout.byteCount, table: table, hasParent: names != nil)
        return VHDDisk(store, mapping, parent: parent)
    }

    private func checkLeftOut() throws(ImageError) {
        try LeftOut(store: store, layout: layout, names: names, options: options, context: context).check()
    }
}
