internal import ReimageCore

/// What a check knows of an image before it walks its table: as little as it can do with.
///
/// ``Layout`` refuses what a reader cannot trust; a check goes on where the damage can be described, and throws only
/// where there is no footer to go by.
struct CheckedImage {
    /// What a dynamic or differencing image has besides a footer.
    struct Sparse {
        let header: DynamicHeader
        /// The place of the header.
        let place: HostOffset
        /// The block allocation table, as far as it lies in the file.
        let table: TableRange
        /// The entries that the disk needs.
        let needed: UInt64
        /// The guest's bytes to a block.
        let blockSize: UInt64
        /// The bytes of the sector bitmap before each block.
        let bitmapByteCount: UInt64

        /// The bytes that a block takes in the file.
        var stride: UInt64 { bitmapByteCount + blockSize }
        /// The entries that are there of those that the disk needs.
        var used: Int { Int(min(needed, UInt64(table.count))) }
    }

    /// A part of the file that is used, and that no new block may lie in.
    struct Area {
        let name: String
        let range: Range<UInt64>
        /// Whether a reader refuses blocks here. What it takes no notice of may lie where blocks are, and says nothing
        /// against them.
        var refusesBlocks = true
    }

    let store: any ByteStore
    let options: ReaderOptions
    let copies: FooterCopies
    /// The footer that counts.
    let footer: Footer
    let footerPlace: HostOffset
    let kind: Footer.Kind
    /// `nil` where the footer has no size that can be.
    private(set) var sizes: DiskSizes?
    /// `nil` for a fixed image, and where the header cannot be used.
    private(set) var sparse: Sparse?
    /// Where stored data must end: before the footer at the file's end, where there is one, else at the file's end.
    let dataEnd: UInt64
    /// Whether a footer stands at ``dataEnd``.
    let endsAtFooter: Bool
    /// What is wrong with the sizes and the header, so that they cannot be used.
    private(set) var obstacles: [ImageError] = []

    /// - Throws: `.damaged` or `.unsupported` where no footer is sound, or it is not known which counts.
    init(
        _ store: any ByteStore, _ options: ReaderOptions, _ cancellation: Cancellation = Cancellation()
    ) throws(ImageError) {
        self.store = CancellableStore(store, cancellation)
        self.options = options
        copies = try FooterCopies(self.store)
        let choice = try FooterChoice(copies, options, fileByteCount: store.byteCount)
        footer = choice.found.footer
        footerPlace = choice.found.place
        kind = choice.kind
        let tail = choice.tailIsFooter ? copies.tail : nil
        endsAtFooter = tail != nil
        dataEnd = tail?.place.value ?? store.byteCount
        do throws(ImageError) {
            sizes = try DiskSizes(footer, options.size, at: footerPlace)
            if kind != .fixed { sparse = try readSparse() }
        } catch {
            guard error.code == .damaged || error.code == .unsupported else { throw error }
            obstacles.append(error)
        }
    }

    /// The length of the disk as it is stored: that of the two sizes which is longer.
    var byteCount: UInt64 { sizes.map { max($0.chosen, $0.current) } ?? 0 }

