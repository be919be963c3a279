internal import ReimageCore

/// What must be known of an archive before its records can be believed: their tag, and the geometry of the disk.
///
/// From the file header; without, from its copy or any record that tells. Where nobody knows the disk's size, it is that
/// of the highest slot that is named: a lower bound.
struct ScanFacts {
    private(set) var header: FileHeader?
    private let tag: UInt64
    private var chunkLog2: Int?
    private var leafLog2: Int?
    private var logicalSector: UInt32?
    private var diskByteCount: UInt64?
    private var isSizeLate = false
    /// Behind the highest slot that is named.
    private var limit: UInt64 = 0

    /// How far the first record is looked for where there is no file header.
    private static let farthestRecord: UInt64 = 128 << 20

    init(_ store: any ByteStore, header: FileHeader?, _ cancellation: Cancellation) throws(ImageError) {
        self.header = header
        if let header {
            tag = header.tag
            chunkLog2 = header.chunkLog2
            leafLog2 = header.leafLog2
            logicalSector = header.logicalSector
            diskByteCount = header.diskByteCount
            isSizeLate = header.flags.contains(.sizeLate)
            if diskByteCount != nil { return }
        } else {
            guard let found = try Self.tag(store) else {
                throw .damaged("no record of an archive is found in it", at: .zero)
            }
            tag = found
        }
        let start = HostOffset(min(UInt64(FileHeader.byteCount), store.byteCount))
        var scan = RecordScan(store, tag: tag, in: HostRange(from: start, to: HostOffset(store.byteCount)))
        while let record = try scan.next() {
            try cancellation.check()
            take(record, store)
        }
    }

    /// The tag of the first record.
    private static func tag(_ store: any ByteStore) throws(ImageError) -> UInt64? {
        let end = min(store.byteCount, farthestRecord)
        var search = MagicSearch(store, end: end)
        var from = UInt64(FileHeader.byteCount)
        while let place = try search.next(from: from) {
            from = place + 8
            guard end - place >= UInt64(RecordHeader.byteCount),
                let bytes = try? store.bytes(at: HostOffset(place), count: RecordHeader.byteCount)
            else { continue }
            let tag = try bytes.withBytes { (bytes) throws(ImageError) in try RecordHeader.tag(in: bytes) }
            var reader = RecordReader(store, tag: tag)
            if (try? reader.record(at: HostOffset(place))) ?? nil != nil { return tag }
        }
        return nil
    }

    private mutating func take(_ record: PlacedRecord, _ store: any ByteStore) {
        switch record.header.type {
        case .footer:
            guard let bytes = record.payloadBytes(store),
                let footer = bytes.withBytes({ try? Footer(decoding: $0, at: record.place) }), footer.header.tag == tag
            else { return }
            take(footer)
        default:
            guard header?.diskByteCount == nil, let claim = RecordClaim(record) else { return }
            take(claim)
        }
    }

    private mutating func take(_ footer: Footer) {
        diskByteCount = footer.diskByteCount
        guard header == nil else { return }
        header = footer.header
        chunkLog2 = footer.header.chunkLog2
        leafLog2 = footer.header.leafLog2
        logicalSector = footer.header.logicalSector
        isSizeLate = footer.header.flags.contains(.sizeLate)
    }

    private mutating func take(_ claim: RecordClaim) {
        if chunkLog2 == nil, let log2 = claim.chunkLog2, Geometry.chunkLog2s.contains(log2) { chunkLog2 = log2 }
        if leafLog2 == nil, let log2 = claim.leafLog2, Geometry.leafLog2s.contains(log2) {
            leafLog2 = log2
            logicalSector = claim.logicalSector
        }
        if claim.diskSize == FileHeader.unknownSize {
            isSizeLate = true
        } else if diskByteCount == nil {
            diskByteCount = claim.diskSize
        }
        guard claim.count > 0, let log2 = chunkLog2, claim.chunkLog2 == log2 else { return }
        // Bounded, so that what follows cannot overflow: no disk has more slots.
        let most = UInt64(Int64.max) >> UInt64(log2)
        guard claim.first < most, claim.count <= most - claim.first else { return }
        let start = (claim.first + claim.count - 1) << UInt64(log2)
        limit = max(limit, start + min(claim.lastByteCount ?? .max, 1 << UInt64(log2)))
    }

    /// Whether nobody tells the disk's size.
    var isSizeGuessed: Bool { diskByteCount == nil }

    /// What records are checked against.
    /// - Throws: `.damaged` where no record tells the geometry.
    func rules(byteCount: UInt64) throws(ImageError) -> RecordRules {
        guard let chunkLog2 else { throw .damaged("no record tells how the disk is cut into chunks", at: .zero) }
        let size = diskByteCount ?? limit
        // Where no LEAF record is left, ranges can be cut as one likes.
        var leafLog2 = self.leafLog2 ?? max(4, min(12, 30 - chunkLog2))
        if self.leafLog2 == nil {
            let slots = size.dividedRoundingUp(by: 1 << UInt64(chunkLog2))
            while slots >> UInt64(leafLog2) >= Geometry.mostLeafRanges, leafLog2 < Geometry.leafLog2s.upperBound {
                leafLog2 += 1
            }
        }
        let geometry = try Geometry(byteCount: size, chunkLog2: chunkLog2, leafLog2: leafLog2)
        return RecordRules(
            tag: tag, geometry: geometry, logicalSector: logicalSector ?? 512, isSizeLate: isSizeLate,
            byteCount: byteCount)
    }
}
