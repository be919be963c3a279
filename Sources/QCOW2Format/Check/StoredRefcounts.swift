internal import ReimageCore

/// The refcounts as the file has them, whatever state their tables are in.
///
/// A cluster whose block is missing, not aligned or past the end of the file has the count 0.
/// - Source: qcow2 specification, "Host cluster management".
final class StoredRefcounts {
    /// Bits 0 to 8 of a table entry.
    static let reservedMask: UInt64 = 0x1FF

    let coding: RefcountCoding
    /// The number of the table's entries.
    let tableCount: UInt64
    private let tableStart: UInt64
    private let store: PaddedStore
    private let cache: TableCache
    private let clusterSize: UInt64
    private var table: TablePage?
    private var block: TablePage?
    /// The first cluster that ``block`` counts.
    private var blockFirst: UInt64 = 0

    init(_ store: PaddedStore, _ header: Header) {
        self.store = store
        coding = RefcountCoding(header)
        tableStart = header.refcountTableOffset
        tableCount = UInt64(header.refcountTableClusters) * header.clusterSize / 8
        clusterSize = header.clusterSize
        cache = TableCache(store, mostBytes: 8 << 20)
    }

    /// The counts of one page of a block.
    private var pageBytes: UInt64 { min(clusterSize, TablePage.longest) }
    private var countsPerPage: UInt64 { (pageBytes * 8) >> UInt64(coding.order) }

    /// Table entry `index`.
    func tableEntry(_ index: UInt64) throws(ImageError) -> UInt64 {
        guard index < tableCount else { return 0 }
        let place = tableStart + (index * 8).roundedDown(to: pageBytes)
        if table?.place.value != place { table = try cache.page(at: HostOffset(place), count: Int(pageBytes)) }
        return try table?.entry(at: Int(index * 8 % pageBytes)) ?? 0
    }

    /// The place of entry `index` in the file.
    func tableEntryPlace(_ index: UInt64) -> UInt64 { tableStart + index * 8 }

    /// The block that `entry` points to; `nil` where there is none that could be used.
    func block(of entry: UInt64) -> UInt64? {
        let offset = entry & ~Self.reservedMask
        guard offset != 0, offset % clusterSize == 0, offset < store.byteCount else { return nil }
        return offset
    }

    /// The count of `cluster`.
    func count(_ cluster: UInt64) throws(ImageError) -> UInt64 {
        let first = cluster - cluster % countsPerPage
        if block == nil || blockFirst != first {
            guard let page = try page(of: first) else { return 0 }
            (block, blockFirst) = (page, first)
        }
        guard let block else { return 0 }
        if block.uniform == 0 { return 0 }
        let index = Int(cluster - first)
        let coding = coding
        return try block.withEntries { (counts) throws(ImageError) in try coding.count(index, in: counts) }
    }

    /// The page whose first count is that of cluster `first`.
    private func page(of first: UInt64) throws(ImageError) -> TablePage? {
        guard let start = block(of: try tableEntry(first >> coding.entryBits)) else { return nil }
        let inBlock = ((first & (coding.entriesPerBlock - 1)) << UInt64(coding.order)) / 8
        return try cache.page(at: HostOffset(start + inBlock), count: Int(pageBytes))
    }

    /// Hands every cluster of `range` with a count above 0 to `body`, in order, but those that `isKnown` names;
    /// `isKnown` holds for whole pages of ``ReferenceCounter``.
    func forEachCounted(
        in range: Range<UInt64>, butPages isKnown: (UInt64) -> Bool,
        _ body: (UInt64, UInt64) throws(ImageError) -> Void
    ) throws(ImageError) {
        let step = min(countsPerPage, 1 << ReferenceCounter.pageBits)
        var cluster = range.lowerBound
        while cluster < range.upperBound {
            let index = cluster >> coding.entryBits
            guard index < tableCount else { return }
            if block(of: try tableEntry(index)) == nil {
                cluster = (index + 1) << coding.entryBits
                continue
            }
            let first = cluster - cluster % countsPerPage
            if try page(of: first)?.uniform == 0 {
                cluster = first + countsPerPage
                continue
            }
            let next = min(cluster - cluster % step + step, range.upperBound)
            if !isKnown(cluster) {
                for one in cluster..<next {
                    let count = try count(one)
                    if count > 0 { try body(one, count) }
                }
            }
            cluster = next
        }
    }
}