    private func readSparse() throws(ImageError) -> Sparse {
        let length = store.byteCount
        let size = UInt64(DynamicHeader.byteCount)
        guard footer.dataOffset >= UInt64(Footer.byteCount), length >= size, footer.dataOffset <= length - size else {
            throw .damaged(
                "the dynamic header is said to lie at \(footer.dataOffset), outside the file (\(length) bytes)",
                at: footerPlace + UInt64(Footer.Field.dataOffset))
        }
        let place = HostOffset(footer.dataOffset)
        let bytes = try store.bytes(at: place, count: DynamicHeader.byteCount)
        let header = try bytes.withBytes { (span) throws(ImageError) in
            try DynamicHeader(decoding: span, at: place)
        }
        guard header.version >> 16 == DynamicHeader.version >> 16 else {
            throw .damaged(
                "the dynamic header's version is \(header.version >> 16), and only 1 is known",
                at: place + UInt64(DynamicHeader.Field.version))
        }
        let block = header.blockSize
        guard block >= 512, block <= Layout.largestBlock, block & (block - 1) == 0 else {
            throw .damaged(
                "blocks of \(block) bytes: a block is a power of two from 512 to \(Layout.largestBlock)",
                at: place + UInt64(DynamicHeader.Field.blockSize))
        }
        guard header.tableOffset < length else {
            throw .damaged(
                "the block allocation table is said to lie at \(header.tableOffset), outside the file (\(length) bytes)",
                at: place + UInt64(DynamicHeader.Field.tableOffset))
        }
        let needed = byteCount.dividedRoundingUp(by: UInt64(block))
        var there = min(UInt64(header.entries), (length - header.tableOffset) / 4)
        // What the disk does not need is looked at only where the table can be as long as it is said to be.
        if there < UInt64(header.entries) { there = min(there, needed) }
        return Sparse(
            header: header, place: place,
            table: try TableRange("the table", offset: header.tableOffset, count: there, stride: 4, within: length),
            needed: needed, blockSize: UInt64(block),
            bitmapByteCount: DynamicHeader.bitmapByteCount(blockSize: block))
    }

    /// Whether the header may be believed as far as changes to the image go by it.
    var trustsHeader: Bool { sparse.map { $0.header.hasRightChecksum || options.ignoresChecksums } ?? false }

    /// Whether the table lies clear of the footers and the header, so that an entry that is changed changes none of them.
    var tableLiesClear: Bool {
        guard let sparse else { return false }
        let (start, header) = (sparse.table.start.value, sparse.place.value)
        let end = start + UInt64(sparse.table.byteCount)
        return start >= UInt64(Footer.byteCount) && end <= dataEnd
            && (end <= header || start >= header + UInt64(DynamicHeader.byteCount))
    }

    /// The guest's bytes of blocks `first` to `first + count`, as far as the disk goes.
    func guest(_ first: Int, count: Int = 1) -> GuestRange? {
        guard let sparse else { return nil }
        let start = UInt64(first) * sparse.blockSize
        guard start < byteCount else { return nil }
        return GuestRange(
            start: GuestOffset(start), count: min(UInt64(count) * sparse.blockSize, byteCount - start))
    }

    /// Whether the range lies in the file.
    func contains(_ offset: UInt64, count: UInt64) -> Bool {
        count <= store.byteCount && offset <= store.byteCount - count
    }

    /// The parts of the file that are used besides the blocks, by their start.
    /// - Parameter surplus: whether entries count that the disk does not need; a reader takes no notice of them.
    func areas(surplus: Bool) -> [Area] {
        var areas: [Area] = []
        if kind != .fixed { areas.append(Area(name: "the footer's copy", range: 0..<UInt64(Footer.byteCount))) }
        guard let sparse else { return areas }
        let header = sparse.place.value
        areas.append(Area(name: "the dynamic header", range: header..<header + UInt64(DynamicHeader.byteCount)))
        let table = sparse.table.start.value
        let entries = UInt64(surplus ? sparse.table.count : sparse.used)
        let padded = (table + entries * 4).roundedUp(to: Geometry.sectorSize) ?? .max
        areas.append(Area(name: "the block allocation table", range: table..<max(table, min(padded, dataEnd))))
        for locator in sparse.header.locators {
            let (offset, count) = (locator.dataOffset, UInt64(locator.dataLength))
            guard kind == .differencing, count > 0, contains(offset, count: count) else { continue }
            areas.append(
                Area(
                    name: "a name of the parent", range: offset..<offset + count,
                    refusesBlocks: locator.encoding != nil && locator.dataLength <= ParentNames.longestName))
        }
        return areas.sorted { $0.range.lowerBound < $1.range.lowerBound }
    }
}
