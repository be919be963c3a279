internal import ReimageCore

// New refcount blocks, a longer refcount table, and runs of clusters. Each of these is a change of its own: it is on the
// medium, and the file sound, before the call returns.
extension HostSpace {
    /// Makes `cluster`, which is free, the refcount block that counts it and its neighbours.
    mutating func addBlock(_ cluster: UInt64) throws(ImageError) {
        let index = cluster >> coding.entryBits
        guard index < UInt64(blocks.count) else { return try growTable(toCover: cluster) }
        try writeBlock(at: cluster, counting: cluster..<cluster + 1, of: index)
        try store.sync()
        try link(cluster, as: index)
    }

    /// `count` free clusters in one piece, counted once from now on, on the medium; their content is anything.
    mutating func takeRun(_ count: UInt64) throws(ImageError) -> UInt64 {
        var plan: RunPlan
        if let gap = try gap(of: count) {
            plan = try planRun(count, from: gap)
        } else {
            plan = try planRun(count)
            if plan.lastBlock >= UInt64(blocks.count) {
                try growTable(toCover: plan.run.upperBound - 1)
                plan = try planRun(count)
            }
        }
        try prepare(plan)
        try store.sync()
        for (place, index) in plan.newBlocks { try link(place, as: index) }
        return place(of: plan.run.lowerBound)
    }

    /// The first of `count` free clusters before the end of use, all counted by blocks that are there.
    private mutating func gap(of count: UInt64) throws(ImageError) -> UInt64? {
        let end = try endOfUse()
        var first = try firstFree(from: cursor)
        while first + count <= end {
            guard hasBlock(first) else {
                first = try firstFree(from: (first >> coding.entryBits + 1) << coding.entryBits)
                continue
            }
            var next = first + 1
            while next < first + count, hasBlock(next), try self.count(of: next) == 0 { next += 1 }
            if next == first + count { return first }
            first = try firstFree(from: next)
        }
        return nil
    }

    /// A run of clusters behind all that are in use, with the blocks that are missing to count it right before it.
    private struct RunPlan {
        /// The clusters of new blocks, and the indices they are to have.
        var newBlocks: [(cluster: UInt64, index: UInt64)] = []
        /// New blocks and run.
        var all: Range<UInt64>
        /// What was asked for.
        var run: Range<UInt64>
        /// The index of the last block that counts it.
        var lastBlock: UInt64
    }

    private mutating func planRun(_ count: UInt64, from start: UInt64? = nil) throws(ImageError) -> RunPlan {
        let first: UInt64
        if let start { first = start } else { first = try endOfUse() }
        var missing: [UInt64] = []
        while true {
            let end = first + UInt64(missing.count) + count
            let indices = (first >> coding.entryBits)...((end - 1) >> coding.entryBits)
            let needed = indices.filter { $0 >= UInt64(blocks.count) || blocks[Int($0)] == 0 }
            guard needed.count > missing.count else { break }
            missing = needed
        }
        let run = first + UInt64(missing.count)..<first + UInt64(missing.count) + count
        for cluster in first..<run.upperBound { try checkFree(cluster) }
        return RunPlan(
            newBlocks: missing.enumerated().map { (first + UInt64($0.offset), $0.element) },
            all: first..<run.upperBound, run: run, lastBlock: (run.upperBound - 1) >> coding.entryBits)
    }

    /// Counts the run: in new blocks, and in those that are there.
    private mutating func prepare(_ plan: RunPlan) throws(ImageError) {
        for cluster in plan.all where hasBlock(cluster) { try setCount(1, of: cluster) }
        try pages.write()
        for (cluster, index) in plan.newBlocks { try writeBlock(at: cluster, counting: plan.all, of: index) }
    }

    /// Writes block `index` to `cluster`, with a count of 1 for those of `clusters` that it counts.
    private mutating func writeBlock(
        at cluster: UInt64, counting clusters: Range<UInt64>, of index: UInt64
    ) throws(ImageError) {
        try checkFree(cluster)
        let first = index << coding.entryBits
        var block = [UInt8](repeating: 0, count: Int(clusterSize))
        try block.withMutableBytes { (span) throws(ImageError) in
            for counted in clusters.clamped(to: first..<first + coding.entriesPerBlock) {
                try coding.store(1, Int(counted - first), in: &span)
            }
        }
        let place = place(of: cluster)
        try block.withBytes { (span) throws(ImageError) in try store.write(span, at: HostOffset(place)) }
        pages.forget(place, count: clusterSize)
    }

