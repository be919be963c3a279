internal import ReimageCore

/// Goes through an archive's records in order, and holds each against the rules of the order and against those before it.
///
/// - Source: archive specification 1.0, sections 4.1, 4.3 to 4.6, and 8, "Pipe restore".
struct RecordAudit {
    private let rules: RecordRules
    /// Whether what 1.0 does not have may occur in chunks, which are then not decoded.
    private let takesUnknown: Bool

    /// Where the next record must start, and its number.
    private(set) var place = HostOffset(UInt64(FileHeader.byteCount))
    private var sequence: UInt64 = 0
    /// The next slot; `nil` behind a damaged place.
    private var slot: UInt64? = 0
    private var lastLeaf: UInt64? = 0
    private(set) var lastErrors: UInt64 = 0
    /// The kinds of the leaf range in hand, a bit each, and whether a LEAF record is due.
    private var kinds: UInt8 = 0
    private var isLeafDue = false
    private var mustBeRoot = false
    /// Whether every record so far was there and as it should be: only then do sums mean anything.
    private(set) var isWhole = true

    private(set) var recordCount: UInt64 = 0
    private(set) var counts = Footer.Counts()
    private(set) var rawBytes: UInt64 = 0
    private(set) var storedBytes: UInt64 = 0
    private(set) var codecs: UInt32 = 0
    private(set) var filters: UInt32 = 0
    /// The CHNK records whose payload is shorter than the chunk.
    private(set) var compressedCount: UInt64 = 0

    init(_ rules: RecordRules, takesUnknown: Bool) {
        self.rules = rules
        self.takesUnknown = takesUnknown
    }

    /// Takes the next record that was found.
    ///
    /// - Parameter report: takes what is wrong.
    /// - Throws: `.unsupported` for what 1.0 does not have.
    mutating func take(_ record: PlacedRecord, _ report: (String, HostOffset, GuestRange?) -> Void) throws(ImageError) {
        // What lies inside the damaged payload of a record before is none of the archive's.
        guard record.place >= place else { return }
        recordCount += 1
        if record.place > place {
            report("there is no record in \(record.place - place) bytes", place, nil)
            lose()
        } else if record.header.sequence != sequence {
            report("a record has the number \(record.header.sequence), and should have \(sequence)", place, nil)
            lose()
        }
        place = record.header.end ?? record.payload
        sequence = record.header.sequence &+ 1
        do {
            try check(record)
        } catch {
            guard error.code != .unsupported else { throw error }
            report(error.message, record.place, nil)
            lose()
        }
    }

    /// Notes that what follows cannot be held against what came before.
    private mutating func lose() {
        isWhole = false
        slot = nil
        lastLeaf = nil
        isLeafDue = false
        mustBeRoot = false
    }

    private mutating func check(_ record: PlacedRecord) throws(ImageError) {
        let type = record.header.type
        if mustBeRoot, type != .root { throw .damaged("a second META record is not directly before the ROOT record") }
        mustBeRoot = false
        if isLeafDue, type != .leaf, type != .errors, !type.isAncillary {
            isLeafDue = false
            throw .damaged("a \(type.name) record stands where a LEAF record is due")
        }
        switch type {
        case .metadata:
            try record.header.check(is: .metadata)
            mustBeRoot = record.header.sequence != 0
        case .chunk: try takeChunk(record)
        case .run: try takeRun(record)
        case .leaf: try takeLeaf(record)
        case .errors:
            try record.header.check(is: .errors)
            let previous: UInt64 = try record.bytes.withBytes { (bytes) throws(ImageError) in
                try bytes.little(at: RecordHeader.byteCount)
            }
            if isWhole, previous != lastErrors { throw .damaged("an ERRS record does not name the one before it") }
            lastErrors = record.place.value
        case .root:
            try record.header.check(is: .root)
            if let slot, slot != rules.geometry.slots { throw .damaged("the records end before the last slot") }
        default: try record.header.check(is: type)
        }
    }

    private mutating func takeChunk(_ record: PlacedRecord) throws(ImageError) {
        let chunk: ChunkRecord
        do {
            chunk = try record.bytes.withBytes { (bytes) throws(ImageError) in
                try ChunkRecord(decoding: bytes, of: record.header, rules)
            }
        } catch {
            guard error.code == .unsupported, takesUnknown, let claim = RecordClaim(record) else { throw error }
            return try advance(from: claim.first, count: 1, .data)
        }
        counts.chunks += 1
        if record.header.payloadByteCount < UInt64(chunk.rawByteCount) { compressedCount += 1 }
        rawBytes &+= UInt64(chunk.rawByteCount)
        storedBytes &+= record.header.payloadByteCount
        codecs |= 1 << UInt32(chunk.codec & 31)
        filters |= 1 << UInt32(chunk.filter & 31)
        try advance(from: chunk.slot, count: 1, .data)
    }

