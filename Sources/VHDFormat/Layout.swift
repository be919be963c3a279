internal import ReimageCore

/// Where everything lies in an image: what its footers and its dynamic header say, bounded by the file.
///
/// Nothing here reads the block allocation table or the blocks.
struct Layout {
    /// What a dynamic or differencing image has besides a footer.
    struct Sparse {
        var header: DynamicHeader
        /// The place of the header.
        var place: HostOffset
        /// The block allocation table, as far as the disk needs it.
        var table: TableRange
        /// The guest's bytes to a block.
        var blockSize: UInt64
        /// The bytes of the sector bitmap before each block.
        var bitmapByteCount: UInt64
    }

    /// The largest block there is sense in: 256 MiB.
    static let largestBlock: UInt32 = 256 << 20

    let fileByteCount: UInt64
    let copies: FooterCopies
    /// The footer that counts.
    let footer: Footer
    let footerPlace: HostOffset
    let kind: Footer.Kind
    let sizes: DiskSizes
    /// `nil` for a fixed image.
    let sparse: Sparse?
    /// Where stored data must end: before the footer at the file's end, where there is one, else at the file's end.
    let dataEnd: UInt64
    /// Sentences the user should read.
    private(set) var remarks: [String] = []

    /// The disk's length in bytes.
    var byteCount: UInt64 { sizes.chosen }

    init(_ store: any ByteStore, _ options: ReaderOptions) throws(ImageError) {
        fileByteCount = store.byteCount
        copies = try FooterCopies(store)
        let choice = try FooterChoice(copies, options, fileByteCount: store.byteCount)
        footer = choice.found.footer
        footerPlace = choice.found.place
        kind = choice.kind
        remarks = choice.remarks
        // The tail ends the data only where it is a footer of this image at all.
        dataEnd = choice.tailIsFooter ? copies.tail?.place.value ?? fileByteCount : fileByteCount
        sizes = try DiskSizes(footer, options.size, at: footerPlace)
        if let remark = sizes.remark { remarks.append(remark) }
        if footer.savedState != 0 {
            remarks.append("the machine that used the disk was suspended: what it still held in memory is not in here")
        }
        sparse =
            kind == .fixed
            ? nil : try Self.sparse(store, footer, footerPlace, sizes, options, remarks: &remarks)
        if kind == .fixed { try checkFixed() }
    }

    /// The data of a fixed image must be as long as its footer says.
    private func checkFixed() throws(ImageError) {
        let needed = max(sizes.chosen, sizes.current)
        guard dataEnd >= needed else {
            throw .damaged(
                "a fixed disk of \(needed) bytes is stored in \(dataEnd)", at: footerPlace,
                advice: "Is the beginning or the middle of the file missing?")
        }
    }

    private static func sparse(
        _ store: any ByteStore, _ footer: Footer, _ footerPlace: HostOffset, _ sizes: DiskSizes,
        _ options: ReaderOptions, remarks: inout [String]
    ) throws(ImageError) -> Sparse {
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
        if !header.hasRightChecksum {
            guard options.ignoresChecksums else { throw wrongChecksum(of: "dynamic header", at: place) }
            remarks.append("the dynamic header's checksum is wrong; it was taken all the same")
        }
        guard header.version >> 16 == DynamicHeader.version >> 16 else {
            throw ImageError(
                .unsupported, "the dynamic header's version is \(header.version >> 16), and only 1 is known",
                at: .host(DynamicHeader.place(DynamicHeader.Field.version, at: place)))
        }
        let block = header.blockSize
        guard block >= 512, block <= largestBlock, block & (block - 1) == 0 else {
            throw .damaged(
                "blocks of \(block) bytes: a block is a power of two from 512 to \(largestBlock)",
                at: DynamicHeader.place(DynamicHeader.Field.blockSize, at: place))
        }
        let needed = max(sizes.chosen, sizes.current).dividedRoundingUp(by: UInt64(block))
        guard UInt64(header.entries) >= needed else {
            throw .damaged(
                "a block allocation table of \(header.entries) entries is too small for a disk of "
                    + "\(max(sizes.chosen, sizes.current)) bytes in blocks of \(block)",
                at: DynamicHeader.place(DynamicHeader.Field.entries, at: place))
        }
        let table = try TableRange(
            "the block allocation table", offset: header.tableOffset, count: needed, stride: 4, within: length)
        try check(table, header: place)
        return Sparse(
            header: header, place: place, table: table, blockSize: UInt64(block),
            bitmapByteCount: DynamicHeader.bitmapByteCount(blockSize: block))
    }

    /// The table must not lie on what is at a fixed place or pointed to by the footer: its entries would be other numbers.
    private static func check(_ table: TableRange, header: HostOffset) throws(ImageError) {
        let end = table.start + UInt64(table.byteCount)
        guard table.start >= HostOffset(UInt64(Footer.byteCount)),
            end <= header || table.start >= header + UInt64(DynamicHeader.byteCount)
        else {
            throw .damaged(
                "the block allocation table at \(table.start) lies on the footer's copy or the dynamic header",
                at: DynamicHeader.place(DynamicHeader.Field.tableOffset, at: header))
        }
    }

    /// The error for a structure whose checksum is wrong.
    static func wrongChecksum(of what: String, at place: HostOffset) -> ImageError {
        .damaged(
            "the \(what)'s checksum is wrong", at: place,
            advice: "If its fields are to be believed all the same, pass --ignore-checksums.")
    }
}
