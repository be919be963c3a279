internal import ReimageCore

/// What the records of an archive tell of its disk where its index does not: found by a scan from front to back.
///
/// - Source: archive specification 1.0, section 9.
struct ArchiveScan: Sendable {
    let rules: RecordRules
    /// The file header or its copy; `nil` where neither was found.
    let header: FileHeader?
    /// Whether nothing tells the disk's size, and it is only that of the slots that are named.
    let isSizeGuessed: Bool
    /// The LEAF records that count and are whole, by leaf range.
    private(set) var leaves: [UInt64: HostOffset] = [:]
    private(set) var slots: FoundSlots
    private var leafLimit: UInt64 = 0
    /// The last META record whose payload is whole.
    private(set) var metadata: HostOffset?
    /// The ERRS records, in order.
    private(set) var errors: [HostOffset] = []
    /// The FOOT record, where it is whole.
    private(set) var footer: Footer?
    /// How many records were found.
    private(set) var recordCount: UInt64 = 0
    /// Stretches of the file that should hold records, and hold none.
    private(set) var gaps: [HostRange] = []
    /// Behind the last record.
    private(set) var end = HostOffset(UInt64(FileHeader.byteCount))

    /// The most gaps and ERRS records that are kept.
    private static let mostNoted = 1 << 16
    /// How often one broken place is tried to be bridged.
    private static let mostBridgings = 16

    /// A place where the chain of records broke, and what was known there.
    private struct Break {
        var place: HostOffset
        var sequence: UInt64
        var lastLeaf: UInt64
        var tries = 0
        var slots: FoundSlots
        var metadata: HostOffset?
        var errorCount: Int
    }

    /// Scans `store`.
    ///
    /// - Parameters:
    ///   - header: what the first bytes gave.
    ///   - takesLeaves: whether LEAF records tell of their ranges; without, only CHNK and RUN records tell of slots.
    /// - Throws: `.damaged` where no record of an archive is found; `.unsupported` for more leaf ranges than there can be.
    init(
        _ store: any ByteStore, header first: Result<FileHeader, ImageError>, takesLeaves: Bool = true,
        _ cancellation: Cancellation
    ) throws(ImageError) {
        let facts = try ScanFacts(store, header: try? first.get(), cancellation)
        header = facts.header
        isSizeGuessed = facts.isSizeGuessed
        rules = try facts.rules(byteCount: store.byteCount)
        slots = FoundSlots(leafLog2: rules.geometry.leafLog2)
        let start = HostOffset(UInt64(FileHeader.byteCount))
        guard store.byteCount > start.value else { return }
        var scan = RecordScan(store, tag: rules.tag, in: HostRange(from: start, to: HostOffset(store.byteCount)))
        // The chain: where the next record must start, its number, and the LEAF record that counted last.
        var expected = (place: start, sequence: UInt64(0))
        var lastLeaf: UInt64 = 0
        var isWhole = true
        var broken: Break?
        while let record = try scan.next() {
            try cancellation.check()
            recordCount += 1
            let touches = record.place == expected.place && record.header.sequence == expected.sequence
            if record.place > expected.place { note(gap: HostRange(from: expected.place, to: record.place)) }
            if !touches, isWhole {
                isWhole = false
                broken = Break(
                    place: expected.place, sequence: expected.sequence, lastLeaf: lastLeaf, slots: slots,
                    metadata: metadata, errorCount: errors.count)
            }
            let next = record.header.end ?? record.payload
            expected = (next, record.header.sequence &+ 1)
            end = max(end, min(next, HostOffset(store.byteCount)))
            if record.header.type == .leaf, let previous = Self.predecessor(record) {
                if !isWhole, var found = broken, previous == found.lastLeaf {
                    isWhole = try bridge(found, to: record, store)
                    found.tries += 1
                    broken = isWhole || found.tries == Self.mostBridgings ? nil : found
                }
                if isWhole, previous == lastLeaf {
                    lastLeaf = record.place.value
                    if takesLeaves { take(leaf: record, store) }
                }
            }
            take(record, store)
        }
        guard recordCount > 0 else { throw .damaged("no record of an archive is found in it", at: .zero) }
    }

