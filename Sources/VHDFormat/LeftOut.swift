internal import ReimageCore

/// What is stored behind the end of the disk, where its length was chosen so that something may be left out: the image
/// has two sizes, or a fixed one holds more than its footer says.
struct LeftOut {
    let store: any ByteStore
    let layout: Layout
    /// The parent's names, where there are any.
    let names: ParentNames?
    let options: ReaderOptions
    let context: OpenContext

    /// Goes on where all of it is zeros, and where the user chose the size.
    /// - Throws: `.refused` where there is data; `.damaged` where that cannot be told.
    func check() throws(ImageError) {
        guard let disk = longerDisk(), disk.byteCount > layout.byteCount else { return }
        guard options.size == nil else {
            let count = disk.byteCount - layout.byteCount
            return context.note(
                Note(
                    "\(store.name): \(count) bytes behind the disk's end were left out, as the size of "
                        + "\(layout.byteCount) was asked for"))
        }
        guard let place = try disk.firstNonZero(from: GuestOffset(layout.byteCount), context.cancellation) else {
            return
        }
        let sizes = layout.sizes
        var advice = "Pass --vhd-size current for a disk of \(sizes.current) bytes"
        if sizes.geometry > 0, sizes.geometry < sizes.current {
            advice += ", or --vhd-size chs for one of \(sizes.geometry), which loses the rest"
        } else {
            advice += ", which loses what lies behind"
        }
        throw ImageError(
            .refused,
            "the disk's size is \(sizes.current) bytes by its footer and \(sizes.geometry) by its geometry "
                + "(\(layout.footer.geometry)), but there is data at \(place), behind the \(layout.byteCount) bytes that "
                + "were taken", at: .guest(place), file: store.name, advice: advice + ".")
    }

    /// The disk with all that may be stored of it in this image, without the parent's part.
    private func longerDisk() -> (any BlockDevice)? {
        let sizes = layout.sizes
        guard let sparse = layout.sparse else { return FixedDisk(store: store, byteCount: layout.dataEnd) }
        let geometry = layout.footer.geometry.isLargest ? 0 : sizes.geometry
        let wanted = max(sizes.current, geometry)
        // Entries that are no longer in the file say nothing.
        let entries = min(
            wanted.dividedRoundingUp(by: sparse.blockSize), UInt64(sparse.header.entries),
            (layout.fileByteCount - sparse.table.start.value) / 4)
        let byteCount = min(wanted, entries * sparse.blockSize)
        guard
            let range = try? TableRange(
                "the block allocation table", offset: sparse.table.start.value, count: entries, stride: 4,
                within: layout.fileByteCount)
        else { return nil }
        // No program stores what only the geometry spans, so the file may end before that.
        let table = BlockTable(
            store, layout, sparse, range: range, byteCount: min(byteCount, sizes.current), names: names?.places ?? [])
        return VHDDisk(
            store, Mapping(byteCount: byteCount, table: table, hasParent: layout.kind == .differencing), parent: nil)
    }
}
