internal import ReimageCore

/// The pages that a walk used last, so that going on in them takes no lock.
struct TableLookup {
    fileprivate var entries: TablePage?
    fileprivate var bitmap: TablePage?
}

/// The block allocation table (BAT): where the blocks of the guest's disk lie in the file; safe from any thread.
///
/// - Source: the specification's "Block Allocation Table and Data Blocks".
final class BlockTable: Sendable {
    /// The entry of a block that is not in the file.
    static let unallocated = UInt32.max
    /// The entries of a page.
    static let entriesPerPage = Int(TablePage.longest / 4)

    /// A part of the file that no block may lie in.
    struct ReservedArea: Sendable {
        let name: String
        let range: Range<UInt64>
    }

    /// Where an allocated block lies.
    struct Block: Sendable {
        /// Its sector bitmap.
        let bitmap: HostOffset
        /// The guest's first byte.
        let data: HostOffset
        /// How many of the guest's bytes are in the file: fewer than a block has where the file ends in it.
        let available: UInt64
    }

    let range: TableRange
    /// The guest's bytes to a block, a power of two.
    let blockSize: UInt64
    /// The bytes of the bitmap before each block.
    let bitmapByteCount: UInt64
    /// How far the file must have what it stores of the disk.
    let byteCount: UInt64
    private let dataEnd: UInt64
    /// Whether a footer stands at ``dataEnd``, so that the file was not cut there.
    private let endsAtFooter: Bool
    private let reserved: [ReservedArea]
    private let cache: TableCache

    /// - Parameters:
    ///   - range: the table, or more of it than `layout` has.
    ///   - byteCount: the length of the disk, which `range` covers: what the file lacks of blocks behind it is no fault.
    ///   - names: places of the parent's names, which no block may lie in.
    init(
        _ store: any ByteStore, _ layout: Layout, _ sparse: Layout.Sparse, range: TableRange, byteCount: UInt64,
        names: [Range<UInt64>]
    ) {
        self.range = range
        self.byteCount = byteCount
        blockSize = sparse.blockSize
        bitmapByteCount = sparse.bitmapByteCount
        dataEnd = layout.dataEnd
        endsAtFooter = layout.dataEnd < layout.fileByteCount
        let header = sparse.place.value
        let table = sparse.table
        reserved =
            [
                ReservedArea(name: "the footer's copy", range: 0..<UInt64(Footer.byteCount)),
                ReservedArea(name: "the dynamic header", range: header..<header + UInt64(DynamicHeader.byteCount)),
                ReservedArea(
                    name: "the block allocation table",
                    range: table.start.value..<table.start.value + UInt64(table.byteCount)),
            ] + names.map { ReservedArea(name: "a name of the parent", range: $0) }
        cache = TableCache(store)
    }

    /// The page that holds the entry of block `index`.
    func page(of index: Int, _ lookup: inout TableLookup) throws(ImageError) -> TablePage {
        let first = index / Self.entriesPerPage * Self.entriesPerPage
        let place = range.entry(first)
        if let page = lookup.entries, page.place == place { return page }
        let page = try cache.page(at: place, count: min(Self.entriesPerPage, range.count - first) * 4)
        lookup.entries = page
        return page
    }

    /// The sector bitmap of `block`.
    func bitmap(of block: Block, _ lookup: inout TableLookup) throws(ImageError) -> TablePage {
        if let page = lookup.bitmap, page.place == block.bitmap { return page }
        let page = try cache.page(at: block.bitmap, count: Int(bitmapByteCount))
        lookup.bitmap = page
        return page
    }

    /// The block that the allocated `entry` of block `index` points to.
    /// - Throws: `.damaged` at the entry, where no block can lie there.
    func block(_ index: Int, _ entry: UInt32) throws(ImageError) -> Block {
        let start = UInt64(entry) * Geometry.sectorSize
        let data = start + bitmapByteCount
        guard data < dataEnd else {
            throw fault(index, entry, "lies past the end of the data (\(dataEnd))", "Is the file cut short?")
        }
        // What of the last block lies behind the disk's end may be missing.
        let used = min(blockSize, byteCount - min(byteCount, UInt64(index) * blockSize))
        if endsAtFooter, used > dataEnd - data {
            throw fault(index, entry, "reaches into the footer at \(dataEnd)", nil)
        }
        for area in reserved where start < area.range.upperBound && area.range.lowerBound < data + blockSize {
            throw fault(index, entry, "lies on \(area.name)", nil)
        }
        return Block(
            bitmap: HostOffset(start), data: HostOffset(data),
            available: min(blockSize, (dataEnd - data).roundedDown(to: Geometry.sectorSize)))
    }

    /// The error for guest bytes from `offset` on that the end of the file cut off from block `index`.
    func missing(_ index: Int, at offset: UInt64) -> ImageError {
        .damaged(
            "block \(index) is cut short by the end of the file: its bytes from guest offset \(offset) on are missing",
            at: range.entry(index), advice: "Is the file cut short?")
    }

    private func fault(_ index: Int, _ entry: UInt32, _ reason: String, _ advice: String?) -> ImageError {
        .damaged(
            "the table's entry of block \(index) is \(entry): a block at byte \(UInt64(entry) * Geometry.sectorSize) "
                + reason, at: range.entry(index), advice: advice)
    }
}
