internal import ReimageCore

extension FixUpPlanner {
    mutating func planGPT(_ table: GPTTable) throws(ImageError) {
        for problem in table.problems { warn("\(problem.message).") }
        var layout = try GPTLayout(table, store: store, target: target)
        if let obstacle = layout.obstacle {
            // The image contradicts itself; as long as nothing has to change, a copy of it is what was asked for.
            guard layout.isSameDisk && !isAskedFor else { throw obstacle }
            return warn("\(obstacle.message); the partition table is copied as it is.")
        }
        try requireRoom(layout)
        if layout.isConverted {
            add(
                .sectorSize,
                "the table is written anew for sectors of \(target.sectorSize) bytes; it was for \(table.sectorSize)")
            for entry in PartitionTable.gpt(table).entries { try warnOfSectors(entry) }
        }
        if options.newIDs { giveNewIDs(&layout) }
        if options.growLast { try growLast(&layout, table) }
        try write(layout, table)
        try writeProtectiveMBR(table)
    }

    /// Refuses where headers and entries would come to lie on data that no partition has.
    private func requireRoom(_ layout: GPTLayout) throws(ImageError) {
        let end = GuestOffset(disk.byteCount)
        let known = layout.oldTableRanges + layout.oldPartitionRanges
        let tail = GuestRange(from: min(layout.backupRange.start, end), to: end)
        try requireNoData(
            in: [tail].subtracting(known),
            isSmaller ? "that the target has no room for" : "where the backup GPT belongs")
        try requireNoData(
            in: layout.primaryRanges.subtracting(known), "where the first copy of the GPT belongs")
    }

    // MARK: Changes

    private mutating func giveNewIDs(_ layout: inout GPTLayout) {
        let old = layout.gpt.header.diskID
        layout.gpt.header.diskID = GUID(random: options.random)
        add(.diskID, "the disk's id \(old) becomes \(layout.gpt.header.diskID)")
        var parts = layout.gpt.partitions
        for index in parts.indices {
            parts[index].entry.id = GUID(random: options.random)
            let number = parts[index].number
            add(.partitionID, "partition \(number) gets the id \(parts[index].entry.id)", partition: number)
        }
        layout.gpt.replace(parts)
        warnOfNewIDs()
    }

    private mutating func growLast(_ layout: inout GPTLayout, _ table: GPTTable) throws(ImageError) {
        guard
            var part = layout.gpt.partitions.filter(\.isSomewhere).max(by: { $0.entry.lastLBA < $1.entry.lastLBA })
        else { return warn("there is no partition to enlarge.") }
        let end = part.entry.lastLBA + 1
        guard let grown = grownEnd(from: end, to: layout.gpt.header.lastUsable + 1) else {
            return warn("partition \(part.number) reaches the end of the target already.")
        }
        part.entry.lastLBA = grown - 1
        layout.gpt.replace([part])
        if table.mbr.isHybrid { warn("the hybrid MBR keeps the old size of its partitions.") }
        guard let entry = PartitionTable.gpt(table).entries.first(where: { $0.number == part.number }) else { return }
        try grew(entry, by: (grown - end) * target.unit)
    }

    // MARK: Bytes

    private mutating func write(_ layout: GPTLayout, _ table: GPTTable) throws(ImageError) {
        for range in layout.staleRanges { erase(range) }
        let primary = layout.header(isPrimary: true)
        let backup = layout.header(isPrimary: false)
        let isPrimaryNew = try put(primary, layout)
        let isBackupNew = try put(backup, layout)
        if case .failure(let error) = table.primary, isPrimaryNew {
            add(.repairedPrimary, "the first copy of the GPT is written anew from the backup (\(error.message))")
        }
        let place = backup.ownLBA * target.unit
        switch table.backup {
        case .failure(let error) where isBackupNew:
            add(.repairedBackup, "the backup of the GPT is written anew, at byte \(place) (\(error.message))")
        case .success(let old) where isBackupNew:
            let oldPlace = old.header.ownLBA * UInt64(table.sectorSize)
            if oldPlace != place {
                add(.movedBackup, "the backup of the GPT moves from byte \(oldPlace) to \(place)")
            } else if !table.gpt.agrees(with: old) {
                add(.repairedBackup, "the backup of the GPT is written anew from the first copy")
            }
        default: break
        }
        let usable = table.gpt.header.lastUsable
        if !layout.isConverted && usable != primary.lastUsable {
            add(.usableRange, "the last sector for partitions becomes \(primary.lastUsable) (it was \(usable))")
        }
        let erased = layout.staleRanges.filter { $0.start.value < plan.contentByteCount }
        if !erased.isEmpty {
            let places = erased.map(\.start.description).joined(separator: ", ")
            add(.erasedStale, "older copies of the table are erased (at byte \(places))")
        }
    }

    /// Puts a copy of the table where its header says.
    /// - Returns: whether the image has another there.
    private mutating func put(_ header: GPTHeader, _ layout: GPTLayout) throws(ImageError) -> Bool {
        let isArrayNew = try put(layout.gpt.array + layout.arrayPadding, at: header.arrayLBA * target.unit)
        return try put(header.encoded(sectorSize: target.sectorSize), at: header.ownLBA * target.unit) || isArrayNew
    }

    private mutating func writeProtectiveMBR(_ table: GPTTable) throws(ImageError) {
        var mbr = table.mbr
        if mbr.isHybrid {
            warn("the MBR beside the GPT holds partitions too (a hybrid MBR); it is kept.")
            if table.sectorSize != target.sectorSize { try convertHybrid(&mbr, from: table.sectorSize) }
        } else if let index = mbr.entries.firstIndex(where: { $0.type == MBREntry.protective && $0.start == 1 }) {
            let count = UInt32(clamping: target.sectorCount - 1)
            // Some tools write the largest number whatever the size, which every system takes.
            if mbr[index].count != count && mbr[index].count != .max { mbr[index].count = count }
        }
        if try put(mbr.bytes, at: 0) {
            add(.protectiveMBR, "the protective MBR says \(target.sectorCount) sectors of \(target.sectorSize) bytes")
        }
    }

    private func convertHybrid(_ mbr: inout MBR, from old: Int) throws(ImageError) {
        for index in 0..<4 where mbr[index].isUsed {
            let name = "entry \(index + 1) of the hybrid MBR"
            if mbr[index].type == MBREntry.protective && mbr[index].start == 1 {
                // It begins in the sector behind the MBR, whatever the sector; only its end is a place on the disk.
                let end = try converted(mbr[index].end, name, from: old)
                mbr[index].count = UInt32(clamping: max(end, 2) - 1)
            } else {
                try convert(&mbr[index], name, from: old, absoluteStart: UInt64(mbr[index].start))
            }
        }
    }
}

extension GPT.Partition {
    /// Whether the entry says a place at all, one whose bytes can be counted.
    var isSomewhere: Bool {
        entry.firstLBA > 0 && entry.firstLBA <= entry.lastLBA && entry.lastLBA < UInt64(Int64.max) / 4096
    }
}
