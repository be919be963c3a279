internal import ReimageCore

/// Makes the index of a leaf range from its CHNK and RUN records, in place of its LEAF record.
///
/// A slot that no record names is lost; it is not zero. Of several records of a slot the first one given counts.
struct RangeRebuild {
    private let rules: RecordRules
    private let first: UInt64
    private var kinds: [SlotKind?]
    private var chunks: [IndexEntry?]

    /// Gives the chunks that are stored for slots themselves, of those asked for.
    typealias Chunks = (Range<UInt64>) throws(ImageError) -> [UInt64: IndexEntry]

    init(_ rules: RecordRules, range: UInt64) {
        self.rules = rules
        first = range << UInt64(rules.geometry.leafLog2)
        let count = Int(rules.geometry.slotCount(ofRange: range))
        kinds = Array(repeating: nil, count: count)
        chunks = Array(repeating: nil, count: count)
    }

    private var slots: Range<UInt64> { first..<first + UInt64(kinds.count) }

    /// Whether every slot is known.
    var isComplete: Bool { !kinds.contains(nil) }

    /// Takes what `record` says; one that contradicts the archive, or needs what 1.0 does not have, says nothing.
    ///
    /// - Parameter sources: looks outside this range for the chunks that duplicates are of.
    mutating func add(_ record: PlacedRecord, sources: Chunks) throws(ImageError) {
        switch record.header.type {
        case .chunk:
            guard let (slot, entry) = record.chunk(rules), slots.contains(slot) else { return }
            set(.data, entry, of: slot)
        case .run:
            guard let run = record.run(rules) else { return }
            let part = (run.first..<run.first + run.count).clamped(to: slots)
            guard !part.isEmpty else { return }
            guard run.kind == .duplicate else {
                for slot in part { set(run.kind, nil, of: slot) }
                return
            }
            let shift = run.first - run.source
            let outside = (part.lowerBound - shift..<part.upperBound - shift).clamped(to: 0..<first)
            let known = outside.isEmpty ? [:] : try sources(outside)
            for slot in part {
                let source = slot - shift
                let entry = source < first ? known[source] : chunks[Int(source - first)]
                if let entry { set(.data, entry, of: slot) }
            }
        default: return
        }
    }

    private mutating func set(_ kind: SlotKind, _ entry: IndexEntry?, of slot: UInt64) {
        let index = Int(slot - first)
        guard kinds[index] == nil else { return }
        kinds[index] = kind
        chunks[index] = entry
    }

    /// The index; slots that are lost are unreadable in it.
    func leaf() -> Leaf { Leaf(first: first, kinds: kinds, entries: chunks.compactMap { $0 }) }
}

extension PlacedRecord {
    /// The slot of a CHNK record, and the entry that an index has for it; `nil` where a field contradicts the archive.
    func chunk(_ rules: RecordRules) -> (slot: UInt64, entry: IndexEntry)? {
        bytes.withBytes { bytes in
            guard let record = try? ChunkRecord(decoding: bytes, of: header, rules),
                let method = try? ChunkMethod(codec: record.codec, filter: record.filter, at: place),
                rules.holds(place.value, count: UInt64(header.headerByteCount) + header.payloadByteCount)
            else { return nil }
            let count = UInt32(header.payloadByteCount)
            return (record.slot, IndexEntry(place: place, storedByteCount: count, method: method, hash: record.hash))
        }
    }

    /// What a RUN record says; `nil` where a field contradicts the archive.
    func run(_ rules: RecordRules) -> RunRecord? {
        bytes.withBytes { try? RunRecord(decoding: $0, of: header, rules) }
    }
}
