internal import ReimageCore

extension Layout {
    static let dataFileRole = "data file"

    /// The data file as the image names it.
    var dataFile: Reference? {
        extensions.dataFileName.map { Reference(role: Self.dataFileRole, name: $0, format: .raw) }
    }

    /// The backing file as the image names it.
    var backing: Reference? {
        extensions.backingName.map { name in
            Reference(role: "backing file", name: name, format: extensions.backingFormat.map { FormatName($0) })
        }
    }

    /// What the user should know of a disk of `byteCount` bytes.
    func remarks(byteCount: UInt64) -> [String] {
        var remarks: [String] = []
        if header.incompatible.contains(.dirty) {
            remarks.append("The image was not closed cleanly: its refcounts may be stale; its data can be read.")
        }
        if header.incompatible.contains(.corrupt) {
            remarks.append(
                "The image is marked corrupt: a program found its tables damaged. Check what is read from it.")
        }
        if byteCount % 512 != 0 {
            remarks.append(
                "The disk's size is no multiple of 512: QEMU shows its first \(byteCount.roundedDown(to: 512)) bytes, "
                    + "reimage all \(byteCount).")
        }
        if hasDataFile, header.snapshotCount > 0 {
            remarks.append("The image has snapshots and a data file, which cannot be: its snapshots are not readable.")
        }
        if header.autoclear.contains(.rawDataFile), backing != nil {
            remarks.append("The image has a raw data file and a backing file: the data file alone is not the disk.")
        }
        return remarks
    }

    /// What the image says of itself.
    /// - Throws: `.damaged` where the snapshot table changed since the image was opened.
    func info(_ store: any ByteStore, byteCount: UInt64, remarks: [String]) throws(ImageError) -> ImageInfo {
        var remarks = remarks
        var snapshots: [ImageInfo.Snapshot] = []
        var table = SnapshotTable(store, header: header)
        try table.forEach { snapshots.append($0.info) }
        let bitmaps = bitmaps(store, &remarks)
        return ImageInfo(
            virtualSize: byteCount, clusterSize: header.clusterSize, backing: backing,
            isDirty: header.incompatible.contains(.dirty), isEncrypted: header.cryptMethod != .none,
            snapshots: snapshots, specific: fields(bitmaps), remarks: remarks)
    }

    /// The bitmaps, and a remark where they cannot be trusted; none of that keeps the disk from being read.
    private func bitmaps(_ store: any ByteStore, _ remarks: inout [String]) -> [Bitmap] {
        guard let directory = extensions.bitmaps else {
            if header.autoclear.contains(.bitmaps) {
                remarks.append("The image claims to have bitmaps, but does not list them.")
            }
            return []
        }
        guard header.autoclear.contains(.bitmaps) else {
            remarks.append(
                "The image has bitmaps that do not agree with its data: a program that knows none wrote to it.")
            return []
        }
        switch Result(catching: { () throws(ImageError) in
            try Bitmap.list(store, extension: directory, clusterSize: header.clusterSize)
        }) {
        case .success(let bitmaps): return bitmaps
        case .failure(let error):
            remarks.append("The bitmaps cannot be listed: \(error.description)")
            return []
        }
    }

    /// The fields that `qemu-img info --output=json` has for this format, under its names. Version 2 has them all too.
    private func fields(_ bitmaps: [Bitmap]) -> [InfoField] {
        var fields = [
            InfoField("compat", .text(header.version == 2 ? "0.10" : "1.1")),
            InfoField("compression-type", .text(compression.name)),
            InfoField("lazy-refcounts", .flag(header.compatible.contains(.lazyRefcounts))),
            InfoField("refcount-bits", .number(1 << UInt64(header.refcountOrder))),
            InfoField("corrupt", .flag(header.incompatible.contains(.corrupt))),
            InfoField("extended-l2", .flag(geometry.hasSubclusters)),
        ]
        if hasDataFile, let dataFile {
            fields.append(InfoField("data-file", .text(dataFile.name)))
            fields.append(InfoField("data-file-raw", .flag(header.autoclear.contains(.rawDataFile))))
        }
        if header.cryptMethod != .none {
            fields.append(InfoField("encrypt", .fields([InfoField("format", .text(header.cryptMethod.name))])))
        }
        if !bitmaps.isEmpty { fields.append(InfoField("bitmaps", .list(bitmaps.map(\.info)))) }
        return fields
    }
}

extension Snapshot {
    /// The snapshot as `info` shows it.
    var info: ImageInfo.Snapshot {
        ImageInfo.Snapshot(
            id: id, name: name, vmStateSize: vmStateSize, dateSeconds: dateSeconds, dateNanoseconds: dateNanoseconds,
            vmClockNanoseconds: vmClockNanoseconds, byteCount: byteCount, instructionCount: instructionCount)
    }
}

extension Bitmap {
    /// The bitmap as `info` shows it.
    var info: InfoValue {
        var names: [InfoValue] = []
        if flags.contains(.inUse) { names.append(.text("in-use")) }
        if flags.contains(.auto) { names.append(.text("auto")) }
        return .fields([
            InfoField("flags", .list(names)), InfoField("name", .text(name)),
            InfoField("granularity", .number(1 << UInt64(granularityBits))),
        ])
    }
}
