internal import ReimageCore

/// Gives back space that nothing uses: blocks from the end of the file fill the gaps, and the file becomes shorter.
struct SpaceRepair {
    let store: any UpdatableStore
    let image: CheckedImage
    let sparse: CheckedImage.Sparse
    let facts: CheckFacts
    let log: FindingLog
    let cancellation: Cancellation

    /// The most blocks that are moved about; where there are more, only the end of the file is given back.
    private static let mostBlocks = BlockPlaces.most

    func run() throws(ImageError) {
        var space = BlockSpace(store, image, sparse, facts, cancellation)
        for entries in facts.surplus {
            try space.clearEntries(entries.first, count: entries.count)
            log.fixed(
                .leak, "\(entries.count) blocks behind the end of the disk were dropped",
                at: sparse.table.entry(entries.first))
        }
        if UInt64(sparse.header.entries) > sparse.needed { try dropSurplus() }
        let end = try fillGaps(space)
        let count = try space.cut(to: end)
        guard count > 0 else { return }
        log.fixed(.leak, "\(count) bytes were given back at the end of the file", at: HostOffset(end))
    }

    /// Makes the table as long as the disk needs it, now that nothing is stored behind.
    private func dropSurplus() throws(ImageError) {
        var header = try StoredStructure(headerAt: sparse.place, in: store)
        header.set(DynamicHeader.Field.entries, to: UInt32(clamping: sparse.needed))
        try header.seal()
        try store.sync()
        try store.write(firstSectorOf: header, at: sparse.place)
        try store.sync()
    }

    /// Moves blocks from the end into the gaps.
    /// - Returns: where what is used ends then.
    private func fillGaps(_ space: BlockSpace) throws(ImageError) -> UInt64 {
        let areasEnd = image.areas(surplus: false).map(\.range.upperBound).max() ?? 0
        guard var blocks = try blocks() else { return facts.usedEnd }
        var moves: [BlockSpace.Move] = []
        for gap in gaps(blocks) {
            // Where a block just fits, it goes without alignment.
            var place = space.aligned(gap.lowerBound)
            if place + sparse.stride > gap.upperBound {
                place = gap.lowerBound.roundedUp(to: Geometry.sectorSize) ?? .max
            }
            while place < gap.upperBound, place + sparse.stride <= gap.upperBound, let last = blocks.last,
                last.start > place
            {
                moves.append(.init(index: last.index, from: last.start, to: place))
                blocks.removeLast()
                place = space.aligned(place + sparse.stride)
            }
        }
        try space.move(moves)
        for move in moves {
            log.fixed(
                .leak, "block \(move.index) was moved to where nothing was", at: sparse.table.entry(move.index),
                guest: image.guest(move.index))
        }
        let blocksEnd = (blocks.last.map { $0.start + sparse.stride }) ?? 0
        return max(areasEnd, blocksEnd, moves.map { $0.to + sparse.stride }.max() ?? 0)
    }

    /// The blocks by their places; `nil` where there are too many.
    private func blocks() throws(ImageError) -> [(start: UInt64, index: Int)]? {
        var blocks: [(start: UInt64, index: Int)] = []
        var isTooMany = false
        let walk = TableWalk(store: image.store, table: sparse.table)
        try walk.forEachRun(0, sparse.used) { (entries, value) throws(ImageError) in
            guard value != TableWalk.unallocated, !isTooMany else { return }
            isTooMany = blocks.count + entries.count > Self.mostBlocks
            if !isTooMany {
                for index in entries.first..<entries.first + entries.count {
                    blocks.append((UInt64(value) * Geometry.sectorSize, index))
                }
            }
        }
        return isTooMany ? nil : blocks.sorted { $0.start < $1.start }
    }

    /// The parts of the file that nothing uses, and that are long enough for a block.
    private func gaps(_ blocks: [(start: UInt64, index: Int)]) -> [Range<UInt64>] {
        let used = (image.areas(surplus: false).map(\.range) + blocks.map { $0.start..<$0.start + sparse.stride })
            .sorted { $0.lowerBound < $1.lowerBound }
        var gaps: [Range<UInt64>] = []
        var end: UInt64 = 0
        for range in used {
            if range.lowerBound > end, range.lowerBound - end >= sparse.stride { gaps.append(end..<range.lowerBound) }
            end = max(end, range.upperBound)
        }
        return gaps
    }
}
