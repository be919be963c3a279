internal import ReimageCore

/// Makes the entries of the table sound: every block has a place of its own that is in the file.
struct BlockRepair {
    let store: any UpdatableStore
    let image: CheckedImage
    let sparse: CheckedImage.Sparse
    let facts: CheckFacts
    let log: FindingLog
    let cancellation: Cancellation

    private var space: BlockSpace { BlockSpace(store, image, sparse, facts, cancellation) }

    /// Copies blocks that lie on others, and makes zeros what is lost.
    func run() throws(ImageError) {
        try dropLost()
        var space = space
        var moves: [BlockSpace.Move] = []
        for index in Set(facts.overlapping + facts.cut).sorted() {
            moves.append(.init(index: index, from: try place(of: index), to: 0))
        }
        if image.kind == .differencing {
            for entries in facts.lost {
                guard moves.count + entries.count <= CheckFacts.most else { throw Repairer.tooMuch }
                for index in entries.first..<entries.first + entries.count { moves.append(.init(index: index, to: 0)) }
            }
        }
        guard !moves.isEmpty else { return }
        let places = try space.extend(blocks: moves.count)
        for (number, place) in places.enumerated() { moves[number].to = place }
        try space.move(moves)
        for index in facts.overlapping {
            log.fixed(
                .corruption, "block \(index) got a copy of its own of what it had in common with another",
                at: sparse.table.entry(index), guest: image.guest(index))
        }
        for index in facts.cut {
            log.fixed(
                .corruption, "block \(index) was moved; what the file lacks of it reads as zeros now",
                at: sparse.table.entry(index), guest: image.guest(index))
        }
    }

    private func place(of index: Int) throws(ImageError) -> UInt64 {
        let bytes = try store.bytes(at: sparse.table.entry(index), count: 4)
        let sector = try bytes.withBytes { (span) throws(ImageError) in try span.big(UInt32.self, at: 0) }
        return UInt64(sector) * Geometry.sectorSize
    }

    /// Entries that point nowhere. In a differencing image they get blocks of zeros, as the parent's bytes would show
    /// through, which are older than what was lost.
    private func dropLost() throws(ImageError) {
        for entries in facts.lost {
            if image.kind == .dynamic { try space.clearEntries(entries.first, count: entries.count) }
            log.fixed(
                .corruption,
                "\(entries.count == 1 ? "block \(entries.first)" : "\(entries.count) blocks from \(entries.first) on"), "
                    + "whose place could not be, became zeros", at: sparse.table.entry(entries.first),
                guest: image.guest(entries.first, count: entries.count))
        }
        try store.sync()
    }

    /// Sets the bits of sectors that hold data.
    func showHidden() throws(ImageError) {
        let bitmaps = BitmapExaminer(store: image.store, sparse: sparse)
        for index in facts.hidden {
            let start = try place(of: index)
            guard let guest = image.guest(index), start + sparse.stride <= image.dataEnd else { continue }
            let sectors = try bitmaps.hiddenSectors(ofBlockAt: start, byteCount: guest.count)
            var bitmap = try store.bytes(at: HostOffset(start), count: Int(sparse.bitmapByteCount))
            for sector in sectors { bitmap[sector / 8] |= 0x80 >> UInt8(sector % 8) }
            try store.write(bitmap, at: HostOffset(start))
            log.fixed(
                .corruption, "the bits of \(sectors.count) sectors of block \(index) that hold data were set",
                at: HostOffset(start), guest: guest)
        }
        if !facts.hidden.isEmpty { try store.sync() }
    }

    /// Fills up the table's last sector with ones.
    func fillPadding() throws(ImageError) {
        guard let range = image.tablePadding(sparse) else { return }
        let bytes = try store.bytes(at: range.start, count: Int(range.count))
        guard bytes.contains(where: { $0 != 0xFF }) else { return }
        try space.fill(range.start, count: range.count)
        try store.sync()
        log.fixed(.remark, "the last sector of the block allocation table was filled up with ones", at: range.start)
    }

    /// Makes the header's checksum that of its fields, which the caller believes.
    func sealHeader() throws(ImageError) {
        guard !sparse.header.hasRightChecksum else { return }
        var header = try StoredStructure(headerAt: sparse.place, in: store)
        try header.seal()
        try store.write(firstSectorOf: header, at: sparse.place)
        try store.sync()
        log.fixed(.corruption, "the dynamic header's checksum was made that of its fields", at: sparse.place)
    }
}
