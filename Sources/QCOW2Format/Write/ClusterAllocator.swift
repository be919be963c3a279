internal import ReimageCore

/// Hands out the clusters of a new image front to back, and counts them.
///
/// A refcount block lies at the start of the range it counts, or close behind, so that it can be written as soon as
/// the file has grown past that range: only the last blocks are held in memory.
struct ClusterAllocator {
    /// A block that may still change.
    private struct OpenBlock {
        let index: Int
        var bytes: [UInt8]
    }

    private let coding: RefcountCoding
    /// The first cluster that was never handed out.
    private(set) var next: UInt64 = 0
    /// The cluster of each refcount block by its index; 0 where there is none.
    private var blocks: [UInt64] = []
    private var open: [OpenBlock] = []
    /// The cluster that compressed data is packed into, and the byte behind the last of it.
    private var packed: (cluster: UInt64, end: UInt64)?

    /// An allocator that has handed out cluster 0, the header's.
    init(_ coding: RefcountCoding) throws(ImageError) {
        self.coding = coding
        next = 1
        try countFirst(0)
    }

    private var clusterSize: UInt64 { 1 << coding.clusterBits }

    /// The place of a new cluster.
    mutating func allocate() throws(ImageError) -> HostOffset {
        while !hasBlock(of: next) { try ensureBlock(of: next) }
        let cluster = next
        next += 1
        try setCount(1, of: cluster)
        return HostOffset(cluster << coding.clusterBits)
    }

    /// The place of `count` new clusters that lie one behind the other.
    mutating func allocate(contiguous count: UInt64) throws(ImageError) -> HostOffset {
        let first = next
        next += count
        for cluster in first..<first + count { try countFirst(cluster) }
        return HostOffset(first << coding.clusterBits)
    }

    /// The place of `count` bytes of compressed data, at most a cluster, packed behind what came before where that can be.
    ///
    /// - Parameter returns: whether room left over before clusters that came since may be used.
    mutating func pack(_ count: Int, returns: Bool) throws(ImageError) -> HostOffset {
        let count = UInt64(count)
        if let (cluster, end) = packed {
            let room = ((cluster + 1) << coding.clusterBits) - end
            let shared = try self.count(of: cluster)
            if room > 0, shared < coding.most, returns || cluster + 1 == next {
                // What does not fit goes on in the next cluster, where that is the file's end and needs no new block.
                let goesOn = count > room && cluster + 1 == next && hasBlock(of: next)
                if count <= room || goesOn {
                    try setCount(shared + 1, of: cluster)
                    packed = (cluster, end + count)
                    if goesOn {
                        _ = try allocate()
                        packed = (cluster + 1, end + count)
                    }
                    return HostOffset(end)
                }
            }
        }
        let start = try allocate()
        packed = (start.value >> coding.clusterBits, start.value + count)
        return start
    }

    /// Writes the blocks that cannot change any more.
    mutating func flush(into placement: inout Placement) {
        let settled = Int(min(next, packed?.cluster ?? next) >> coding.entryBits)
        guard let first = open.first, first.index < settled else { return }
        for block in open where block.index < settled { emit(block, into: &placement) }
        open.removeAll { $0.index < settled }
    }

    /// Writes what is left, and the refcount table behind it.
    ///
    /// - Parameter last: how many clusters to hand out behind the table.
    /// - Returns: the table's place and its length in clusters, and the place of the last clusters.
    mutating func finish(
        last: UInt64, into placement: inout Placement
    ) throws(ImageError) -> (table: HostOffset, clusters: UInt64, last: HostOffset) {
        var clusters: UInt64 = 0
        var count = Self.blockCount(clusters: next + last, coding)
        // The table and the blocks that count it make the file longer, which may take another block.
        while true {
            let missing = count - UInt64(blocks.count { $0 != 0 })
            clusters = (count * 8).dividedRoundingUp(by: clusterSize)
            let needed = Self.blockCount(clusters: next + missing + clusters + last, coding)
            if needed == count { break }
            count = needed
        }
        guard clusters << coding.clusterBits <= Header.longestRefcountTable else { throw Self.tooLong }
        for index in 0..<count { try ensureBlock(index: Int(index)) }
        let table = try allocate(contiguous: clusters)
        let end = try allocate(contiguous: last)
        for block in open { emit(block, into: &placement) }
        open = []
        var bytes = [UInt8](repeating: 0, count: Int(clusters << coding.clusterBits))
        bytes.withMutableBytes { entries in
            for (index, cluster) in blocks.enumerated() {
                entries.storeBig(cluster << coding.clusterBits, at: index * 8)
            }
        }
        placement.append(.write(.metadata(bytes), at: table))
        return (table, clusters, end)
    }

