internal import ReimageCore

/// Writes refcounts: one by one into the blocks that are there, or all into new ones.
struct RefcountRepair {
    let target: RepairStore
    let log: FindingLog
    /// The pages of counts to hold at a time.
    let mostPages: Int
    /// Whether counts may only rise, because something may refer to clusters that could not be looked at.
    let onlyRaises: Bool

    /// Puts the stored counts right, in place.
    func update() throws(ImageError) {
        let image = try target.image()
        let stored = StoredRefcounts(image.store, image.header)
        let editor = RefcountEditor(target, stored.coding) { (index) throws(ImageError) in
            stored.block(of: try stored.tableEntry(index))
        }
        let counter = ReferenceCounter(clusterCount: image.clusterCount, mostPages: mostPages)
        repeat {
            try ReferenceWalk(image, stored, counter).run()
            try forEachWanted(counter, stored) { (cluster, old, new) throws(ImageError) in
                guard old != new else { return }
                try editor.set(new, of: cluster)
                let place = cluster * image.clusterSize
                log.fixed(
                    new < old ? .leak : .corruption,
                    "the refcount of the cluster at \(place) was \(old) and is \(new) now", at: place)
            }
        } while counter.next()
        try editor.flush()
        try target.sync()
    }

    /// Hands every cluster of the pass with its stored count and the one it should have to `body`.
    private func forEachWanted(
        _ counter: ReferenceCounter, _ stored: StoredRefcounts,
        _ body: (UInt64, UInt64, UInt64) throws(ImageError) -> Void
    ) throws(ImageError) {
        try counter.forEach { (cluster, references) throws(ImageError) in
            let old = try stored.count(cluster)
            let new = min(references.count, stored.coding.most)
            try body(cluster, old, onlyRaises || references.isSaturated ? max(old, new) : new)
        }
        try stored.forEachCounted(
            in: counter.start..<counter.end, butPages: { counter.hasPage(of: $0) }
        ) { (cluster, old) throws(ImageError) in
            try body(cluster, old, onlyRaises ? old : 0)
        }
    }

    /// Counts everything anew into blocks and a table behind the end of the file; the old ones are given up.
    func rebuild() throws(ImageError) {
        let image = try target.image()
        let stored = StoredRefcounts(image.store, image.header)
        let plan = try RefcountPlan(
            coding: stored.coding, firstCluster: image.clusterCount, needed: try neededBlocks(image, stored))
        let start = try target.append(clusters: plan.clusterCount)
        let editor = RefcountEditor(target, stored.coding) { (index) in plan.place(ofBlock: index) }
        let counter = ReferenceCounter(
            clusterCount: plan.firstCluster + plan.clusterCount, mostPages: mostPages)
        repeat {
            try ReferenceWalk(image, stored, counter).run(countingRefcounts: false)
            counter.add(plan.firstCluster..<plan.firstCluster + plan.clusterCount, .metadata)
            try forEachWanted(counter, stored) { (cluster, _, new) throws(ImageError) in
                if new > 0 { try editor.set(new, of: cluster) }
            }
        } while counter.next()
        try editor.flush()
        for (index, block) in plan.blocks.enumerated() {
            try target.put(start + UInt64(index) * image.clusterSize, at: plan.tablePlace + block * 8)
        }
        try target.sync()
        // One write of 12 bytes inside one sector: the old table or the new one.
        var field = [UInt8](repeating: 0, count: 12)
        field.withMutableBytes { span in
            span.storeBig(plan.tablePlace, at: 0)
            span.storeBig(UInt32(truncatingIfNeeded: plan.tableClusters), at: 8)
        }
        try target.write(field, at: UInt64(Header.Field.refcountTableOffset))
        try target.sync()
        log.fixed(
            .corruption, "the refcounts were counted anew into \(plan.blocks.count) blocks", at: plan.tablePlace)
    }

    /// The blocks that have anything to count, their own clusters aside.
    private func neededBlocks(_ image: CheckedImage, _ stored: StoredRefcounts) throws(ImageError) -> Set<UInt64> {
        var needed: Set<UInt64> = []
        let counter = ReferenceCounter(clusterCount: image.clusterCount, mostPages: mostPages)
        repeat {
            try ReferenceWalk(image, stored, counter).run(countingRefcounts: false)
            try forEachWanted(counter, stored) { (cluster, _, new) throws(ImageError) in
                if new > 0 { needed.insert(cluster >> stored.coding.entryBits) }
            }
        } while counter.next()
        return needed
    }
}

