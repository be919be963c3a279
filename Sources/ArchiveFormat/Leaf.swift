internal import ReimageCodecs
internal import ReimageCore

/// The payload of a LEAF record: the kind of every slot of a leaf range, and an entry for every slot that holds data.
///
/// Never changes; safe from any thread.
final class Leaf: Sendable {
    /// The first slot of the range.
    let first: UInt64
    private let kinds: [SlotKind]
    /// For each slot, how many before it in the range hold data.
    private let ranks: [UInt32]
    private let entries: [IndexEntry]
    /// Whether each slot is one that no record tells of; empty where all are told of.
    private let lost: [Bool]

    /// The length of a payload in bytes.
    static func payloadByteCount(slots: Int, entries: Int) -> Int {
        (slots + 7) / 8 * 8 + entries * IndexEntry.byteCount
    }

    /// The bytes it takes in memory, roughly.
    var cost: Int { kinds.count * 5 + entries.count * MemoryLayout<IndexEntry>.stride + 200 }

    /// How many slots the range has.
    var slotCount: Int { kinds.count }

    /// The range of `record`, whose header is at `place`, by its proved `payload`.
    /// - Throws: `.damaged` where the payload contradicts its record, or its nodes do not give the record's.
    init(
        _ record: LeafRecord, decoding payload: RawSpan, at place: HostOffset, _ rules: RecordRules
    ) throws(ImageError) {
        first = record.first
        var kinds: [SlotKind] = []
        var ranks: [UInt32] = []
        kinds.reserveCapacity(record.slotCount)
        ranks.reserveCapacity(record.slotCount)
        var rank: UInt32 = 0
        for slot in 0..<record.slotCount {
            let kind = try SlotKind(code: try payload.little(at: slot), at: place)
            guard kind != .duplicate else { throw .damaged("a LEAF record has a slot of kind DUP", at: place) }
            kinds.append(kind)
            ranks.append(rank)
            if kind == .data { rank += 1 }
        }
        guard Int(rank) == record.entryCount else {
            throw .damaged("a LEAF record has \(record.entryCount) entries for \(rank) slots with data", at: place)
        }
        let start = (record.slotCount + 7) / 8 * 8
        guard payload.extracting(record.slotCount..<start).isZero else {
            throw .damaged("a LEAF record has something in its padding", at: place)
        }
        var entries: [IndexEntry] = []
        entries.reserveCapacity(record.entryCount)
        for index in 0..<record.entryCount {
            entries.append(
                try IndexEntry(decoding: payload, at: start + index * IndexEntry.byteCount, leaf: place, rules))
        }
        self.kinds = kinds
        self.ranks = ranks
        self.entries = entries
        lost = []
        guard node(rules.geometry) == record.node else {
            throw .damaged("the hashes in a LEAF record do not give its own", at: place)
        }
    }

    /// The range that starts at slot `first`, made from other records; a slot without a kind is lost.
    ///
    /// - Parameter entries: those of the slots of kind `data`, in order.
    init(first: UInt64, kinds: [SlotKind?], entries: [IndexEntry]) {
        self.first = first
        var ranks: [UInt32] = []
        ranks.reserveCapacity(kinds.count)
        var rank: UInt32 = 0
        for kind in kinds {
            ranks.append(rank)
            if kind == .data { rank += 1 }
        }
        self.kinds = kinds.map { $0 ?? .unreadable }
        self.ranks = ranks
        self.entries = entries
        lost = kinds.contains(nil) ? kinds.map { $0 == nil } : []
    }

    /// The hash of the range, made from the hashes of its chunks.
    private func node(_ geometry: Geometry) -> Hash256 {
        var tree = DigestTree()
        for slot in kinds.indices {
            let node = entry(of: slot)?.hash ?? DigestTree.zeroNodes[geometry.chunkHeight]
            tree.append(node, height: geometry.chunkHeight)
        }
        return tree.root(height: geometry.leafHeight)
    }

    /// Whether slot `slot` of the range is one that no record tells of.
    func isLost(_ slot: Int) -> Bool { !lost.isEmpty && lost[slot] }

    /// The entry of the chunk whose record starts at `place`.
    func entry(at place: HostOffset) -> IndexEntry? { entries.first { $0.place == place } }

    /// The kind of slot `slot` of the range.
    func kind(of slot: Int) -> SlotKind { kinds[slot] }

    /// The chunk of slot `slot` of the range; `nil` where it holds no data.
    func entry(of slot: Int) -> IndexEntry? { kinds[slot] == .data ? entries[Int(ranks[slot])] : nil }

    /// The slots from `slot` of the range on that are of one kind, at least one.
    func run(from slot: Int) -> Range<Int> {
        var end = slot + 1
        while end < kinds.count, kinds[end] == kinds[slot] { end += 1 }
        return slot..<end
    }

    /// A payload's bytes.
    static func payloadBytes(_ kinds: [SlotKind], _ entries: [IndexEntry]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: payloadByteCount(slots: kinds.count, entries: entries.count))
        let start = (kinds.count + 7) / 8 * 8
        bytes.withMutableBytes { span in
            for (slot, kind) in kinds.enumerated() { span.storeLittle(kind.rawValue, at: slot) }
            for (index, entry) in entries.enumerated() {
                entry.store(in: &span, at: start + index * IndexEntry.byteCount)
            }
        }
        return bytes
    }
}