    /// The clusters of a file in which `clusters` are used by other things than refcounts.
    static func fileClusters(counting clusters: UInt64, _ coding: RefcountCoding) throws(ImageError) -> UInt64 {
        var total = clusters
        while true {
            let blocks = blockCount(clusters: total, coding)
            let table = (blocks * 8).dividedRoundingUp(by: 1 << coding.clusterBits)
            guard table << coding.clusterBits <= Header.longestRefcountTable else { throw tooLong }
            if clusters + blocks + table == total { return total }
            total = clusters + blocks + table
        }
    }

    private static func blockCount(clusters: UInt64, _ coding: RefcountCoding) -> UInt64 {
        clusters.dividedRoundingUp(by: coding.entriesPerBlock)
    }

    private static var tooLong: ImageError {
        ImageError(
            .unsupported, "the image would pass what a refcount table of 8 MiB can count",
            advice: "Take larger clusters (-o cluster_size=2M) or smaller refcounts.")
    }
}

extension ClusterAllocator {
    private func hasBlock(of cluster: UInt64) -> Bool {
        let index = Int(cluster >> coding.entryBits)
        return index < blocks.count && blocks[index] != 0
    }

    /// Makes the block that counts `cluster`, where there is none, out of the next cluster.
    private mutating func ensureBlock(of cluster: UInt64) throws(ImageError) {
        try ensureBlock(index: Int(cluster >> coding.entryBits))
    }

    private mutating func ensureBlock(index: Int) throws(ImageError) {
        guard index >= blocks.count || blocks[index] == 0 else { return }
        if index >= blocks.count { blocks += [UInt64](repeating: 0, count: index + 1 - blocks.count) }
        let cluster = next
        next += 1
        blocks[index] = cluster
        open.append(OpenBlock(index: index, bytes: [UInt8](repeating: 0, count: Int(clusterSize))))
        try countFirst(cluster)
    }

    /// Counts a cluster that was just handed out.
    private mutating func countFirst(_ cluster: UInt64) throws(ImageError) {
        try ensureBlock(of: cluster)
        try setCount(1, of: cluster)
    }

    private func slot(of cluster: UInt64) -> Int? {
        let index = Int(cluster >> coding.entryBits)
        return open.lastIndex { $0.index == index }
    }

    private func count(of cluster: UInt64) throws(ImageError) -> UInt64 {
        guard let slot = slot(of: cluster) else { return coding.most }
        let coding = coding
        return try open[slot].bytes.withBytes { (bytes) throws(ImageError) in
            try coding.count(Int(cluster & (coding.entriesPerBlock - 1)), in: bytes)
        }
    }

    private mutating func setCount(_ count: UInt64, of cluster: UInt64) throws(ImageError) {
        // Counted are only clusters just handed out, whose block was made first, and the packed one, whose block stays
        // open: no number of a file or user leads elsewhere, and a wrong count must not be written.
        guard let slot = slot(of: cluster) else { preconditionFailure("a cluster is counted in a block that is open") }
        let coding = coding
        try open[slot].bytes.withMutableBytes { (bytes) throws(ImageError) in
            try coding.store(count, Int(cluster & (coding.entriesPerBlock - 1)), in: &bytes)
        }
    }

    private func emit(_ block: OpenBlock, into placement: inout Placement) {
        placement.append(
            .write(.metadata(block.bytes), at: HostOffset(blocks[block.index] << coding.clusterBits)))
    }
}
