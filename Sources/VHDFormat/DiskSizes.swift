internal import ReimageCore

/// The two sizes that a footer has for a disk, and the one that counts.
///
/// The footer keeps the size in bytes, and the geometry of the ATA disk that a guest of Virtual PC saw, which is usually
/// a little smaller. Programs go by the size, but for images of Virtual PC and of QEMU, whose guests had the geometry.
struct DiskSizes: Hashable {
    /// The size in bytes that the footer has.
    let current: UInt64
    /// What the geometry spans.
    let geometry: UInt64
    /// The disk's length.
    let chosen: UInt64
    /// Why that one, where they differ and it matters.
    let remark: String?

    /// - Throws: `.damaged` for a size that no disk can have.
    init(_ footer: Footer, _ rule: ReaderOptions.SizeRule?, at place: HostOffset) throws(ImageError) {
        current = footer.currentSize
        geometry = footer.geometry.byteCount
        guard current > 0, current <= Footer.mostBytes, current % Geometry.sectorSize == 0 else {
            throw .damaged(
                "a disk of \(current) bytes: a VHD has 512 to \(Footer.mostBytes), in whole sectors of 512",
                at: place + UInt64(Footer.Field.currentSize))
        }
        let isShorter = geometry > 0 && geometry < current && !footer.geometry.isLargest
        switch rule {
        case .current:
            chosen = current
            remark = nil
        case .chs:
            guard geometry > 0, geometry <= current else {
                throw ImageError(
                    .invalidArgument,
                    "the geometry \(footer.geometry) (\(geometry) bytes) cannot be the size of a disk of \(current)",
                    at: .host(place + UInt64(Footer.Field.geometry)))
            }
            chosen = geometry
            remark = nil
        case nil where isShorter && footer.creator.countsByGeometry:
            chosen = geometry
            remark =
                "two sizes: the footer has \(current) bytes and its geometry \(footer.geometry) \(geometry); the "
                + "geometry was taken, as guests of its creator '\(footer.creator.text)' see it (--vhd-size decides)"
        case nil:
            chosen = current
            if footer.creator.countsByGeometry && geometry == 0 {
                remark = "the geometry is empty; the size in bytes was taken (\(current))"
            } else {
                remark = nil
            }
        }
    }

    /// Whether the footer's two sizes disagree in a way that programs read differently.
    func disagree(in footer: Footer) -> Bool { geometry != current && !footer.geometry.isLargest }
}
