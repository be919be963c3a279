internal import ReimageCore

/// The clusters of the file: which are in use, by refcounts, and which a table takes.
///
/// Counts are changed in memory; the caller writes them at the moment that keeps the file sound: raised before anything
/// refers to a cluster, lowered after nothing does any more.
/// - Source: qcow2 specification, "Host cluster management".
struct HostSpace: Sendable {
    let store: any UpdatableStore
    let coding: RefcountCoding
    let clusterSize: UInt64
    /// The offsets of refcount blocks, 0 where there is none.
    var blocks: [UInt64]
    var tableOffset: UInt64
    var tableClusters: UInt64
    var pages: TablePages
    /// The first cluster that may be free.
    var cursor: UInt64 = 0
    /// L2 tables and refcount blocks.
    var tables: Set<UInt64>
    /// Everything else that no data may be put on.
    var areas = ReservedAreas()
    /// How many references each cluster loses, once nothing in the file refers to it any more.
    private var releases: [UInt64: UInt64] = [:]

    init(_ store: any UpdatableStore, header: Header) throws(ImageError) {
        self.store = store
        coding = RefcountCoding(header)
        clusterSize = header.clusterSize
        tableOffset = header.refcountTableOffset
        tableClusters = UInt64(header.refcountTableClusters)
        pages = TablePages(store, clusterSize: clusterSize)
        guard tableClusters > 0 else {
            throw ImageError(
                .refused, "refcount_table_clusters is 0: the image does not say which clusters are in use",
                at: .host(HostOffset(UInt64(Header.Field.refcountTableClusters))),
                advice: ImageUpdate.repairAdvice(store))
        }
        // A table that ends the file may be cut behind its last entry in use.
        let byteCount = tableClusters * clusterSize
        let present = min(byteCount, store.byteCount - min(store.byteCount, tableOffset)) / 8
        guard present > 0 else {
            throw .damaged(
                "the refcount table lies past the end of the file (\(store.byteCount) bytes)",
                at: HostOffset(tableOffset), advice: ImageUpdate.repairAdvice(store))
        }
        let stored = try store.bytes(at: HostOffset(tableOffset), count: Int(present * 8))
        blocks = [UInt64](repeating: 0, count: Int(byteCount / 8))
        tables = []
        for index in 0..<Int(present) {
            let entry = try stored.withBytes { (bytes) throws(ImageError) in
                try bytes.big(UInt64.self, at: index * 8)
            }
            guard entry != 0 else { continue }
            guard entry % clusterSize == 0, entry >= clusterSize, entry < store.byteCount,
                tables.insert(entry).inserted
            else {
                throw .damaged(
                    "refcount table entry \(index) (0x\(String(entry, radix: 16))) points to no refcount block",
                    at: HostOffset(tableOffset + UInt64(index) * 8), advice: ImageUpdate.repairAdvice(store))
            }
            blocks[index] = entry
        }
    }

    /// The cluster that byte `offset` lies in.
    func cluster(of offset: UInt64) -> UInt64 { offset >> coding.clusterBits }
    /// The place of `cluster`.
    func place(of cluster: UInt64) -> UInt64 { cluster << coding.clusterBits }

    // MARK: Counts

    /// Whether the counts around `cluster` are stored.
    func hasBlock(_ cluster: UInt64) -> Bool {
        let index = cluster >> coding.entryBits
        return index < UInt64(blocks.count) && blocks[Int(index)] != 0
    }

    /// The refcount of `cluster`.
    mutating func count(of cluster: UInt64) throws(ImageError) -> UInt64 {
        guard hasBlock(cluster) else { return 0 }
        let (place, index) = position(of: cluster)
        return try pages.withPage(at: place) { [coding] (page) throws(ImageError) in try coding.count(index, in: page) }
    }

    /// Sets the refcount of `cluster`, whose block exists.
    mutating func setCount(_ count: UInt64, of cluster: UInt64) throws(ImageError) {
        let (place, index) = position(of: cluster)
        let first = (index << coding.order) >> 3
        let width = max(1, (1 << coding.order) >> 3)
        try pages.change(first..<first + width, at: place) { [coding] (page) throws(ImageError) in
            try coding.store(count, index, in: &page)
        }
    }

