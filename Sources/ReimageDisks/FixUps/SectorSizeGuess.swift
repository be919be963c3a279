internal import ReimageCore

/// Finds out which sectors a partition table counts in; images seldom say it.
struct SectorSizeGuess {
    private let store: any ByteStore
    private let mbr: MBR

    init(_ store: any ByteStore, _ mbr: MBR) {
        self.store = store
        self.mbr = mbr
    }

    /// The sector in bytes: the one that is `said`, unless the disk itself plainly shows another.
    /// - Throws: `.unreadable` on an I/O error.
    func sectorSize(said: Int) throws(ImageError) -> Int {
        let sizes = [said] + [512, 4096].filter { $0 != said }
        return try mbr.isProtective ? byHeader(sizes) ?? said : byContents(sizes) ?? said
    }

    /// A GPT's header stands in sector 1, and again in the last one.
    private func byHeader(_ sizes: [Int]) throws(ImageError) -> Int? {
        for isPrimary in [true, false] {
            for size in sizes {
                let sectors = store.byteCount / UInt64(size)
                guard sectors > 2 else { continue }
                do {
                    _ = try GPT(at: isPrimary ? 1 : sectors - 1, of: store, sectorSize: size)
                    return size
                } catch {
                    // Damaged or unreadable: the other copy and the other size are left to look at.
                    continue
                }
            }
        }
        return nil
    }

    /// Where an MBR's partitions start there is mostly something that can be told.
    private func byContents(_ sizes: [Int]) throws(ImageError) -> Int? {
        for size in sizes {
            let table = try MBRTable(mbr, of: store, sectorSize: size)
            for part in table.partitions.prefix(8) where part.firstLBA > 0 && part.firstLBA < table.sectorCount {
                let count = min(part.count, table.sectorCount - part.firstLBA)
                let range = HostRange(start: HostOffset(part.firstLBA * UInt64(size)), count: count * UInt64(size))
                if try !ContentProbe(store, range: range).signatures().isEmpty { return size }
            }
        }
        return nil
    }
}