    private mutating func takeRun(_ record: PlacedRecord) throws(ImageError) {
        let run = try record.bytes.withBytes { (bytes) throws(ImageError) in
            try RunRecord(decoding: bytes, of: record.header, rules)
        }
        switch run.kind {
        case .zero: counts.zeros &+= run.count
        case .unallocated: counts.unallocated &+= run.count
        case .unreadable: counts.unreadable &+= run.count
        case .data, .duplicate: counts.duplicates &+= run.count
        }
        try advance(from: run.first, count: run.count, run.kind == .duplicate ? .data : run.kind)
    }

    /// Goes on over slots of one kind; a LEAF record must follow each leaf range that is not all of one kind without data.
    private mutating func advance(from first: UInt64, count: UInt64, _ kind: SlotKind) throws(ImageError) {
        defer { slot = first + count }
        guard let expected = slot else {
            // Behind a damaged place the range in hand is not known, until the next begins.
            kinds = .max
            return
        }
        guard first == expected else { throw .damaged("slot \(first) follows slot \(expected) that is missing") }
        let size = rules.geometry.leafSlots
        let bit = UInt8(1) << kind.rawValue
        let end = first + count
        let rangeEnd = min((first / size + 1) * size, rules.geometry.slots)
        kinds |= bit
        guard end >= rangeEnd else { return }
        isLeafDue = Self.needsLeaf(kinds) && lastLeaf != nil
        if end > rangeEnd {
            if isLeafDue {
                isLeafDue = false
                kinds = bit
                throw .damaged("a RUN record goes on where a LEAF record is due")
            }
            kinds = end % size == 0 || end == rules.geometry.slots ? 0 : bit
            isLeafDue = false
        } else {
            kinds = 0
        }
    }

    private static func needsLeaf(_ kinds: UInt8) -> Bool {
        let single = [SlotKind.zero, .unallocated, .unreadable].map { UInt8(1) << $0.rawValue }
        return !single.contains(kinds)
    }

    private mutating func takeLeaf(_ record: PlacedRecord) throws(ImageError) {
        let leaf = try record.bytes.withBytes { (bytes) throws(ImageError) in
            try LeafRecord(decoding: bytes, of: record.header, rules)
        }
        defer {
            lastLeaf = record.place.value
            isLeafDue = false
            kinds = 0
            slot = leaf.first + UInt64(leaf.slotCount)
        }
        if let slot, slot != leaf.first + UInt64(leaf.slotCount) {
            throw .damaged("a LEAF record does not follow the slots that it tells of")
        }
        guard isWhole else { return }
        if !isLeafDue { throw .damaged("a LEAF record is not due where it stands") }
        if leaf.previous != lastLeaf { throw .damaged("a LEAF record does not name the one before it") }
        if leaf.rawBytes != rawBytes || leaf.storedBytes != storedBytes {
            throw .damaged("a LEAF record counts other bytes than the chunks before it have")
        }
    }

    /// What `footer` counts otherwise than the records do.
    func differences(_ footer: Footer) -> [String] {
        guard isWhole else { return [] }
        var wrong: [String] = []
        func compare<Value: Equatable>(_ name: String, _ claimed: Value, _ found: Value) {
            if claimed != found { wrong.append("the FOOT record has \(claimed) for \(name), and there are \(found)") }
        }
        compare("CHNK records", footer.counts.chunks, counts.chunks)
        compare("duplicate slots", footer.counts.duplicates, counts.duplicates)
        compare("zero slots", footer.counts.zeros, counts.zeros)
        compare("unallocated slots", footer.counts.unallocated, counts.unallocated)
        compare("unreadable slots", footer.counts.unreadable, counts.unreadable)
        compare("bytes in chunks", footer.rawBytes, rawBytes)
        compare("stored bytes", footer.storedBytes, storedBytes)
        if !takesUnknown {
            compare("the codecs in use", footer.codecs, codecs)
            compare("the filters in use", footer.filters, filters)
        }
        compare("the place of the last ERRS record", footer.errors, lastErrors)
        return wrong
    }
}
