internal import ReimageCodecs
internal import ReimageCore

/// What an archive's records give, taken one after the other from the first: the index as its writer had it, against
/// which every later record is held.
///
/// - Source: archive specification 1.0, section 8, "Pipe restore".
struct RecordReplay {
    /// What a record is, once its header was taken.
    enum Part {
        case chunk(ChunkRecord, IndexEntry)
        case run(RunRecord)
        /// A record whose payload is to be taken too.
        case structure
        /// A record to be passed over.
        case ancillary
    }

    let header: FileHeader
    private(set) var index: IndexBuilder
    private(set) var chunks: ChunkLog
    /// Where the next record starts, and its number.
    private(set) var position = HostOffset(UInt64(FileHeader.byteCount))
    private(set) var sequence: UInt64 = 0
    private(set) var metadata: HostOffset?
    private(set) var lastErrors: UInt64 = 0
    private(set) var footer: Footer?

    private var rules: RecordRules
    private var metadataCount = 0
    /// Where the ranges of the last ERRS record end.
    private var errorsEnd: UInt64 = 0
    /// The LEAF record that must come next.
    private var due: (record: LeafRecord, payload: [UInt8])?
    private var root: (record: RootRecord, payload: [UInt8])?
    private var rootPlaced: (place: HostOffset, byteCount: UInt64)?
    private var footerPlace: HostOffset?

    /// - Throws: `.unsupported` for a table of chunks that no reader front to back keeps.
    init(_ header: FileHeader) throws(ImageError) {
        self.header = header
        let geometry =
            if let count = header.diskByteCount {
                try Geometry(byteCount: count, chunkLog2: header.chunkLog2, leafLog2: header.leafLog2)
            } else {
                try Geometry(ofUnknownDisk: header.chunkLog2, leafLog2: header.leafLog2)
            }
        guard header.dedupWindow <= ChunkLog.mostEntries else {
            throw ImageError(
                .unsupported,
                "its duplicates may be of any of the last \(header.dedupWindow) chunks, which is too many to be read front "
                    + "to back", advice: "Save it to a file first.")
        }
        index = IndexBuilder(
            geometry, logicalSector: header.logicalSector, isSizeLate: header.flags.contains(.sizeLate))
        chunks = ChunkLog(window: header.dedupWindow)
        rules = try RecordRules(header, diskByteCount: geometry.byteCount, byteCount: UInt64(Int64.max))
        knowsSize = header.diskByteCount != nil
    }

    /// Whether the disk's length was told by now.
    private(set) var knowsSize: Bool

    /// The disk's length, where it was told by now.
    var byteCount: UInt64? { knowsSize ? index.geometry.byteCount : nil }

    /// Whether the record taken last was a LEAF.
    private(set) var isAtLeaf = false

    /// Takes the header of the next record with its extension, which `bytes` are.
    mutating func take(_ bytes: RawSpan) throws(ImageError) -> (header: RecordHeader, part: Part) {
        let record = try RecordHeader(decoding: bytes, at: position, tag: header.tag)
        guard record.sequence == sequence else {
            throw .damaged("record number \(record.sequence) comes where number \(sequence) is due", at: position)
        }
        guard let end = record.end, end.value <= UInt64(Int64.max) else {
            throw .damaged("a record passes the end of every file", at: position)
        }
        let part = try open(record, bytes)
        isAtLeaf = false
        sequence += 1
        position = end
        return (record, part)
    }

    private mutating func open(_ record: RecordHeader, _ bytes: RawSpan) throws(ImageError) -> Part {
        guard rootPlaced == nil || record.type == .footer else {
            throw .damaged("a \(record.type.name) record follows the ROOT record", at: record.place)
        }
        switch record.type {
        case .chunk:
            try record.check(is: .chunk)
            try learn(from: ChunkRecord.claim(in: bytes), record)
            return try take(ChunkRecord(decoding: bytes, of: record, rules), record)
        case .run:
            try record.check(is: .run)
            try learn(from: RunRecord.claim(in: bytes), record)
            let run = try RunRecord(decoding: bytes, of: record, rules)
            try take(run, record)
            return .run(run)
        case .leaf:
            try record.check(is: .leaf)
            guard let due else { throw .damaged("a LEAF record comes where none is due", at: record.place) }
            try need(
                record, record.payloadByteCount == UInt64(due.payload.count), "of another length than it must have")
        case .root: try openRoot(record)
        case .metadata, .errors: try record.check(is: record.type)
        case .footer:
            try record.check(is: .footer)
            try need(record, rootPlaced != nil && footer == nil, "where none is due")
            try need(record, record.payloadByteCount == UInt64(Footer.payloadByteCount), "of the wrong length")
        default:
            // Refuses by name what is neither known nor ancillary.
            try record.check(is: record.type)
            return .ancillary
        }
        return .structure
    }