/// Where new refcount blocks and their table lie: block after block, then the table.
struct RefcountPlan {
    let firstCluster: UInt64
    /// The blocks' indices, in order.
    let blocks: [UInt64]
    let tableClusters: UInt64
    private let clusterBits: UInt64

    /// - Parameters:
    ///   - firstCluster: where the new clusters begin.
    ///   - needed: the blocks that count what is there already.
    /// - Throws: `.unsupported` where counts of this width cannot count so long a file.
    init(coding: RefcountCoding, firstCluster: UInt64, needed: Set<UInt64>) throws(ImageError) {
        self.firstCluster = firstCluster
        clusterBits = coding.clusterBits
        var all = needed
        var tableClusters: UInt64 = 0
        // More blocks take more clusters, which may need one more block: a few rounds at the most.
        while true {
            tableClusters = ((all.max() ?? 0) + 1).multipliedReportingOverflow(by: 8).partialValue
                .dividedRoundingUp(by: 1 << coding.clusterBits)
            guard tableClusters << coding.clusterBits <= Header.longestRefcountTable else {
                throw ImageError(
                    .unsupported, "is too long for a refcount table of 8 MiB",
                    advice: "Copy it: reimage convert makes a new image.")
            }
            let last = firstCluster + UInt64(all.count) + tableClusters - 1
            let before = all.count
            for block in firstCluster >> coding.entryBits...last >> coding.entryBits { all.insert(block) }
            if all.count == before { break }
        }
        blocks = all.sorted()
        self.tableClusters = tableClusters
    }

    /// All clusters that the structures take.
    var clusterCount: UInt64 { UInt64(blocks.count) + tableClusters }
    /// The table's place in the file.
    var tablePlace: UInt64 { (firstCluster + UInt64(blocks.count)) << clusterBits }

    /// The place of block `index`; `nil` where it is not needed.
    func place(ofBlock index: UInt64) -> UInt64? {
        var range = blocks.indices
        while let middle = range.isEmpty ? nil : Optional(range.lowerBound + range.count / 2) {
            if blocks[middle] == index { return (firstCluster + UInt64(middle)) << clusterBits }
            range = blocks[middle] < index ? middle + 1..<range.upperBound : range.lowerBound..<middle
        }
        return nil
    }
}

/// Changes counts in refcount blocks, a page at a time.
final class RefcountEditor {
    private let target: RepairStore
    private let coding: RefcountCoding
    private let place: (UInt64) throws(ImageError) -> UInt64?
    private var page: [UInt8] = []
    private var pagePlace: UInt64?
    private var isChanged = false

    /// - Parameter place: where a block lies in the file; `nil` where there is none.
    init(_ target: RepairStore, _ coding: RefcountCoding, place: @escaping (UInt64) throws(ImageError) -> UInt64?) {
        self.target = target
        self.coding = coding
        self.place = place
    }

    /// Sets the count of `cluster`, at the latest with ``flush()``.
    func set(_ count: UInt64, of cluster: UInt64) throws(ImageError) {
        guard let block = try place(cluster >> coding.entryBits) else { return }
        let bytes = min(UInt64(1) << coding.clusterBits, TablePage.longest)
        let counts = (bytes * 8) >> UInt64(coding.order)
        let inBlock = cluster & (coding.entriesPerBlock - 1)
        let start = block + inBlock / counts * bytes
        if pagePlace != start {
            try flush()
            page = try PaddedStore(target.store).bytes(at: HostOffset(start), count: Int(bytes))
            pagePlace = start
        }
        isChanged = true
        let coding = coding
        try page.withMutableBytes { (span) throws(ImageError) in
            try coding.store(count, Int(inBlock % counts), in: &span)
        }
    }

    /// Writes what was changed.
    func flush() throws(ImageError) {
        guard isChanged, let pagePlace else { return }
        try target.write(page, at: pagePlace)
        isChanged = false
    }
}
