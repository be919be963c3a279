internal import ReimageCore

extension FixUpPlanner {
    mutating func planMBR(_ table: MBRTable) throws(ImageError) {
        for problem in table.problems { warn("\(problem.message).") }
        let isConverted = table.sectorSize != target.sectorSize
        if let problem = table.problems.first, isConverted || isSmaller {
            var error = problem
            error.advice = "Repair the image's table, or pass --fixups none for an exact copy."
            throw error
        }
        try requireRoom(table)
        var table = table
        if isConverted {
            add(
                .sectorSize,
                "the table is written anew for sectors of \(target.sectorSize) bytes; it was for \(table.sectorSize)")
            warn("boot code that counts sectors of \(table.sectorSize) bytes will not start from the target.")
            for entry in PartitionTable.mbr(table).entries { try warnOfSectors(entry) }
        }
        let old = PartitionTable.mbr(table).entries
        if isConverted { try convert(&table) }
        if options.newIDs {
            let id = max(UInt32(truncatingIfNeeded: options.random()), 1)
            add(.diskID, "the disk's id \(hexID(table.mbr.diskID)) becomes \(hexID(id))")
            table.mbr.diskID = id
            warnOfNewIDs()
        }
        if options.growLast { try growLast(&table, old) }
        try put(table.mbr.bytes, at: 0)
        for link in table.links { try put(link.record.bytes, at: link.lba * target.unit) }
    }

    private func hexID(_ id: UInt32) -> String {
        let digits = String(id, radix: 16)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }

    /// Refuses where a partition, or anything behind the last, passes the end of the target.
    private func requireRoom(_ table: MBRTable) throws(ImageError) {
        guard isSmaller else { return }
        let unit = UInt64(table.sectorSize)
        var ends = table.partitions.map { ("partition \($0.number)", ($0.firstLBA + $0.count) * unit) }
        if let index = table.container { ends.append(("the extended partition", table.mbr[index].end * unit)) }
        if let (name, end) = ends.max(by: { $0.1 < $1.1 }), end > target.byteCount {
            let excess = end - target.byteCount
            throw ImageError(
                .refused,
                "\(name) ends at byte \(end), \(excess) bytes (\(humanSize(excess))) behind the end of the target",
                advice: "Choose a device of at least \(end) bytes, or shrink the file system and the partition in the "
                    + "image first.")
        }
        let tail = GuestRange(from: GuestOffset(target.byteCount), to: GuestOffset(disk.byteCount))
        try requireNoData(in: [tail], "that the target has no room for")
    }

    // MARK: Sectors

    private func convert(_ table: inout MBRTable) throws(ImageError) {
        let old = table.sectorSize
        for part in table.partitions {
            let name = "partition \(part.number)"
            if let link = part.link {
                try convert(
                    &table.links[link].record[part.index], name, from: old, absoluteStart: part.firstLBA)
            } else {
                try convert(&table.mbr[part.index], name, from: old, absoluteStart: part.firstLBA)
            }
        }
        for index in 0..<4 where table.mbr[index].isExtended {
            let start = UInt64(table.mbr[index].start)
            try convert(&table.mbr[index], "the extended partition", from: old, absoluteStart: start)
        }
        for index in table.links.indices {
            let lba = table.links[index].lba
            for entry in 0..<4 where table.links[index].record[entry].isExtended {
                let name = "an extended boot record"
                try convert(&table.links[index].record[entry], name, from: old, absoluteStart: lba)
            }
            table.links[index].lba = try converted(lba, "an extended boot record", from: old)
        }
    }

    /// Counts an entry in the target's sectors.
    /// - Parameter absoluteStart: where the partition starts on the disk, in old sectors.
    func convert(
        _ entry: inout MBREntry, _ name: String, from old: Int, absoluteStart: UInt64
    ) throws(ImageError) {
        let start = try converted(UInt64(entry.start), name, from: old)
        let count = try converted(entry.end, name, from: old) - start
        guard let start = UInt32(exactly: start), let count = UInt32(exactly: count) else {
            throw ImageError(
                .refused,
                "\(name) lies further than an MBR can say in sectors of \(target.sectorSize) bytes",
                advice: "Choose a device with sectors of \(old) bytes.")
        }
        entry.move(start: start, count: count, absoluteStart: absoluteStart * UInt64(old) / target.unit)
    }

    /// A place in old sectors, in those of the target.
    func converted(_ lba: UInt64, _ name: String, from old: Int) throws(ImageError) -> UInt64 {
        let offset = lba * UInt64(old)
        guard offset % target.unit == 0 else {
            throw ImageError(
                .refused,
                "\(name) starts or ends \(offset) bytes from its base, which is no multiple of the target's sectors of "
                    + "\(target.sectorSize) bytes",
                advice: "Choose a device with sectors of \(old) bytes, or move the partition in the image.")
        }
        return offset / target.unit
    }

    // MARK: Growing

    private mutating func growLast(_ table: inout MBRTable, _ old: [PartitionEntry]) throws(ImageError) {
        let scale = UInt64(table.sectorSize)
        guard let part = table.partitions.max(by: { $0.firstLBA + $0.count < $1.firstLBA + $1.count }) else {
            return warn("there is no partition to enlarge.")
        }
        let end = (part.firstLBA + part.count) * scale / target.unit
        let start = part.firstLBA * scale / target.unit
        // Numbers of an MBR have 32 bits: an end further out cannot be said.
        let limit = min(target.sectorCount, start + UInt64(UInt32.max), UInt64(UInt32.max))
        guard let grown = grownEnd(from: end, to: limit) else {
            return warn("partition \(part.number) reaches the end of the target already.")
        }
        if limit < target.sectorCount { warn("an MBR cannot say more than \(limit) sectors; the rest stays unused.") }
        let more = UInt32(grown - end)
        if let link = part.link {
            guard let index = table.container, table.mbr[index].end <= grown else {
                return warn("partition \(part.number) is not the last of the disk, and is not enlarged.")
            }
            let base = UInt64(table.mbr[index].start)
            let isInTheWay = table.mbr.entries.contains { $0.isUsed && !$0.isExtended && UInt64($0.start) >= end }
            guard !isInTheWay else {
                return warn("partition \(part.number) is followed by others, and is not enlarged.")
            }
            enlarge(&table.mbr[index], to: grown, absoluteStart: base)
            enlarge(&table.links[link].record[part.index], by: more, absoluteStart: start)
            // The record before it says how long this one and its partition are together.
            for other in table.links.indices {
                for entry in 0..<4 where table.links[other].record[entry].isExtended {
                    let target = base + UInt64(table.links[other].record[entry].start)
                    guard target == table.links[link].lba else { continue }
                    enlarge(&table.links[other].record[entry], by: more, absoluteStart: target)
                }
            }
        } else {
            enlarge(&table.mbr[part.index], by: more, absoluteStart: start)
        }
        guard let entry = old.first(where: { $0.number == part.number }) else { return }
        try grew(entry, by: UInt64(more) * target.unit)
    }

    private func enlarge(_ entry: inout MBREntry, by more: UInt32, absoluteStart: UInt64) {
        entry.move(start: entry.start, count: entry.count + more, absoluteStart: absoluteStart)
    }

    private func enlarge(_ entry: inout MBREntry, to end: UInt64, absoluteStart: UInt64) {
        entry.move(start: entry.start, count: UInt32(clamping: end - UInt64(entry.start)), absoluteStart: absoluteStart)
    }
}