    /// Enters a written block into the table.
    private mutating func link(_ cluster: UInt64, as index: UInt64) throws(ImageError) {
        try writeEntry(place(of: cluster), index)
        blocks[Int(index)] = place(of: cluster)
        tables.insert(place(of: cluster))
    }

    private func writeEntry(_ entry: UInt64, _ index: UInt64) throws(ImageError) {
        try store.writeWord(entry, at: tableOffset + index * 8)
    }

    /// Writes a longer refcount table with the blocks that count it, and lets the header point to it.
    private mutating func growTable(toCover cluster: UInt64) throws(ImageError) {
        let perCluster = clusterSize / 8
        let most = Header.longestRefcountTable / clusterSize
        // Half as long again, so that growing stays seldom.
        var count = min(most, max(tableClusters + tableClusters.dividedRoundingUp(by: 2), 1))
        var plan: RunPlan
        while true {
            // Behind everything that the old table can count, so that all blocks of the run are new.
            plan = try planRun(count, from: max(try endOfUse(), UInt64(blocks.count) << coding.entryBits))
            let last = max(plan.lastBlock, cluster >> coding.entryBits)
            let needed = (last + 1).dividedRoundingUp(by: perCluster)
            guard needed <= most else {
                throw ImageError(
                    .unsupported,
                    "the refcount table cannot grow past 8 MiB: the file is as long as clusters of \(clusterSize) bytes "
                        + "allow", at: .host(HostOffset(tableOffset)),
                    advice: "Convert the image to one with larger clusters.")
            }
            guard needed > count else { break }
            count = needed
        }
        try prepare(plan)
        var longer = blocks + [UInt64](repeating: 0, count: Int(count * perCluster) - blocks.count)
        for (cluster, index) in plan.newBlocks { longer[Int(index)] = place(of: cluster) }
        var bytes = [UInt8](repeating: 0, count: longer.count * 8)
        bytes.withMutableBytes { span in
            for (index, entry) in longer.enumerated() { span.storeBig(entry, at: index * 8) }
        }
        let start = place(of: plan.run.lowerBound)
        try bytes.withBytes { (span) throws(ImageError) in try store.write(span, at: HostOffset(start)) }
        try store.sync()
        var fields = [UInt8](repeating: 0, count: 12)
        fields.withMutableBytes { span in
            span.storeBig(start, at: 0)
            span.storeBig(UInt32(count), at: 8)
        }
        try fields.withBytes { (span) throws(ImageError) in
            try store.write(span, at: HostOffset(UInt64(Header.Field.refcountTableOffset)))
        }
        try store.sync()
        let old = HostRange(start: HostOffset(tableOffset), count: tableClusters * clusterSize)
        areas.remove(at: tableOffset)
        blocks = longer
        tableOffset = start
        tableClusters = count
        areas.insert("the refcount table", start: start, count: count * clusterSize, clusterSize: clusterSize)
        for (cluster, _) in plan.newBlocks { tables.insert(place(of: cluster)) }
        // Nothing refers to the old table any more, so its count may fall with the next that are written.
        for cluster in self.cluster(of: old.start.value)...self.cluster(of: old.end.value - 1) {
            let references = try self.count(of: cluster)
            if references > 0 { try setCount(references - 1, of: cluster) }
            if references == 1 { cursor = min(cursor, cluster) }
        }
    }

    /// Takes blocks that count nothing but themselves out of the table, so that the file can end before them.
    mutating func dropEmptyBlocks() throws(ImageError) {
        for index in blocks.indices.reversed() where blocks[index] != 0 {
            let block = blocks[index]
            let first = UInt64(index) << coding.entryBits
            for number in first..<first + coding.entriesPerBlock where place(of: number) != block {
                if try count(of: number) != 0 { return }
            }
            let own = cluster(of: block)
            guard own >> coding.entryBits == UInt64(index), try count(of: own) == 1 else { return }
            try writeEntry(0, UInt64(index))
            try store.sync()
            pages.forget(block, count: clusterSize)
            blocks[index] = 0
            tables.remove(block)
            cursor = min(cursor, own)
        }
    }
}

extension ByteSink {
    /// Writes one big-endian number.
    func writeWord(_ word: UInt64, at place: UInt64) throws(ImageError) {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.withMutableBytes { $0.storeBig(word, at: 0) }
        try bytes.withBytes { (span) throws(ImageError) in try write(span, at: HostOffset(place)) }
    }
}
