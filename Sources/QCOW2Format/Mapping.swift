internal import ReimageCore

/// The pages that a walk used last, so that going on in them takes no lock.
struct TableLookup {
    fileprivate var l1: TablePage?
    fileprivate var l2: TablePage?
}

/// From guest offsets to runs: walks the L1 and L2 tables of one state of the disk; safe from any thread.
final class Mapping: Sendable {
    /// The work of one call, in entries looked at: a run may end because it is spent. About 4 ms.
    private static let workLimit = 1 << 20
    /// What a visit to a page costs beside its entries.
    private static let pageWork = 64

    /// The disk's length in bytes; the L1 table covers it.
    let byteCount: UInt64
    private let l1: TableRange
    private let geometry: Geometry
    private let decoder: L2Decoder
    private let cache: TableCache

    /// - Parameter l1: the L1 table; bounded by the file, and long enough for `byteCount`.
    init(byteCount: UInt64, l1: TableRange, decoder: L2Decoder, cache: TableCache) {
        self.byteCount = byteCount
        self.l1 = l1
        self.decoder = decoder
        self.cache = cache
        geometry = decoder.geometry
    }

    /// The run at `offset`, which lies below ``byteCount``; merged as far as it is cheap, `limit` bytes at most.
    ///
    /// A compressed run is the exception to `limit`: it is at least the rest of its cluster's guest bytes, cut only by
    /// the disk's end.
    /// - Throws: `.damaged` with the place of the entry that cannot be.
    func run(at offset: GuestOffset, limit: UInt64, _ lookup: inout TableLookup) throws(ImageError) -> Run {
        let start = offset.value
        let end = start + min(limit, byteCount - start)
        var walk = Walk(position: start, end: end, work: Self.workLimit)
        while walk.goesOn {
            let index = Int(walk.position >> geometry.l1CoverageBits)
            let page = try l1Page(index, &lookup)
            let entry = try page.entry(UInt64.self, at: index % Self.l1EntriesPerPage * 8)
            walk.work -= 1
            if entry & ~L2Decoder.copiedFlag == 0 {
                let next = UInt64(try skipAbsent(page, index, until: end, &walk)) << geometry.l1CoverageBits
                walk.take(Run(.unallocated, count: min(next, end) - walk.position))
            } else {
                let table = try l2Table(entry, index)
                try walkL2(table, &walk, &lookup)
            }
        }
        var run = walk.run
        if run.kind != .compressed {
            run.count = min(run.count, end - start)
        } else {
            run.count = min(run.count, byteCount - start)
        }
        return run
    }
}

extension Mapping {
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

    private static let l1EntriesPerPage = Int(TablePage.longest / 8)

    private func l1Page(_ index: Int, _ lookup: inout TableLookup) throws(ImageError) -> TablePage {
        let first = index / Self.l1EntriesPerPage * Self.l1EntriesPerPage
        let place = l1.entry(first)
        if let page = lookup.l1, page.place == place { return page }
        let page = try cache.page(at: place, count: min(Self.l1EntriesPerPage, l1.count - first) * 8)
        lookup.l1 = page
        return page
    }

    /// The first entry of the page behind `index` that is not absent, or the one behind the page.
    private func skipAbsent(
        _ page: TablePage, _ index: Int, until end: UInt64, _ walk: inout Walk
    ) throws(ImageError) -> Int {
        let count = page.byteCount / 8
        let first = index / Self.l1EntriesPerPage * Self.l1EntriesPerPage
        if page.uniform == 0 { return first + count }
        let next = try page.withEntries { (words) throws(ImageError) in
            var next = index - first + 1
            while next < count, try words.big(UInt64.self, at: next * 8) & ~L2Decoder.copiedFlag == 0 { next += 1 }
            return first + next
        }
        walk.work -= next - index
        return next
    }