    /// Behind the last slot that any record tells of.
    var knownLimit: UInt64 {
        max(slots.limit, slots.strays.map(\.limit).max() ?? 0, leafLimit)
    }

    private static func predecessor(_ record: PlacedRecord) -> UInt64? {
        record.bytes.withBytes { try? LeafRecord.predecessor(in: $0) }
    }

    private mutating func note(gap: HostRange) {
        if gaps.count < Self.mostNoted { gaps.append(gap) }
    }

    /// Takes a record that was found.
    private mutating func take(_ record: PlacedRecord, _ store: any ByteStore) {
        let next = record.header.end ?? record.payload
        switch record.header.type {
        case .chunk:
            guard let (slot, _) = record.chunk(rules) else { return }
            slots.add(slot..<slot + 1, nil, at: record.place, end: next)
        case .run:
            guard let run = record.run(rules) else { return }
            let kind = run.kind == .duplicate ? nil : run.kind
            slots.add(run.first..<run.first + run.count, kind, at: record.place, end: next)
        case .metadata:
            if record.payloadBytes(store) != nil { metadata = record.place }
        case .errors:
            if errors.count < Self.mostNoted { errors.append(record.place) }
        case .footer:
            guard let bytes = record.payloadBytes(store),
                let found = bytes.withBytes({ try? Footer(decoding: $0, at: record.place) }),
                found.header.tag == rules.tag
            else { return }
            footer = found
        default: slots.pass(record.place, end: next)
        }
    }

    /// Takes a LEAF record that counts, where it is whole.
    private mutating func take(leaf record: PlacedRecord, _ store: any ByteStore) {
        guard let leaf = record.leaf(store, rules) else { return }
        let range = leaf.first >> UInt64(rules.geometry.leafLog2)
        guard leaves[range] == nil else { return }
        leaves[range] = record.place
        leafLimit = max(leafLimit, leaf.first + UInt64(leaf.slotCount))
        slots.drop(range)
    }

    /// Whether the LEAF record `leaf` counts though one record header before it is damaged: the chain goes on behind that
    /// record, whose length an entry of `leaf` tells, or which is a RUN record. What was found inside that record is
    /// then forgotten.
    private mutating func bridge(
        _ broken: Break, to record: PlacedRecord, _ store: any ByteStore
    ) throws(ImageError) -> Bool {
        guard let leaf = record.leaf(store, rules) else { return false }
        var lengths: [UInt64] = [104]
        if let entry = leaf.entry(at: broken.place) {
            lengths = [UInt64(entry.recordByteCount).roundedUp(to: 8) ?? 0]
        }
        for length in lengths {
            guard let behind = broken.place.adding(length) else { continue }
            let start = RecordChain(
                store, tag: rules.tag, from: behind, sequence: broken.sequence + 1, lastLeaf: broken.lastLeaf)
            var chain = start
            while chain.place < record.place { guard try chain.next() != nil else { break } }
            guard chain.place == record.place, let last = try chain.next(), last.isCountedLeaf else { continue }
            slots = broken.slots
            metadata = broken.metadata
            errors.removeLast(errors.count - broken.errorCount)
            chain = start
            while chain.place < record.place, let link = try chain.next() { take(link.record, store) }
            return true
        }
        return false
    }
}

extension PlacedRecord {
    /// The payload, where it is whole and not longer than the type's most; `nil` where it is not.
    func payloadBytes(_ store: any ByteStore) -> [UInt8]? {
        guard header.payloadByteCount <= header.type.mostPayload ?? 0,
            let bytes = try? store.bytes(at: payload, count: Int(header.payloadByteCount)),
            bytes.withBytes({ (try? header.check(payload: $0)) != nil })
        else { return nil }
        return bytes
    }

    /// The leaf range that a LEAF record tells of, where it is whole and agrees with itself; `nil` where it is not.
    func leaf(_ store: any ByteStore, _ rules: RecordRules) -> Leaf? {
        guard let record = bytes.withBytes({ try? LeafRecord(decoding: $0, of: header, rules) }),
            let payload = try? store.bytes(at: payload, count: Int(header.payloadByteCount))
        else { return nil }
        return payload.withBytes { bytes in
            guard (try? header.check(payload: bytes)) != nil else { return nil }
            return try? Leaf(record, decoding: bytes, at: place, rules)
        }
    }
}
