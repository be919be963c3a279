internal import ReimageCodecs
internal import ReimageCore

/// Writes a dynamic or differencing image in one pass: the blocks that hold something, in the order of the disk, each
/// behind its bitmap; head, table and footer come last.
///
/// The table lies before the blocks where the disk's length is known beforehand, else behind them.
final class DynamicWriter: ImageWriter {
    private static let largestChunk: UInt64 = 2 << 20
    /// The most blocks that one call of ``skip(_:_:into:)`` stores.
    private static let longestSkip: UInt64 = 1024
    /// Footer and header, which the parent's names follow, and the table.
    private static let headByteCount = Footer.byteCount + DynamicHeader.byteCount

    /// The block that was stored last, and may get more.
    private struct OpenBlock {
        let index: UInt64
        /// The place of its data.
        let place: HostOffset
        /// How many bytes of it were placed.
        var filled: UInt64 = 0
        /// Which sectors count, in a differencing image.
        var bitmap: [UInt8]
    }

    let needs: WriterNeeds
    private let settings: WriterSettings
    private let plannedEntries: UInt64?
    private var table: TableBuilder
    private var open: OpenBlock?
    private let bitmapByteCount: Int
    /// The zeros before a bitmap, which fill its space up to whole pages; a pipe gets them anyway.
    private let gapByteCount: Int
    /// The bitmap in which every sector counts, behind its gap.
    private let fullBitmap: [UInt8]
    private(set) var remarks: [String] = []

    /// - Throws: `.unsupported` for a disk that is too small, too large, or too large for its blocks.
    init(_ settings: WriterSettings, _ plan: WritePlan) throws(ImageError) {
        self.settings = settings
        plannedEntries = try plan.byteCount.map { (byteCount) throws(ImageError) in
            try TableBuilder.entries(forDisk: settings.size(ofDisk: byteCount), blockSize: settings.blockSize)
        }
        table = TableBuilder(
            blockSize: settings.blockSize, from: Self.tablePlace(settings) + Self.tableSpace(plannedEntries))
        bitmapByteCount = Int(DynamicHeader.bitmapByteCount(blockSize: UInt32(settings.blockSize)))
        let isAppendOnly = plan.sink.contains(.appendOnly)
        gapByteCount = isAppendOnly ? 0 : Int(table.bitmapSpace) - bitmapByteCount
        fullBitmap =
            [UInt8](repeating: 0, count: gapByteCount) + [UInt8](repeating: 0xFF, count: bitmapByteCount)
        let chunk = Int(min(settings.blockSize, Self.largestChunk))
        let hasParent = settings.parent != nil
        needs = WriterNeeds(
            chunkSize: chunk,
            grainSize: hasParent ? Int(Geometry.sectorSize) : min(settings.holeGrain ?? chunk, chunk),
            padsLastChunk: true,
            longestSkip: hasParent || settings.storesZeros ? Self.longestSkip * settings.blockSize : .max,
            lookAhead: hasParent ? .content : .extents,
            // The head goes into a pipe before the digest is known.
            digest: settings.stamp.isDeterministic && !isAppendOnly, sharing: settings.sharing)
    }

    private static func tablePlace(_ settings: WriterSettings) -> UInt64 {
        UInt64(headByteCount + (settings.parent?.byteCount ?? 0))
    }

    private static func tableSpace(_ entries: UInt64?) -> UInt64 { entries.map(TableBuilder.byteCount(entries:)) ?? 0 }

