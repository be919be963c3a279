internal import ReimageCore

/// An open qcow2 image.
final class QCOW2Image: DiskImage {
    let format: FormatName = "qcow2"

    private let store: any ByteStore
    private let layout: Layout
    /// The size of the disk shown: the active one's or the snapshot's.
    private let byteCount: UInt64
    private let disk: Result<QCOW2Disk, ImageError>
    private let remarks: [String]

    init(_ source: ImageSource, _ context: OpenContext) throws(ImageError) {
        store = try source.randomAccess(for: "qcow2")
        layout = try Layout(store)
        var state = layout.active
        if let wanted = context.snapshot {
            var table = SnapshotTable(store, header: layout.header)
            state = try layout.state(of: try table.find(wanted), fileByteCount: store.byteCount)
        }
        byteCount = state.byteCount
        remarks = layout.remarks(byteCount: state.byteCount)
        disk = try Self.disk(store, layout, state, source, context)
        for remark in remarks { context.note(Note(remark)) }
    }

    func content() throws(ImageError) -> DiskContent { .random(try disk.get()) }

    func info() throws(ImageError) -> ImageInfo {
        do {
            return try layout.info(store, byteCount: byteCount, remarks: remarks)
        } catch {
            throw error.inFile(store.name)
        }
    }

    /// The disk, or why there is none though the image can be described.
    private static func disk(
        _ store: any ByteStore, _ layout: Layout, _ state: Layout.State, _ source: ImageSource, _ context: OpenContext
    ) throws(ImageError) -> Result<QCOW2Disk, ImageError> {
        let header = layout.header
        guard header.cryptMethod == .none else {
            let method = header.cryptMethod == .luks ? "LUKS" : "AES (the legacy method of qcow2)"
            return .failure(
                ImageError(
                    .unsupported, "the disk is encrypted with \(method), which cannot be read yet",
                    at: .host(HostOffset(UInt64(Header.Field.cryptMethod))), file: store.name))
        }
        var references: [Reference] = []
        if layout.hasDataFile, let data = layout.dataFile { references.append(data) }
        if let backing = layout.backing { references.append(backing) }
        if let first = references.first, !context.opensReferences {
            return .failure(
                ImageError(
                    .refused, "the image was opened without the \(first.role) '\(first.name)' that it needs",
                    file: store.name))
        }
        var data = store
        var below: (any BlockDevice)?
        for reference in references {
            guard let resolver = context.references else {
                throw ImageError(
                    .refused,
                    "the image needs the \(reference.role) '\(reference.name)', and references are not allowed",
                    file: store.name)
            }
            if reference.role == Layout.dataFileRole {
                data = try resolver.openStore(reference, of: source)
            } else {
                below = try backingDisk(try resolver.openImage(reference, of: source), reference, store)
            }
        }
        let decoder = L2Decoder(
            geometry: layout.geometry, isVersion2: header.version == 2, fileByteCount: store.byteCount,
            dataByteCount: data.byteCount, hasDataFile: layout.hasDataFile, reserved: state.reserved)
        let mapping = Mapping(byteCount: state.byteCount, l1: state.l1, decoder: decoder, cache: TableCache(store))
        return .success(
            QCOW2Disk(
                store: store, data: data, mapping: mapping, geometry: layout.geometry,
                compression: layout.compression, below: below,
                windowLogMax: windowLog(memory: context.decoderMemoryLimit)))
    }

    static func backingDisk(
        _ image: any DiskImage, _ reference: Reference, _ store: any ByteStore
    ) throws(ImageError) -> any BlockDevice {
        switch try image.content() {
        case .random(let device): return device
        case .stream:
            throw ImageError(
                .refused, "the backing file '\(reference.name)' can only be read front to back", file: store.name,
                advice: "Unpack it, and let the image name the unpacked file.")
        }
    }

    /// The largest window within `memory`; 128 MiB at most, as other readers have it.
    static func windowLog(memory: UInt64) -> Int {
        min(max(63 - memory.leadingZeroBitCount, 10), 27)
    }
}
