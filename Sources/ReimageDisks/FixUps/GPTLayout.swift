internal import ReimageCore

/// Where a GPT and its partitions come to lie on a target.
struct GPTLayout {
    /// The table with its places counted in the target's sectors.
    var gpt: GPT
    /// Why the table cannot be laid out there; nothing else is to be used then.
    private(set) var obstacle: ImageError?
    /// Whether the sectors are of another size.
    let isConverted: Bool
    /// Whether the target has the size and the sectors of the image.
    let isSameDisk: Bool
    /// Where the partitions lie in the image.
    let oldPartitionRanges: [GuestRange]
    /// Where the copies of the table lie in the image, whole or damaged.
    let oldTableRanges: [GuestRange]
    private let isSmaller: Bool
    private let target: TargetDisk
    private let arraySectors: UInt64
    private let arrayLBA: UInt64
    private let lastLBA: UInt64

    init(_ table: GPTTable, store: any ByteStore, target: TargetDisk) throws(ImageError) {
        let remains = GPTRemains(table, store: store)
        let old = table.gpt
        let unit = UInt64(table.sectorSize)
        self.target = target
        isConverted = table.sectorSize != target.sectorSize
        isSmaller = target.byteCount < store.byteCount
        isSameDisk = !isConverted && target.sectorCount == store.byteCount / unit
        arraySectors = old.header.arraySectorCount(target.sectorSize)
        arrayLBA = isConverted ? 2 : remains.primaryArrayLBA
        lastLBA = max(target.sectorCount, 1) - 1
        oldTableRanges = try remains.ranges()
        oldPartitionRanges = old.partitions.filter(\.isSomewhere).map { part in
            let count = part.entry.lastLBA - part.entry.firstLBA + 1
            return GuestRange(start: GuestOffset(part.entry.firstLBA * unit), count: count * unit)
        }
        gpt = old
        let least = arrayLBA + 2 * arraySectors + 2
        guard target.sectorCount >= least else {
            obstacle = ImageError(
                .refused, "the target holds \(target.byteCount) bytes, and the GPT alone needs \(least * target.unit)",
                advice: "Choose a larger device.")
            return
        }
        if isConverted {
            let first = old.header.firstUsable.multipliedReportingOverflow(by: unit)
            let place = first.overflow ? nil : first.partialValue.roundedUp(to: target.unit)
            gpt.header.firstUsable = max((place ?? 0) / target.unit, arrayLBA + arraySectors)
        }
        let mostUsable = lastLBA - arraySectors - 1
        // A table that was made for a disk of this size keeps the bounds that its maker chose.
        let oldLast = old.header.ownLBA == 1 ? old.header.otherLBA : old.header.ownLBA
        let isSettled = isSameDisk && oldLast == lastLBA && old.header.lastUsable <= mostUsable
        if !isSettled { gpt.header.lastUsable = mostUsable }
        let isArrayGuessed: Bool
        if case .failure = table.primary { isArrayGuessed = true } else { isArrayGuessed = false }
        placePartitions(mostUsable: mostUsable, checksStart: isConverted || isArrayGuessed)
    }

    // MARK: Partitions

    /// Counts the partitions' places in the target's sectors, and finds one that has none.
    private mutating func placePartitions(mostUsable: UInt64, checksStart: Bool) {
        let (from, to) = (UInt64(gpt.sectorSize), target.unit)
        let moves = "Choose a device with sectors of \(from) bytes, or move the partition in the image."
        var moved: [GPT.Partition] = []
        var excess: (bytes: UInt64, number: Int, end: UInt64) = (0, 0, 0)
        for var part in gpt.partitions {
            guard part.isSomewhere else {
                if isConverted || isSmaller {
                    obstacle = ImageError(
                        .damaged, "partition \(part.number) lies nowhere by its entry",
                        advice: "Remove it from the image's table, or pass --fixups none for an exact copy.")
                }
                continue
            }
            let (start, end) = (part.entry.firstLBA * from, (part.entry.lastLBA + 1) * from)
            if let odd = [start, end].first(where: { $0 % to != 0 }) {
                obstacle = ImageError(
                    .refused,
                    "partition \(part.number) \(odd == start ? "starts" : "ends") at byte \(odd), which is no multiple "
                        + "of the target's sectors of \(to) bytes", advice: moves)
                return
            }
            part.entry.firstLBA = start / to
            part.entry.lastLBA = end / to - 1
            if checksStart && part.entry.firstLBA < arrayLBA + arraySectors {
                obstacle = ImageError(
                    .refused, "partition \(part.number) starts at byte \(start), where the GPT has to be", advice: moves
                )
                return
            }
            if part.entry.lastLBA > mostUsable {
                let bytes = (part.entry.lastLBA - mostUsable) * to
                if bytes > excess.bytes { excess = (bytes, part.number, end) }
            }
            moved.append(part)
        }
        if excess.bytes > 0 {
            obstacle = ImageError(
                .refused,
                "partition \(excess.number) ends at byte \(excess.end), \(excess.bytes) bytes "
                    + "(\(humanSize(excess.bytes))) behind the last that the target has room for",
                advice:
                    "Choose a device of at least \(target.byteCount + excess.bytes) bytes, or shrink the file system "
                    + "and the partition in the image first.")
        }
        if obstacle == nil && isConverted { gpt.replace(moved) }
    }

