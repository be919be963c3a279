internal import ReimageCore

/// What the fields of an archive's records are checked against.
struct RecordRules: Hashable, Sendable {
    let tag: UInt64
    let geometry: Geometry
    let logicalSector: UInt32
    /// Whether records may have been written before the disk's size was known.
    let isSizeLate: Bool
    /// The archive's length in bytes; no record passes it.
    let byteCount: UInt64

    /// The rules of the archive that starts with `header`, whose disk has `diskByteCount` bytes.
    init(_ header: FileHeader, diskByteCount: UInt64, byteCount: UInt64) throws(ImageError) {
        tag = header.tag
        geometry = try Geometry(
            byteCount: diskByteCount, chunkLog2: header.chunkLog2, leafLog2: header.leafLog2)
        logicalSector = header.logicalSector
        isSizeLate = header.flags.contains(.sizeLate)
        self.byteCount = byteCount
    }

    /// Rules for records without a file header.
    init(tag: UInt64, geometry: Geometry, logicalSector: UInt32, isSizeLate: Bool, byteCount: UInt64) {
        self.tag = tag
        self.geometry = geometry
        self.logicalSector = logicalSector
        self.isSizeLate = isSizeLate
        self.byteCount = byteCount
    }

    /// Whether a record may give `size` for the disk's.
    func takes(diskSize size: UInt64) -> Bool {
        size == geometry.byteCount || isSizeLate && size == FileHeader.unknownSize
    }

    /// Whether `count` bytes from `offset` lie behind the file header and inside the archive.
    func holds(_ offset: UInt64, count: UInt64) -> Bool {
        offset >= UInt64(FileHeader.byteCount) && count <= byteCount && offset <= byteCount - count
    }
}