    /// Every block of the disk stored.
    func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 {
        let entries = try TableBuilder.entries(
            forDisk: settings.size(ofDisk: byteCount), blockSize: settings.blockSize)
        let start = Self.tablePlace(settings) + Self.tableSpace(plannedEntries == nil ? nil : entries)
        let blocks = TableBuilder(blockSize: settings.blockSize, from: start)
        let end = blocks.next + entries * blocks.stride
        return end.value + Self.tableSpace(plannedEntries == nil ? entries : nil) + UInt64(Footer.byteCount)
    }

    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
        let isStored = settings.parent == nil ? settings.storesZeros : kind != .hole
        guard isStored, !range.isEmpty else { return }
        var position = range.start
        while position < range.end {
            let index = position.value / settings.blockSize
            let end = min(range.end, GuestOffset((index + 1) * settings.blockSize))
            try openBlock(index, into: &placement)
            mark(GuestRange(from: position, to: end))
            position = end
        }
    }

    func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError) {
        let index = chunk.range.start.value / settings.blockSize
        if settings.storesZeros, settings.parent == nil { try openBlock(index, into: &placement) }
        if map.hasData(in: chunk.input) {
            try openBlock(index, into: &placement)
            try placeData(chunk, map, into: &placement)
        }
        guard settings.parent != nil else { return }
        try map.forEachRun(in: chunk.input) { (kind, run) throws(ImageError) in
            let start = UInt64(run.lowerBound - chunk.input.lowerBound)
            // Behind the disk's end there is only padding.
            guard kind != .hole, start < chunk.range.count else { return }
            let count = min(UInt64(run.count), chunk.range.count - start)
            try openBlock(index, into: &placement)
            mark(GuestRange(start: chunk.range.start + start, count: count))
        }
    }

    func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
        close(into: &placement)
        let size = try settings.size(ofDisk: disk.byteCount)
        let entries = try TableBuilder.entries(forDisk: size, blockSize: settings.blockSize)
        guard plannedEntries == nil || plannedEntries == entries else {
            throw ImageError(.unreadable, "the disk has \(disk.byteCount) bytes, and had another length before")
        }
        remarks += [settings.remark(onSizeOfDisk: disk.byteCount)].compactMap(\.self)
        let tableByteCount = Int(TableBuilder.byteCount(entries: entries))
        var bat = [UInt8](repeating: 0, count: tableByteCount)
        bat.withMutableBytes { table.store(in: &$0, at: 0, byteCount: tableByteCount) }
        let uniqueID = settings.stamp.uniqueID ?? contentID(of: disk, size: size, bat)
        let footer = try settings.footer(size: size, uniqueID: uniqueID).bytes()

        var end = table.isEmpty ? HostOffset(Self.tablePlace(settings)) : table.next
        var head = footer
        if plannedEntries == nil {
            head += try header(tableAt: end, entries)
            placement.append(.write(.metadata(bat), at: end))
            end += UInt64(tableByteCount)
        } else {
            head += try header(tableAt: HostOffset(Self.tablePlace(settings)), entries)
            head += bat
            if table.isEmpty { end += UInt64(tableByteCount) }
        }
        if !table.isEmpty {
            // Up to the first block, so that the file has no hole there.
            head += [UInt8](repeating: 0, count: (Int(TableBuilder.alignment) - head.count % 4096) % 4096)
        }
        placement.append(.write(.metadata(footer), at: end))
        placement.append(.setByteCount(end.value + UInt64(Footer.byteCount)))
        placement.append(.write(.metadata(head), at: .zero))
    }

    /// The dynamic header, and the parent's names behind it.
    private func header(tableAt place: HostOffset, _ entries: UInt64) throws(ImageError) -> [UInt8] {
        var header = DynamicHeader(
            tableOffset: place.value, entries: UInt32(clamping: entries), blockSize: UInt32(settings.blockSize))
        let names = settings.parent?.store(in: &header, namesAt: HostOffset(UInt64(Self.headByteCount))) ?? []
        return try header.bytes() + names
    }

    private func contentID(of disk: WrittenDisk, size: UInt64, _ bat: [UInt8]) -> [UInt8] {
        let source = disk.digest.map(ContentID.Source.digest) ?? .layout(SHA256Hasher.hash(bat))
        return ContentID.make(settings, size: size, from: source)
    }
}

// Blocks.
extension DynamicWriter {
    /// Lets what follows go into block `index`.
    private func openBlock(_ index: UInt64, into placement: inout Placement) throws(ImageError) {
        guard open?.index != index else { return }
        close(into: &placement)
        let place = try table.allocate(index)
        if settings.parent == nil { placeBitmap(fullBitmap, before: place, into: &placement) }
        let bitmap = [UInt8](repeating: 0, count: settings.parent == nil ? 0 : bitmapByteCount)
        open = OpenBlock(index: index, place: place, bitmap: bitmap)
    }

    /// Fills what was not placed of the open block with zeros, as a block is stored whole.
    private func close(into placement: inout Placement) {
        fill(to: settings.blockSize, into: &placement)
        guard let block = open else { return }
        if settings.parent != nil {
            let gap = [UInt8](repeating: 0, count: gapByteCount)
            placeBitmap(gap + block.bitmap, before: block.place, into: &placement)
        }
        open = nil
    }

    private func placeBitmap(_ bytes: [UInt8], before place: HostOffset, into placement: inout Placement) {
        placement.append(.write(.metadata(bytes), at: HostOffset(place.value - UInt64(bytes.count))))
    }

    /// Makes what was not placed of the open block zeros, up to `end`.
    private func fill(to end: UInt64, into placement: inout Placement) {
        guard let block = open, block.filled < end else { return }
        let range = HostRange(from: block.place + block.filled, to: block.place + end)
        placement.append(.zero(range, settings.zeroMode))
        open?.filled = end
    }

    /// Stores a chunk of the open block whole: where few of its sectors count, the others hold what reads there all the
    /// same, and one large write is quicker than many small ones.
    private func placeData(
        _ chunk: Chunk, _ map: borrowing GrainMap, into placement: inout Placement
    ) throws(ImageError) {
        let start = chunk.range.start.value % settings.blockSize
        fill(to: start, into: &placement)
        guard let place = open?.place else { return }
        if settings.holeGrain != nil, settings.parent == nil {
            try placement.append(chunk, map, at: place + start, zeros: settings.zeroMode)
        } else {
            placement.append(.write(.input(chunk.input), at: place + start))
        }
        open?.filled = start + UInt64(chunk.input.count)
    }

    /// Lets the sectors of `range`, which lies in the open block, count.
    private func mark(_ range: GuestRange) {
        guard settings.parent != nil, open != nil else { return }
        let start = range.start.value % settings.blockSize
        var sector = Int(start / Geometry.sectorSize)
        let end = Int((start + range.count).dividedRoundingUp(by: Geometry.sectorSize))
        while sector < end {
            if sector % 8 == 0, end - sector >= 8 {
                open?.bitmap[sector / 8] = 0xFF
                sector += 8
            } else {
                open?.bitmap[sector / 8] |= 0x80 >> UInt8(sector % 8)
                sector += 1
            }
        }
    }
}