    // MARK: Places

    /// Both parts of the first copy.
    var primaryRanges: [GuestRange] {
        [
            GuestRange(start: GuestOffset(target.unit), count: target.unit),
            GuestRange(start: GuestOffset(arrayLBA * target.unit), count: arraySectors * target.unit),
        ]
    }

    /// From the backup's entries to the end of the target.
    var backupRange: GuestRange {
        GuestRange(
            start: GuestOffset((lastLBA - arraySectors) * target.unit), count: (arraySectors + 1) * target.unit)
    }

    /// What fills the last sector of the entries.
    var arrayPadding: [UInt8] {
        [UInt8](repeating: 0, count: Int(arraySectors) * target.sectorSize - gpt.array.count)
    }

    /// The header of one copy on the target.
    func header(isPrimary: Bool) -> GPTHeader {
        var header = gpt.header
        header.ownLBA = isPrimary ? 1 : lastLBA
        header.otherLBA = isPrimary ? lastLBA : 1
        header.arrayLBA = isPrimary ? arrayLBA : lastLBA - arraySectors
        return header
    }

    /// What the copies of the table leave behind where they stood.
    var staleRanges: [GuestRange] {
        let kept = primaryRanges + [GuestRange(start: .zero, count: UInt64(MBR.byteCount)), backupRange]
        return GuestRanges(oldTableRanges).ranges.subtracting(kept + oldPartitionRanges)
    }
}

/// Where the two copies of a GPT stand in an image, damaged ones too.
private struct GPTRemains {
    let table: GPTTable
    let store: any ByteStore
    private let unit: UInt64
    private let arraySectors: UInt64

    init(_ table: GPTTable, store: any ByteStore) {
        self.table = table
        self.store = store
        unit = UInt64(table.sectorSize)
        arraySectors = table.gpt.header.arraySectorCount(table.sectorSize)
    }

    /// Where the entries of the first copy are; where it is damaged beyond that, where they mostly are.
    var primaryArrayLBA: UInt64 {
        if case .success(let gpt) = table.primary { return gpt.header.arrayLBA }
        let header = Result { () throws(ImageError) in
            let sector = try store.bytes(at: HostOffset(unit), count: table.sectorSize)
            return try sector.withBytes { (span) throws(ImageError) in try GPTHeader(decoding: span, at: 1) }
        }
        guard case .success(let header) = header, header.arrayLBA > 1, header.arrayLBA < store.byteCount / unit / 2
        else { return 2 }
        return header.arrayLBA
    }

    func ranges() throws(ImageError) -> [GuestRange] {
        var ranges: [GuestRange] = []
        for (copy, header, array) in [
            (table.primary, 1, primaryArrayLBA), (table.backup, lastLBA, lastLBA - min(lastLBA, arraySectors)),
        ] {
            if case .success(let gpt) = copy {
                ranges += [range(gpt.header.ownLBA, 1), range(gpt.header.arrayLBA, arraySectors)]
            } else if try isRemains(header: header, array: array) {
                ranges += [range(header, 1), range(array, arraySectors)]
            }
        }
        return GuestRanges(ranges).ranges
    }

    private var lastLBA: UInt64 { max(store.byteCount / unit, 1) - 1 }

    private func range(_ lba: UInt64, _ count: UInt64) -> GuestRange {
        GuestRange(start: GuestOffset(lba * unit), count: count * unit)
    }

    /// Whether a damaged copy can still be told for one: by its mark, or by half of its used entries.
    private func isRemains(header: UInt64, array: UInt64) throws(ImageError) -> Bool {
        let count = table.gpt.array.count
        guard (header + 1) * unit <= store.byteCount, array * unit + UInt64(count) <= store.byteCount else {
            return false
        }
        do {
            let sector = try store.bytes(at: HostOffset(header * unit), count: table.sectorSize)
            if sector.starts(with: GPTHeader.signature) { return true }
            let entries = try store.bytes(at: HostOffset(array * unit), count: count)
            // Empty entries are like any empty sectors, and prove nothing.
            let used = table.gpt.partitions.map { ($0.number - 1) * table.gpt.header.entrySize }
            let same = used.count { entries[$0..<$0 + 128] == table.gpt.array[$0..<$0 + 128] }
            return same > 0 && same * 2 >= used.count
        } catch {
            guard error.code == .unreadable else { throw error }
            // Sectors that cannot be read hold nothing that could be kept.
            return true
        }
    }
}
