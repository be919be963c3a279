internal import ReimageCore

/// Counts the references to host clusters, as many clusters at a time as the memory allows.
///
/// A pass begins at a cluster and is told all references of the image. Where they touch too many pages, the pass is cut
/// short: what lies from ``end`` on is left to the next. So memory is bounded, and a sparse file of any length takes no
/// more passes than its references need.
/// - Source: qcow2 specification, "Host cluster management".
final class ReferenceCounter {
    /// What a cluster is used as; more than one where structures overlap.
    struct Uses: OptionSet, Hashable {
        let rawValue: UInt32

        /// A structure that nothing else may share: the header, tables but L2, refcount blocks, bitmaps, LUKS.
        static let metadata = Uses(rawValue: 1 << 31)
        /// An L2 table; snapshots share it by counting it.
        static let l2Table = Uses(rawValue: 1 << 30)
        /// The guest's bytes; any number of entries may point to them.
        static let data = Uses(rawValue: 1 << 29)
    }

    /// A cluster's count, at most ``mostCount``, and its uses.
    struct References: Hashable {
        fileprivate(set) var word: UInt32

        /// No reference.
        static let none = References(word: 0)

        var count: UInt64 { UInt64(word & ReferenceCounter.mostCount) }
        /// Whether there may be more references than were counted.
        var isSaturated: Bool { word & ReferenceCounter.mostCount == ReferenceCounter.mostCount }
        var uses: Uses { Uses(rawValue: word & ~ReferenceCounter.mostCount) }

        /// Whether the uses exclude each other, whatever refcount the cluster has.
        var isOverlap: Bool {
            if uses.contains(.metadata) { return count > 1 }
            return uses.isSuperset(of: [.l2Table, .data])
        }
    }

    /// Where a count stops: more references than any real image has.
    static let mostCount: UInt32 = (1 << 29) - 1
    /// log2 of the clusters of a page.
    static let pageBits: UInt64 = 10
    /// The pages held at a time: 32 MiB.
    static let mostPages = 8192

    /// The first cluster of the pass.
    private(set) var start: UInt64 = 0
    /// The first cluster that is left to the next pass.
    private(set) var end: UInt64
    /// The clusters of the file; references behind it are not counted.
    let clusterCount: UInt64

    private let mostPages: Int
    private var index: [UInt64: Int] = [:]
    private var pages: [[UInt32]] = []
    private var free: [Int] = []
    private var lastPage: UInt64 = .max
    private var lastSlot = 0

    init(clusterCount: UInt64, mostPages: Int = ReferenceCounter.mostPages) {
        self.clusterCount = clusterCount
        self.mostPages = mostPages
        end = clusterCount
    }

    /// Begins the next pass, where this one ended.
    /// - Returns: whether there is anything left.
    func next() -> Bool {
        guard end < clusterCount else { return false }
        start = end
        end = clusterCount
        free += index.values
        index = [:]
        lastPage = .max
        return true
    }

    /// Counts `weight` references to each of the clusters in `range`, which lies in the file.
    func add(_ range: Range<UInt64>, _ use: Uses, weight: UInt64 = 1) {
        var cluster = max(range.lowerBound, start)
        while cluster < min(range.upperBound, end) {
            guard let slot = slot(of: cluster >> Self.pageBits) else { return }
            let place = Int(cluster & ((1 << Self.pageBits) - 1))
            let word = pages[slot][place]
            let count = min(
                UInt64(word & Self.mostCount) &+ min(weight, UInt64(Self.mostCount)), UInt64(Self.mostCount))
            pages[slot][place] = word & ~Self.mostCount | use.rawValue | UInt32(truncatingIfNeeded: count)
            cluster += 1
        }
    }

    /// The references to a cluster of the pass.
    func references(to cluster: UInt64) -> References {
        guard let slot = index[cluster >> Self.pageBits] else { return References(word: 0) }
        return References(word: pages[slot][Int(cluster & ((1 << Self.pageBits) - 1))])
    }

    /// Whether any cluster of the page that holds `cluster` is referenced.
    func hasPage(of cluster: UInt64) -> Bool { index[cluster >> Self.pageBits] != nil }

    /// Hands the clusters of the pass to `body`, in order, by whole pages of which any cluster is referenced: so some
    /// have no reference.
    func forEach(_ body: (UInt64, References) throws(ImageError) -> Void) throws(ImageError) {
        for page in index.keys.sorted() {
            guard let slot = index[page] else { continue }
            let first = page << Self.pageBits
            let words = pages[slot]
            for cluster in max(first, start)..<max(first, start, min(first + (1 << Self.pageBits), end)) {
                try body(cluster, References(word: words[Int(cluster - first)]))
            }
        }
    }

    private func slot(of page: UInt64) -> Int? {
        if page == lastPage { return lastSlot }
        if let slot = index[page] {
            (lastPage, lastSlot) = (page, slot)
            return slot
        }
        if index.count == mostPages { cutShort() }
        guard page << Self.pageBits < end else { return nil }
        let slot: Int
        if let old = free.popLast() {
            slot = old
            for place in pages[slot].indices { pages[slot][place] = 0 }
        } else {
            slot = pages.count
            pages.append([UInt32](repeating: 0, count: 1 << Int(Self.pageBits)))
        }
        index[page] = slot
        (lastPage, lastSlot) = (page, slot)
        return slot
    }

    /// Leaves the upper half of the pages to a later pass.
    private func cutShort() {
        let sorted = index.keys.sorted()
        let kept = max(sorted.count / 2, 1)
        for page in sorted[kept...] {
            if let slot = index.removeValue(forKey: page) { free.append(slot) }
        }
        end = (sorted[kept - 1] + 1) << Self.pageBits
        lastPage = .max
    }
}
