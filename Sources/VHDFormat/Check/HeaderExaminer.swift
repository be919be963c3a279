internal import ReimageCore

/// Looks at the dynamic header by itself, at the places that it names, and at what fills up the table.
struct HeaderExaminer {
    let image: CheckedImage
    let sparse: CheckedImage.Sparse
    let log: FindingLog

    func run() throws(ImageError) {
        let header = sparse.header
        if !header.hasRightChecksum {
            log.found(.corruption, "the dynamic header's checksum is wrong", at: sparse.place)
        }
        let entries = UInt64(header.entries)
        let entriesPlace = sparse.place + UInt64(DynamicHeader.Field.entries)
        if entries < sparse.needed {
            log.found(
                .corruption,
                "the block allocation table has \(entries) entries, and the disk needs \(sparse.needed)",
                at: entriesPlace, guest: rest(from: entries))
        } else if entries > sparse.needed {
            log.found(
                .remark,
                "the block allocation table has \(entries) entries, and the disk needs \(sparse.needed): 7-Zip refuses "
                    + "such images", at: entriesPlace)
        }
        if UInt64(sparse.table.count) < entries {
            log.found(
                .corruption,
                "the block allocation table (\(entries) entries) passes the end of the file", at: sparse.table.start,
                guest: rest(from: UInt64(sparse.table.count)))
        } else if sparse.table.start.value + UInt64(sparse.table.byteCount) > image.dataEnd {
            log.found(.corruption, "the block allocation table reaches into the footer", at: sparse.table.start)
        }
        locators()
        overlaps()
        try padding()
    }

    /// The guest's bytes of the blocks from `index` on.
    private func rest(from index: UInt64) -> GuestRange? {
        guard index < sparse.needed else { return nil }
        return image.guest(Int(index), count: Int(sparse.needed - index))
    }

    private func locators() {
        guard image.kind == .differencing else { return }
        for (index, locator) in sparse.header.locators.enumerated() where locator.dataLength > 0 {
            guard !image.contains(locator.dataOffset, count: UInt64(locator.dataLength)) else { continue }
            log.found(
                .corruption,
                "parent locator \(index) (\(locator.dataLength) bytes at \(locator.dataOffset)) passes the end of the "
                    + "file", at: sparse.place + UInt64(DynamicHeader.Field.locators))
        }
    }

    private func overlaps() {
        let areas = image.areas(surplus: true)
        for (first, second) in zip(areas, areas.dropFirst()) where second.range.lowerBound < first.range.upperBound {
            log.found(
                .corruption, "\(second.name) lies on \(first.name)", at: HostOffset(second.range.lowerBound))
        }
    }

    private func padding() throws(ImageError) {
        guard let range = image.tablePadding(sparse) else { return }
        let bytes = try image.store.bytes(at: range.start, count: Int(range.count))
        guard bytes.contains(where: { $0 != 0xFF }) else { return }
        let isZero = bytes.withBytes { $0.isZero }
        log.found(
            .remark,
            "the last sector of the block allocation table is filled up with \(isZero ? "zeros" : "other bytes") "
                + "instead of ones", at: range.start)
    }
}

extension CheckedImage {
    /// What is left of the table's last sector; `nil` where the table does not begin with a sector, or is not just
    /// as long as the disk needs it, so that blocks may lie there, and where some name does.
    func tablePadding(_ sparse: Sparse) -> HostRange? {
        let table = sparse.table
        let start = table.start.value + UInt64(table.byteCount)
        guard table.start.value % Geometry.sectorSize == 0, UInt64(sparse.header.entries) == sparse.needed,
            UInt64(table.count) == sparse.needed,
            let stop = start.roundedUp(to: Geometry.sectorSize), stop > start, stop <= dataEnd
        else { return nil }
        let isShared = areas(surplus: true).contains { area in
            area.range.lowerBound != table.start.value && area.range.overlaps(start..<stop)
        }
        return isShared ? nil : HostRange(from: HostOffset(start), to: HostOffset(stop))
    }
}
