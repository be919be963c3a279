internal import ReimageCore

/// Makes a dynamic or differencing disk longer: what it gains is not stored, and reads as zeros.
struct DynamicGrowth {
    let resize: ImageResize
    let sparse: CheckedImage.Sparse

    private var store: any UpdatableStore { resize.store }
    private var image: CheckedImage { resize.image }
    private var old: UInt64 { resize.sizes.chosen }

    func run(to size: UInt64) throws(ImageError) {
        let needed = size.dividedRoundingUp(by: sparse.blockSize)
        guard needed < UInt64(UInt32.max) else {
            throw ImageError(
                .unsupported, "a table for a disk of \(size) bytes in blocks of \(sparse.blockSize) is too long",
                advice: "Convert the image to one with larger blocks.")
        }
        var space = BlockSpace(store, image, sparse, resize.facts, resize.context.cancellation)
        // Nobody sees it yet: the rest of the disk's last block, and of one that the footer cut.
        _ = try space.extend(blocks: 0)
        try space.clearBlock(behind: old)
        let start = sparse.table.start.value
        let end = (start + needed * 4).dividedRoundingUp(by: Geometry.sectorSize) * Geometry.sectorSize
        let first = old.dividedRoundingUp(by: sparse.blockSize)
        if needed > UInt64(sparse.table.count), hasObstacle(upTo: end) {
            try moveTable(entries: needed, keeping: first, &space)
        } else {
            try makeRoom(upTo: end, &space)
            try space.fill(HostOffset(start + first * 4), count: end - start - first * 4)
            try resize.storeTable(sparse, entries: needed)
        }
        try resize.storeFooters(size, tail: space.footerPlace)
    }

    /// Whether something that is no block lies where the table would be as long as up to `end`.
    private func hasObstacle(upTo end: UInt64) -> Bool {
        let tableEnd = sparse.table.start.value + UInt64(sparse.table.byteCount)
        return image.areas(surplus: true).contains { $0.range.lowerBound >= tableEnd && $0.range.lowerBound < end }
    }

    /// Moves the blocks that lie where the table will be to the end of the file.
    private func makeRoom(upTo end: UInt64, _ space: inout BlockSpace) throws(ImageError) {
        var moves: [BlockSpace.Move] = []
        let tableStart = sparse.table.start.value
        try TableWalk(store: image.store, table: sparse.table).forEachRun { (entries, value) throws(ImageError) in
            let start = UInt64(value) * Geometry.sectorSize
            guard value != TableWalk.unallocated, start < end, start > tableStart else { return }
            guard moves.count + entries.count <= CheckFacts.most else {
                throw ImageError(
                    .unsupported, "too many blocks lie where the longer table would be",
                    advice: "Convert the image to one with larger blocks.")
            }
            for index in entries.first..<entries.first + entries.count {
                moves.append(.init(index: index, from: start, to: 0))
            }
        }
        let places = try space.extend(blocks: moves.count, least: end)
        for (number, place) in places.enumerated() { moves[number].to = place }
        try space.move(moves)
    }

    /// Writes a table of `entries` behind the last block, with the first `kept` of this one, and changes over to it.
    private func moveTable(entries: UInt64, keeping kept: UInt64, _ space: inout BlockSpace) throws(ImageError) {
        let place = space.footerPlace.dividedRoundingUp(by: Geometry.sectorSize) * Geometry.sectorSize
        let end = (place + entries * 4).dividedRoundingUp(by: Geometry.sectorSize) * Geometry.sectorSize
        _ = try space.extend(blocks: 0, least: end)
        var done: UInt64 = 0
        while done < kept * 4 {
            try resize.context.cancellation.check()
            let count = min(1 << 20, kept * 4 - done)
            try store.write(
                try store.bytes(at: sparse.table.start + done, count: Int(count)), at: HostOffset(place + done))
            done += count
        }
        try space.fill(HostOffset(place + done), count: end - place - done)
        try resize.storeTable(sparse, entries: entries, at: place)
    }
}