    private func need(_ record: RecordHeader, _ isRight: Bool, _ what: String) throws(ImageError) {
        if !isRight { throw .damaged("there is a \(record.type.name) record \(what)", at: record.place) }
    }

    /// Takes the disk's length from the first record that tells it: the one of the last slot.
    private mutating func learn(from claim: RecordClaim, _ record: RecordHeader) throws(ImageError) {
        guard !knowsSize, claim.diskSize != FileHeader.unknownSize else { return }
        let geometry = try Geometry(
            byteCount: claim.diskSize, chunkLog2: header.chunkLog2, leafLog2: header.leafLog2)
        let (end, overflow) = claim.first.addingReportingOverflow(claim.count)
        try need(record, !overflow && geometry.slots == end, "that tells the disk's size and is not the last")
        try learn(geometry)
    }

    private mutating func learn(_ geometry: Geometry) throws(ImageError) {
        knowsSize = true
        index.learn(geometry)
        rules = try RecordRules(header, diskByteCount: geometry.byteCount, byteCount: UInt64(Int64.max))
    }

    /// Checks that the slots of a record are those that come next.
    private func check(
        _ first: UInt64, _ count: UInt64, diskSize: UInt64, _ record: RecordHeader
    ) throws(ImageError) {
        try need(record, due == nil, "where a LEAF record is due")
        try need(record, first == index.slot, "of slot \(first) where slot \(index.slot) is due")
        try need(record, diskSize == index.diskSize(before: first + count), "with the wrong disk size")
    }

    private mutating func take(_ chunk: ChunkRecord, _ record: RecordHeader) throws(ImageError) -> Part {
        try check(chunk.slot, 1, diskSize: chunk.diskSize, record)
        let entry = IndexEntry(
            place: record.place, storedByteCount: UInt32(record.payloadByteCount),
            method: try ChunkMethod(codec: chunk.codec, filter: chunk.filter, at: record.place), hash: chunk.hash)
        index.add(entry, isDuplicate: false)
        chunks.append(chunk.slot, entry)
        closeRange()
        return .chunk(chunk, entry)
    }

    private mutating func take(_ run: RunRecord, _ record: RecordHeader) throws(ImageError) {
        try check(run.first, run.count, diskSize: run.diskSize, record)
        let end = run.first + run.count
        while index.slot < end {
            try need(record, due == nil, "where a LEAF record is due")
            if run.kind == .duplicate {
                guard let entry = chunks[run.source + (index.slot - run.first)] else {
                    throw .damaged("slot \(index.slot) is a duplicate of one that has no CHNK record", at: record.place)
                }
                index.add(entry, isDuplicate: true)
            } else {
                let whole = index.room == index.geometry.leafSlots ? (end - index.slot) >> UInt64(header.leafLog2) : 0
                if whole > 0 {
                    index.add(run.kind, ranges: whole)
                } else {
                    index.add(run.kind, count: min(end - index.slot, index.room))
                }
            }
            closeRange()
        }
    }

    /// Ends the leaf range in hand where it is full.
    private mutating func closeRange() {
        if index.isFull { due = index.close() }
    }

    private mutating func openRoot(_ record: RecordHeader) throws(ImageError) {
        try record.check(is: .root)
        try need(record, due == nil, "where a LEAF record is due")
        if !knowsSize {
            try need(record, index.slot == 0, "before the end of the disk")
            try learn(Geometry(byteCount: 0, chunkLog2: header.chunkLog2, leafLog2: header.leafLog2))
        }
        try need(record, index.slot == index.geometry.slots, "before the end of the disk")
        let expected = index.finish()
        try need(
            record, record.payloadByteCount == UInt64(expected.payload.count), "of another length than it must have")
        root = expected
    }