    /// The place of the L2 table that L1 entry `index` points to.
    private func l2Table(_ entry: UInt64, _ index: Int) throws(ImageError) -> HostOffset {
        let offset = entry & L2Decoder.offsetMask
        let size = geometry.clusterSize
        let reason: String
        if entry & L2Decoder.l1ReservedMask != 0 {
            reason = "reserved bits are set"
        } else if offset % size != 0 {
            reason = "the L2 table's offset \(offset) is not cluster aligned"
        } else if offset > decoder.fileByteCount || size > decoder.fileByteCount - offset {
            let error = ImageError.damaged(
                "L1 entry \(index) (0x\(String(entry, radix: 16))): the L2 table at \(offset) passes the end of the "
                    + "file (\(decoder.fileByteCount) bytes)", at: l1.entry(index), advice: "Is the file cut short?")
            throw error
        } else if let owner = decoder.reserved.owner(of: offset, count: size) {
            reason = "the L2 table's offset \(offset) lies in \(owner)"
        } else {
            return HostOffset(offset)
        }
        throw .damaged("L1 entry \(index) (0x\(String(entry, radix: 16))): \(reason)", at: l1.entry(index))
    }

    /// Takes the entries of one page of an L2 table.
    private func walkL2(
        _ table: HostOffset, _ walk: inout Walk, _ lookup: inout TableLookup
    ) throws(ImageError) {
        let stride = geometry.l2Stride
        let pageBytes = min(geometry.clusterSize, TablePage.longest)
        let inTable = ((walk.position >> geometry.clusterBits) & ((1 << geometry.l2EntryBits) - 1)) * stride
        let place = table + inTable.roundedDown(to: pageBytes)
        let page: TablePage
        if let last = lookup.l2, last.place == place {
            page = last
        } else {
            page = try cache.page(at: place, count: Int(pageBytes))
            lookup.l2 = page
        }
        walk.work -= Self.pageWork
        // The guest bytes that the page maps from here on.
        let within = walk.position & (geometry.clusterSize - 1)
        let left = (((pageBytes - inTable % pageBytes) / stride) << geometry.clusterBits) - within
        if page.uniform == 0 { return walk.take(Run(.unallocated, count: left)) }
        let first = Int(inTable % pageBytes)
        if geometry.hasSubclusters {
            try page.withEntries { (words) throws(ImageError) in try takeExtended(words, place, first, &walk) }
        } else if page.uniform == L2Decoder.zeroFlag, !decoder.isVersion2 {
            walk.take(Run(.zero, count: left))
        } else {
            try page.withEntries { (words) throws(ImageError) in try takeStandard(words, place, first, &walk) }
        }
    }

    private func takeStandard(
        _ words: RawSpan, _ place: HostOffset, _ first: Int, _ walk: inout Walk
    ) throws(ImageError) {
        var position = first
        while position < words.byteCount, walk.goesOn {
            let entry = try words.big(UInt64.self, at: position)
            let within = walk.position & (geometry.clusterSize - 1)
            do throws(L2Fault) {
                let run = try decoder.run(entry, cluster: walk.position - within, within: within)
                walk.take(run)
                // A cluster that the end of the file cuts gives two runs; the next call takes the second.
                if walk.position & (geometry.clusterSize - 1) != 0 { return walk.isDone = true }
            } catch {
                // What came before is sound; the next call begins with the fault.
                guard walk.run.count == 0 else { return walk.isDone = true }
                throw error.error(entry: entry, place: place + UInt64(position), guest: walk.position)
            }
            walk.work -= 1
            position += 8
        }
    }

    private func takeExtended(
        _ words: RawSpan, _ place: HostOffset, _ first: Int, _ walk: inout Walk
    ) throws(ImageError) {
        var position = first
        while position < words.byteCount, walk.goesOn {
            let entry = try words.big(UInt64.self, at: position)
            let bitmap = try words.big(UInt64.self, at: position + 8)
            let within = walk.position & (geometry.clusterSize - 1)
            do throws(L2Fault) {
                let run = try decoder.run(entry, bitmap: bitmap, cluster: walk.position - within, within: within)
                walk.take(run)
            } catch {
                guard walk.run.count == 0 else { return walk.isDone = true }
                throw error.error(entry: entry, place: place + UInt64(position), guest: walk.position)
            }
            walk.work -= 1
            if walk.position & (geometry.clusterSize - 1) == 0 { position += 16 }
        }
    }
}
