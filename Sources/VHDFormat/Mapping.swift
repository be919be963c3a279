internal import ReimageCore

/// From guest offsets to runs: walks the block allocation table, and the bitmaps of a differencing image; safe from any
/// thread.
final class Mapping: Sendable {
    /// The work of one call, in entries looked at: a run may end because it is spent. About 4 ms.
    private static let workLimit = 1 << 20
    /// What a visit to a page costs beside its entries.
    private static let pageWork = 64

    /// The disk's length in bytes; the table covers it.
    let byteCount: UInt64
    let table: BlockTable
    /// Whether a sector is the parent's unless its bit is set. Elsewhere bitmaps have no say: a sector of an allocated
    /// block is what is stored, as other readers have it.
    private let hasParent: Bool

    init(byteCount: UInt64, table: BlockTable, hasParent: Bool) {
        self.byteCount = byteCount
        self.table = table
        self.hasParent = hasParent
    }

    /// The run at `offset`, which lies below ``byteCount``; merged as far as it is cheap, `limit` bytes at most.
    /// - Throws: `.damaged` with the place of the entry that cannot be.
    func run(at offset: GuestOffset, limit: UInt64, _ lookup: inout TableLookup) throws(ImageError) -> Run {
        let start = offset.value
        let end = start + min(limit, byteCount - start)
        var walk = Walk(position: start, end: end, work: Self.workLimit)
        while walk.goesOn {
            do throws(ImageError) {
                try step(&walk, &lookup)
            } catch {
                // What came before is sound; the next call begins with the fault.
                guard walk.run.count == 0 else { break }
                throw error
            }
        }
        var run = walk.run
        run.count = min(run.count, end - start)
        return run
    }

    /// The state of one call: the run so far and what may follow.
    private struct Walk {
        var position: UInt64
        let end: UInt64
        var work: Int
        var run = Run(.unallocated, count: 0)
        var isDone = false

        /// Whether the next entry is to be looked at.
        var goesOn: Bool { !isDone && position < end && work > 0 }

        /// Joins what follows, or ends the walk.
        @inline(__always)
        mutating func take(_ next: Run) {
            if run.count == 0 { run = next } else if !run.join(next) { return isDone = true }
            position += next.count
        }
    }

    /// Takes the absent blocks that follow, or one that is stored.
    private func step(_ walk: inout Walk, _ lookup: inout TableLookup) throws(ImageError) {
        let index = Int(walk.position / table.blockSize)
        let page = try table.page(of: index, &lookup)
        let first = index / BlockTable.entriesPerPage * BlockTable.entriesPerPage
        walk.work -= Self.pageWork
        var next = first + page.byteCount / 4
        if page.uniform != .max {
            let last = next
            next = try page.withEntries { (words) throws(ImageError) in
                var next = index
                while next < last, try words.big(UInt32.self, at: (next - first) * 4) == BlockTable.unallocated {
                    next += 1
                }
                return next
            }
            walk.work -= next - index
        }
        guard next == index else {
            return walk.take(Run(.unallocated, count: UInt64(next) * table.blockSize - walk.position))
        }
        let block = try table.block(index, try page.entry(at: (index - first) * 4))
        if hasParent {
            try takeSectors(of: block, index, &walk, &lookup)
        } else {
            let within = walk.position % table.blockSize
            walk.take(try data(of: block, index, within, until: table.blockSize))
        }
    }

    /// Takes the runs of set and clear bits from the walk's position to the end of its block.
    private func takeSectors(
        of block: BlockTable.Block, _ index: Int, _ walk: inout Walk, _ lookup: inout TableLookup
    ) throws(ImageError) {
        let bitmap = try table.bitmap(of: block, &lookup)
        let start = UInt64(index) * table.blockSize
        while walk.goesOn, walk.position - start < table.blockSize {
            let within = walk.position - start
            let (isSet, sectors) = try bitmap.withEntries { (words) throws(ImageError) in
                try SectorBitmap.run(
                    in: words, from: Int(within / Geometry.sectorSize), to: Int(table.blockSize / Geometry.sectorSize))
            }
            let end = UInt64(sectors) * Geometry.sectorSize
            walk.take(isSet ? try data(of: block, index, within, until: end) : Run(.unallocated, count: end - within))
            walk.work -= 1
        }
    }

    /// The stored run from `within` a block up to `end`, as far as the file has it; behind the table's disk there may be
    /// nothing.
    private func data(
        of block: BlockTable.Block, _ index: Int, _ within: UInt64, until end: UInt64
    ) throws(ImageError) -> Run {
        guard within < block.available else {
            let place = UInt64(index) * table.blockSize + within
            guard place < table.byteCount else { return Run(.unallocated, count: end - within) }
            throw table.missing(index, at: place)
        }
        return Run(.data, count: min(end, block.available) - within, host: block.data.value + within)
    }
}

/// The bits before a block, one a sector, most significant first: set where the image itself has the sector.
enum SectorBitmap {
    /// What the bit of sector `first` says, and the first sector behind it, or `end`, that has another one.
    static func run(in words: RawSpan, from first: Int, to end: Int) throws(ImageError) -> (isSet: Bool, end: Int) {
        let isSet = try words.big(UInt8.self, at: first / 8) << UInt8(first % 8) & 0x80 != 0
        var next = first
        while next < end {
            let word = try words.big(UInt64.self, at: next / 64 * 8)
            let other = (isSet ? ~word : word) << UInt64(next % 64)
            let equal = min(other.leadingZeroBitCount, 64 - next % 64)
            next += equal
            if equal == 0 || next % 64 != 0 { break }
        }
        return (isSet, min(next, end))
    }
}