    /// The page that holds the count of `cluster`, and its number there.
    private func position(of cluster: UInt64) -> (place: UInt64, index: Int) {
        let perPage = (pages.pageSize * 8) >> UInt64(coding.order)
        let index = cluster & (coding.entriesPerBlock - 1)
        let block = blocks[Int(cluster >> coding.entryBits)]
        return (block + index / perPage * pages.pageSize, Int(index % perPage))
    }

    /// The first cluster from `start` whose count is 0.
    mutating func firstFree(from start: UInt64) throws(ImageError) -> UInt64 {
        let perPage = (pages.pageSize * 8) >> UInt64(coding.order)
        var cluster = start
        while hasBlock(cluster) {
            let (place, first) = position(of: cluster)
            let found = try pages.withPage(at: place) { [coding] (page) throws(ImageError) -> Int? in
                for index in first..<Int(perPage) where try coding.count(index, in: page) == 0 { return index }
                return nil
            }
            if let found { return cluster + UInt64(found - first) }
            cluster += perPage - UInt64(first)
        }
        return cluster
    }

    /// The cluster behind the last one in use.
    mutating func endOfUse() throws(ImageError) -> UInt64 {
        for index in blocks.indices.reversed() where blocks[index] != 0 {
            let first = UInt64(index) << coding.entryBits
            var cluster = first + coding.entriesPerBlock
            while cluster > first {
                if try count(of: cluster - 1) != 0 { return cluster }
                cluster -= 1
            }
        }
        return 0
    }

    // MARK: Taking and giving back

    /// A free cluster, counted once from now on; its content is anything.
    mutating func take() throws(ImageError) -> UInt64 {
        while true {
            let cluster = try firstFree(from: cursor)
            try checkFree(cluster)
            if !hasBlock(cluster) {
                // The block that is to count this cluster takes it.
                try addBlock(cluster)
                continue
            }
            try setCount(1, of: cluster)
            cursor = cluster + 1
            return place(of: cluster)
        }
    }

    /// Refuses a cluster that is free by its count and in use by what the header says.
    func checkFree(_ cluster: UInt64) throws(ImageError) {
        let place = place(of: cluster)
        guard cluster < Header.offsetLimit >> coding.clusterBits else {
            throw ImageError(.unsupported, "the file cannot grow past 2^56 bytes")
        }
        if let owner = owner(of: place) {
            throw .damaged(
                "the refcount of cluster \(cluster) is 0, but \(owner) lies there", at: HostOffset(place),
                advice: ImageUpdate.repairAdvice(store))
        }
    }

    /// The table that takes the cluster at `place`.
    func owner(of place: UInt64) -> String? {
        if tables.contains(place) { return "an L2 table or refcount block" }
        return areas.owner(of: place, count: clusterSize)
    }

    /// Notes that the clusters of `range` lose a reference; carried out by ``lowerReleased()``.
    mutating func release(_ range: HostRange) throws(ImageError) {
        guard !range.isEmpty else { return }
        for cluster in cluster(of: range.start.value)...cluster(of: range.end.value - 1) {
            let lost = (releases[cluster] ?? 0) + 1
            guard try count(of: cluster) >= lost else {
                throw .damaged(
                    "cluster \(cluster) is referred to more often than its refcount says",
                    at: HostOffset(place(of: cluster)), advice: ImageUpdate.repairAdvice(store))
            }
            releases[cluster] = lost
        }
    }

    /// Whether ``lowerReleased()`` has anything to do.
    var hasReleased: Bool { !releases.isEmpty }

    /// Lowers the counts of what was released, in memory.
    /// - Returns: the clusters that are free now, in order.
    mutating func lowerReleased() throws(ImageError) -> [UInt64] {
        var freed: [UInt64] = []
        for (cluster, lost) in releases {
            let left = try count(of: cluster) - lost
            try setCount(left, of: cluster)
            guard left == 0 else { continue }
            tables.remove(place(of: cluster))
            cursor = min(cursor, cluster)
            freed.append(cluster)
        }
        releases.removeAll(keepingCapacity: true)
        return freed.sorted()
    }

    /// Forgets what was taken and released and not yet written.
    mutating func revert() {
        pages.revert()
        releases.removeAll()
        cursor = 0
    }
}
