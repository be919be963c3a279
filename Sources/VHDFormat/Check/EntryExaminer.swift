internal import ReimageCore

/// Looks at what the entries of the block allocation table say one by one, and at the bitmaps of the blocks.
struct EntryExaminer {
    let image: CheckedImage
    let sparse: CheckedImage.Sparse
    let log: FindingLog
    private let areas: [CheckedImage.Area]
    private let bitmaps: BitmapExaminer?
    private(set) var facts = CheckFacts()
    /// The entries that the disk does not need.
    private let surplusArea: Range<UInt64>
    /// Whether a block lies on them, so that they are none.
    private(set) var hasBlockOnSurplus = false
    /// Where the block that comes before on the disk ends in the file.
    private var previousEnd: UInt64?

    init(_ image: CheckedImage, _ sparse: CheckedImage.Sparse, log: FindingLog) {
        self.image = image
        self.sparse = sparse
        self.log = log
        areas = image.areas(surplus: false).filter(\.refusesBlocks)
        let used = sparse.table.entry(sparse.used).value
        surplusArea = used..<sparse.table.entry(sparse.table.count).value
        bitmaps = image.kind == .dynamic ? BitmapExaminer(store: image.store, sparse: sparse) : nil
    }

    /// Why no block can lie where an entry says; `nil` where one can.
    func fault(of value: UInt32) -> String? {
        let start = UInt64(value) * Geometry.sectorSize
        guard start + sparse.bitmapByteCount < image.dataEnd else {
            return "past the end of the data (\(image.dataEnd))"
        }
        return areas.first { start < $0.range.upperBound && $0.range.lowerBound < start + sparse.stride }
            .map { "on \($0.name)" }
    }

    /// Takes entries that the disk needs.
    mutating func take(_ entries: CheckFacts.Entries, _ value: UInt32) throws(ImageError) {
        guard value != TableWalk.unallocated else { return }
        let place = sparse.table.entry(entries.first)
        let start = UInt64(value) * Geometry.sectorSize
        if let fault = fault(of: value) {
            facts.add(lost: entries)
            log.found(
                .corruption, "\(Self.name(entries)) said to lie at byte \(start): \(fault)", at: place,
                guest: image.guest(entries.first, count: entries.count), count: UInt64(entries.count))
            return
        }
        log.measure { $0.allocatedClusters += UInt64(entries.count) }
        let end = start + sparse.stride
        if let previousEnd, start < previousEnd || start - previousEnd > sparse.stride {
            log.measure { $0.fragmentedClusters += 1 }
        }
        previousEnd = end
        if start < surplusArea.upperBound, surplusArea.lowerBound < end { hasBlockOnSurplus = true }
        facts.usedEnd = max(facts.usedEnd, min(end, image.dataEnd))
        facts.blocksEnd = max(facts.blocksEnd, end)
        // Entries that hold the same lie on each other; that is found where places are compared.
        guard let guest = image.guest(entries.first) else { return }
        let stored = min(sparse.blockSize, image.dataEnd - start - sparse.bitmapByteCount)
        checkEnd(of: entries.first, guest, stored, at: place)
        guard let bitmaps else { return }
        let hidden = try bitmaps.hiddenSectors(ofBlockAt: start, byteCount: min(guest.count, stored))
        guard let first = hidden.first, let last = hidden.last else { return }
        facts.add(hidden: entries.first)
        let range = GuestRange(
            from: guest.start + UInt64(first) * Geometry.sectorSize,
            to: min(guest.start + UInt64(last + 1) * Geometry.sectorSize, guest.end))
        log.found(
            .corruption,
            "\(hidden.count) sectors of block \(entries.first) hold data, though its bitmap says that they were never "
                + "written", at: HostOffset(start), guest: range)
    }

    private mutating func checkEnd(of index: Int, _ guest: GuestRange, _ stored: UInt64, at place: HostOffset) {
        guard stored < sparse.blockSize else { return }
        guard stored < guest.count else {
            return log.found(
                .remark, "block \(index) is stored in part: what lies behind the disk's end is missing", at: place)
        }
        facts.add(cut: index)
        log.found(
            .corruption,
            "block \(index) is cut short by the end of the data: \(guest.count - stored) bytes are missing", at: place,
            guest: GuestRange(from: guest.start + stored, to: guest.end))
    }

    /// Takes entries behind those that the disk needs.
    mutating func takeSurplus(_ entries: CheckFacts.Entries, _ value: UInt32) {
        guard value != TableWalk.unallocated else { return }
        facts.add(surplus: entries)
        let place = sparse.table.entry(entries.first)
        guard fault(of: value) == nil else {
            return log.found(
                .remark, "\(Self.name(entries)) behind the end of the disk, and said to lie where no block can be",
                at: place)
        }
        let end = UInt64(value) * Geometry.sectorSize + sparse.stride
        facts.usedEnd = max(facts.usedEnd, min(end, image.dataEnd))
        facts.blocksEnd = max(facts.blocksEnd, end)
        log.found(
            .leak, "\(Self.name(entries)) behind the end of the disk, and stored", at: place,
            count: UInt64(entries.count))
    }

    mutating func add(overlapping index: Int) { facts.add(overlapping: index) }
    mutating func giveUp() { facts.giveUp() }
    mutating func use(upTo end: UInt64) { facts.usedEnd = max(facts.usedEnd, end) }

    private static func name(_ entries: CheckFacts.Entries) -> String {
        entries.count == 1
            ? "block \(entries.first) is"
            : "blocks \(entries.first) to \(entries.first + entries.count - 1) are"
    }
}
