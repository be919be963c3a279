internal import ReimageCore

/// Checks one image: walks its roots as often as the memory for counts asks for, and holds what it counted against
/// what the file says.
struct Checker {
    let image: CheckedImage
    let stored: StoredRefcounts
    let log: FindingLog
    /// The pages of counts to hold at a time.
    var mostPages = ReferenceCounter.mostPages
    private(set) var facts = CheckFacts()
    /// The number of clusters up to the last that is used.
    private var usedCount: UInt64 = 0

    /// - Parameter cancellation: ends the work at the next read.
    init(
        _ store: any ByteStore, log: FindingLog, cancellation: Cancellation = Cancellation()
    ) throws(ImageError) {
        image = try CheckedImage(store, cancellation)
        stored = StoredRefcounts(image.store, image.header)
        self.log = log
    }

    /// Walks, compares, and leaves the findings in the log.
    /// - Parameter remarksFlags: whether the flags of the header are spoken of too.
    mutating func run(remarksFlags: Bool = true) throws(ImageError) {
        if remarksFlags { remark() }
        log.measure { $0.totalClusters = image.header.size.dividedRoundingUp(by: image.clusterSize) }
        let counter = ReferenceCounter(clusterCount: image.clusterCount, mostPages: mostPages)
        let first = ReferenceWalk(image, stored, counter, log: log)
        try first.run()
        facts = first.facts
        try compare(counter)
        while counter.next() {
            try ReferenceWalk(image, stored, counter).run()
            try compare(counter)
        }
        log.measure { $0.imageEndOffset = HostOffset(usedCount * image.clusterSize) }
    }

    /// The flags that say something of the image's past.
    func remark() {
        let flags = image.header.incompatible
        let place = UInt64(Header.Field.incompatibleFeatures)
        if flags.contains(.dirty) {
            log.found(.remark, "the dirty bit is set: the image was not closed cleanly", at: place)
        }
        if flags.contains(.corrupt) {
            log.found(.remark, "the corrupt bit is set: a program found the image damaged", at: place)
        }
    }

    /// Tells where the counted references of this pass and the stored refcounts disagree.
    private mutating func compare(_ counter: ReferenceCounter) throws(ImageError) {
        try counter.forEach { (cluster, references) throws(ImageError) in
            try take(cluster, stored: try stored.count(cluster), references)
        }
        try stored.forEachCounted(
            in: counter.start..<counter.end, butPages: { counter.hasPage(of: $0) }
        ) { (cluster, count) throws(ImageError) in
            try take(cluster, stored: count, .none)
        }
    }

    private mutating func take(
        _ cluster: UInt64, stored count: UInt64, _ references: ReferenceCounter.References
    ) throws(ImageError) {
        if count > 0 || references.count > 0 { usedCount = max(usedCount, cluster + 1) }
        let place = cluster * image.clusterSize
        if references.isOverlap {
            facts.add(overlap: cluster, references.uses)
            log.found(
                .corruption, "the cluster at \(place) is used as \(references.uses.text), which must not share it",
                at: place)
        }
        if references.count > stored.coding.most { facts.add(overflow: cluster) }
        // A count that stopped may be any higher number.
        if references.isSaturated, count > references.count { return }
        if count > references.count {
            log.found(
                .leak, "the cluster at \(place) has the refcount \(count), but \(references.count) references",
                at: place)
        } else if count < references.count {
            facts.hasLowRefcounts = true
            if try stored.block(of: stored.tableEntry(cluster >> stored.coding.entryBits)) == nil {
                facts.hasDamagedRefcounts = true
            }
            log.found(
                .corruption, "the cluster at \(place) has the refcount \(count), but \(references.count) references",
                at: place)
        }
    }
}

extension ReferenceCounter.Uses {
    /// What a finding calls the uses.
    fileprivate var text: String {
        var words: [String] = []
        if contains(.metadata) { words.append("metadata") }
        if contains(.l2Table) { words.append("an L2 table") }
        if contains(.data) { words.append("data") }
        return words.count == 1 ? "\(words[0]) more than once" : words.joined(separator: " and as ")
    }
}