    /// Takes the proved payload of a record whose header, with its extension in `bytes`, was taken last.
    mutating func take(payload: [UInt8], of record: RecordHeader, _ bytes: RawSpan) throws(ImageError) {
        switch record.type {
        case .metadata:
            metadataCount += 1
            let isInPlace = record.place.value == UInt64(FileHeader.byteCount) || index.slot == index.geometry.slots
            try need(record, isInPlace && metadataCount <= 2, "where none may be")
            metadata = record.place
        case .errors: try takeErrors(payload, record, bytes)
        case .leaf:
            guard let due else { return }
            let found = try LeafRecord(decoding: bytes, of: record, rules)
            try need(record, found == due.record && payload == due.payload, "that differs from the records before it")
            index.add(
                found,
                at: RecordStream.Placed(
                    place: record.place, byteCount: UInt64(LeafRecord.headerByteCount) + record.payloadByteCount,
                    headerCheck: record.headerCheck))
            self.due = nil
            isAtLeaf = true
        case .root:
            guard let root else { return }
            let found = try RootRecord(decoding: bytes, of: record, rules)
            try need(record, found == root.record && payload == root.payload, "that differs from the records before it")
            rootPlaced = (record.place, UInt64(RootRecord.headerByteCount) + record.payloadByteCount)
        case .footer: try takeFooter(payload, record)
        default: break
        }
    }

    private mutating func takeErrors(
        _ payload: [UInt8], _ record: RecordHeader, _ bytes: RawSpan
    ) throws(ImageError) {
        let errors = try payload.withBytes { (payload) throws(ImageError) in
            try ErrorsRecord(decoding: bytes, payload: payload, of: record, rules)
        }
        try need(record, errors.previous == lastErrors, "that does not follow the one before it")
        let passed =
            index.slot == index.geometry.slots
            ? index.geometry.byteCount : index.slot << UInt64(header.chunkLog2)
        for entry in errors.entries {
            try need(record, entry.range.start.value >= errorsEnd, "with ranges out of order")
            errorsEnd = entry.range.end.value
        }
        try need(record, errorsEnd <= passed, "of ranges that come later")
        lastErrors = record.place.value
    }

    private mutating func takeFooter(_ payload: [UInt8], _ record: RecordHeader) throws(ImageError) {
        let found = try payload.withBytes { (payload) throws(ImageError) in
            try Footer(decoding: payload, at: record.place)
        }
        guard let root, let rootPlaced, let metadata else {
            throw .damaged("the archive has no META record", at: record.place)
        }
        var copy = header
        copy.diskByteCount = index.geometry.byteCount
        var expected = Footer(root.record, rootPlaced, metadata: metadata, header: copy, index, lastErrors: lastErrors)
        expected.flags = found.flags
        try need(record, found == expected, "that differs from the records before it")
        footer = found
        footerPlace = record.place
    }

    /// Whether `bytes` are the tail that is due.
    func check(tail bytes: RawSpan) throws(ImageError) {
        let tail = try Tail(decoding: bytes, at: position)
        guard tail.footer == footerPlace, tail.tag == header.tag else {
            throw .damaged("the tail is not that of the archive before it", at: position)
        }
    }
}

extension Footer {
    /// The footer of an archive with this ROOT record and index.
    init(
        _ root: RootRecord, _ placed: (place: HostOffset, byteCount: UInt64), metadata: HostOffset,
        header: FileHeader, _ index: IndexBuilder, lastErrors: UInt64
    ) {
        self.init(
            root: placed.place, rootByteCount: placed.byteCount, metadata: metadata, digest: root.digest,
            merkleRoot: root.merkleRoot, header: header, diskByteCount: index.geometry.byteCount)
        counts = index.counts
        rawBytes = index.rawBytes
        storedBytes = index.storedBytes
        codecs = index.codecs
        filters = index.filters
        errors = lastErrors
        if lastErrors != 0 { flags.insert(.sourceErrors) }
    }
}
