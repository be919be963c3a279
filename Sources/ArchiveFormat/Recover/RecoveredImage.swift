internal import ReimageCore

/// What is left of an archive, which may be whole.
final class RecoveredImage: DiskImage {
    let format: FormatName = ArchiveFormat.formatName

    private let disk: RecoveredDisk
    private let remarks: [String]

    init(_ source: ImageSource, _ context: OpenContext) throws(ImageError) {
        let store = try source.randomAccess(for: ArchiveFormat.formatName)
        let index = try RecoveredIndex(store, header: try ArchiveImage.header(store), context.cancellation)
        disk = RecoveredDisk(index)
        switch index.basis {
        case .root(let index): remarks = index.remarks
        case .scan(let scan): remarks = Self.remarks(scan)
        }
        for remark in remarks { context.note(Note(remark)) }
    }

    private static func remarks(_ scan: ArchiveScan) -> [String] {
        var remarks = [
            "The archive has no valid index; \(scan.recordCount) records of it were found, up to byte \(scan.end)."
        ]
        if scan.isSizeGuessed {
            remarks.append("The disk's size is not known: it is at least \(scan.rules.geometry.byteCount) bytes.")
        }
        if scan.slots.isFull { remarks.append("More of its records are out of order than can be looked at.") }
        return remarks
    }

    func content() throws(ImageError) -> DiskContent { .random(disk) }

    var isPartial: Bool {
        if disk.hasLost { return true }
        guard case .root(let index) = disk.index.basis else { return false }
        return !index.footer.flags.contains(.complete)
    }

    func info() throws(ImageError) -> ImageInfo {
        switch disk.index.basis {
        case .root(let index): return try index.info(disk.store, remarks: remarks)
        case .scan(let scan):
            return ImageInfo(
                virtualSize: scan.rules.geometry.byteCount, clusterSize: scan.rules.geometry.chunkSize,
                uniqueID: scan.header?.uniqueID, isDirty: true, specific: scan.header?.infoFields ?? [],
                remarks: remarks)
        }
    }
}
