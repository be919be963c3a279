internal import ReimageCore

/// Checks one image: its footers, its header, every entry of its table, and what lies where in the file.
struct Checker {
    let image: CheckedImage
    let log: FindingLog
    /// The most blocks whose places are compared at a time.
    var mostPlaces = BlockPlaces.most
    private(set) var facts = CheckFacts()
    /// What nothing uses between the last structure and the end of the data.
    private(set) var endGap: UInt64 = 0

    /// The shortest run of unused bytes that counts as lost, where blocks are shorter: programs leave so much between
    /// structures to have them aligned.
    private static let shortestGap: UInt64 = 128 << 10

    init(
        _ store: any ByteStore, _ options: ReaderOptions, log: FindingLog,
        cancellation: Cancellation = Cancellation()
    ) throws(ImageError) {
        image = try CheckedImage(store, options, cancellation)
        self.log = log
    }

    /// Checks, and leaves the findings in the log.
    mutating func run() throws(ImageError) {
        FooterExaminer(image: image, log: log).run()
        for obstacle in image.obstacles { log.unexamined(obstacle) }
        if image.kind == .fixed {
            log.measure { $0.imageEndOffset = HostOffset(min(image.byteCount, image.dataEnd)) }
        }
        guard let sparse = image.sparse else { return }
        log.measure { $0.totalClusters = sparse.needed }
        try HeaderExaminer(image: image, sparse: sparse, log: log).run()
        var examiner = EntryExaminer(image, sparse, log: log)
        for area in image.areas(surplus: true) { examiner.use(upTo: area.range.upperBound) }
        var places = Places(image, sparse, most: mostPlaces, shortestGap: Self.shortestGap)
        let walk = TableWalk(store: image.store, table: sparse.table)
        try walk.forEachRun(0, sparse.used) { (entries, value) throws(ImageError) in
            try examiner.take(entries, value)
            if examiner.fault(of: value) == nil { places.blocks.add(value, entries) }
        }
        if examiner.hasBlockOnSurplus {
            log.found(
                .corruption, "blocks lie on the entries that the block allocation table has too many",
                at: sparse.table.entry(sparse.used))
        } else {
            try walk.forEachRun(sparse.used) { (entries, value) throws(ImageError) in
                examiner.takeSurplus(entries, value)
                if examiner.fault(of: value) == nil { places.blocks.add(value, entries) }
            }
        }
        while true {
            places.compare(&examiner, log)
            places.blocks.advance()
            // No entry points behind, however long the file is.
            let first = places.blocks.sectors.lowerBound
            guard first < UInt64(UInt32.max), first * Geometry.sectorSize < image.dataEnd else { break }
            let end = examiner.hasBlockOnSurplus ? sparse.used : nil
            try walk.forEachRun(0, end) { (entries, value) throws(ImageError) in
                if value != TableWalk.unallocated, examiner.fault(of: value) == nil {
                    places.blocks.add(value, entries)
                }
            }
        }
        endGap = places.finish(log)
        facts = examiner.facts
        log.measure { $0.imageEndOffset = HostOffset(facts.usedEnd) }
    }
}

/// Compares the places of structures with each other, front to back.
private struct Places {
    let image: CheckedImage
    let sparse: CheckedImage.Sparse
    var blocks: BlockPlaces
    private var areas: ArraySlice<CheckedImage.Area>
    private let shortestGap: UInt64
    /// Where what was looked at so far ends.
    private var end: UInt64 = 0
    /// The last block, which keeps its place.
    private var last: (end: UInt64, index: Int)?

    init(_ image: CheckedImage, _ sparse: CheckedImage.Sparse, most: Int, shortestGap: UInt64) {
        self.image = image
        self.sparse = sparse
        self.shortestGap = max(shortestGap, sparse.stride)
        blocks = BlockPlaces(stride: sparse.stride / Geometry.sectorSize, most: most)
        areas = image.areas(surplus: true)[...]
    }

    /// Looks at the blocks that begin in the part of the file that was collected.
    mutating func compare(_ examiner: inout EntryExaminer, _ log: FindingLog) {
        if blocks.isOverfull {
            examiner.giveUp()
            log.measure { $0.checkErrors += 1 }
            log.found(
                .corruption,
                "more blocks are said to lie between the bytes \(blocks.sectors.lowerBound * Geometry.sectorSize) and "
                    + "\(blocks.sectors.upperBound * Geometry.sectorSize) than there is room for")
        }
        for place in blocks.sorted() {
            let (sector, index) = BlockPlaces.parts(of: place)
            take(sector * Geometry.sectorSize, index, &examiner, log)
        }
    }

    private mutating func take(_ start: UInt64, _ index: Int, _ examiner: inout EntryExaminer, _ log: FindingLog) {
        while let area = areas.first, area.range.lowerBound <= start {
            cover(area.range, log)
            areas = areas.dropFirst()
        }
        if let last, start < last.end {
            // Behind the disk's end nobody reads it.
            if index < sparse.used { examiner.add(overlapping: index) }
            return log.found(
                .corruption, "blocks \(last.index) and \(index) lie on the same bytes of the file",
                at: sparse.table.entry(index), guest: image.guest(index))
        }
        last = (start + sparse.stride, index)
        cover(start..<start + sparse.stride, log)
    }

    private mutating func cover(_ range: Range<UInt64>, _ log: FindingLog) {
        gap(upTo: range.lowerBound, log)
        end = max(end, range.upperBound)
    }

    private func gap(upTo start: UInt64, _ log: FindingLog) {
        guard start > end, start - end >= shortestGap else { return }
        log.found(
            .leak, "\(start - end) bytes belong to nothing", at: HostOffset(end), count: (start - end) / sparse.stride)
    }

    /// Looks at what is left.
    /// - Returns: how many bytes are unused at the end.
    mutating func finish(_ log: FindingLog) -> UInt64 {
        for area in areas { cover(area.range, log) }
        gap(upTo: image.dataEnd, log)
        return image.dataEnd - min(end, image.dataEnd)
    }
}
