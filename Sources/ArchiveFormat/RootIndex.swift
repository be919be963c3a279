internal import ReimageCodecs
internal import ReimageCore

/// The payload of the ROOT record, proved whole: which LEAF record, if any, tells of each leaf range.
///
/// Kept as stored, 80 bytes an entry, and decoded where it is asked: it is the one table that grows with the disk.
struct RootIndex: Sendable {
    private let payload: [UInt8]
    private let place: HostOffset

    /// The index of `record`, whose header is at `place`, by its proved `payload`.
    /// - Throws: `.damaged` where entries leave a gap, overlap, point outside, or do not give the record's hashes.
    init(
        _ record: RootRecord, payload: [UInt8], at place: HostOffset, _ rules: RecordRules
    ) throws(ImageError) {
        self.payload = payload
        self.place = place
        let geometry = rules.geometry
        var tree = DigestTree()
        var next: UInt64 = 0
        var lastLeaf: UInt64 = 0
        var lastKind: SlotKind?
        for index in 0..<Int(record.entryCount) {
            let entry = try entry(index)
            guard entry.first == next, entry.count >= 1, entry.count <= geometry.leafRanges - next else {
                throw .damaged("entry \(index) of the ROOT record leaves a gap or passes the disk's end", at: place)
            }
            switch entry.kind {
            case .data:
                try check(entry, after: lastLeaf, index, rules)
                lastLeaf = entry.place.value
                tree.append(entry.node, height: geometry.leafHeight)
            case .zero, .unallocated, .unreadable:
                guard entry.kind != lastKind, entry.place == .zero, entry.byteCount == 0, entry.entryCount == 0,
                    entry.headerCheck == 0, entry.node == DigestTree.zeroNodes[geometry.leafHeight]
                else { throw .damaged("entry \(index) of the ROOT record is not that of a run of zeros", at: place) }
                tree.appendZeros(entry.count << UInt64(geometry.leafHeight))
            case .duplicate: throw .damaged("entry \(index) of the ROOT record is of kind DUP", at: place)
            }
            lastKind = entry.kind
            next += entry.count
        }
        guard next == geometry.leafRanges else { throw .damaged("the ROOT record ends early", at: place) }
        let root = tree.root(height: DigestTree.height(ofDisk: geometry.byteCount))
        guard root == record.merkleRoot,
            ContentDigest(root: root, byteCount: geometry.byteCount).hash == record.digest
        else { throw .damaged("the hashes in the ROOT record do not give the disk's digest", at: place) }
    }

    /// Bounds what entry `index` says of its LEAF record.
    private func check(
        _ entry: RootEntry, after lastLeaf: UInt64, _ index: Int, _ rules: RecordRules
    ) throws(ImageError) {
        let slots = Int(rules.geometry.slotCount(ofRange: entry.first))
        let entries = Int(entry.entryCount)
        let length = LeafRecord.headerByteCount + Leaf.payloadByteCount(slots: slots, entries: min(entries, slots))
        guard entry.count == 1, entries <= slots, entry.byteCount == length, entry.place.value % 8 == 0,
            entry.place.value > lastLeaf, rules.holds(entry.place.value, count: UInt64(length)),
            entry.place.value + UInt64(length) <= place.value
        else { throw .damaged("entry \(index) of the ROOT record names no LEAF record before it", at: place) }
    }

    /// How many entries there are.
    var count: Int { payload.count / RootEntry.byteCount }

    /// Entry `index`.
    func entry(_ index: Int) throws(ImageError) -> RootEntry {
        try payload.withBytes { (bytes) throws(ImageError) in
            try RootEntry(decoding: bytes, at: index * RootEntry.byteCount, root: place)
        }
    }

    /// The index of the entry that leaf range `range`, which lies on the disk, belongs to.
    func index(of range: UInt64) throws(ImageError) -> Int {
        try payload.withBytes { (bytes) throws(ImageError) in
            var (low, high) = (0, count)
            while low < high - 1 {
                let middle = (low + high) / 2
                if try bytes.little(UInt64.self, at: middle * RootEntry.byteCount) <= range {
                    low = middle
                } else {
                    high = middle
                }
            }
            return low
        }
    }

    /// A payload's bytes.
    static func payloadBytes(_ entries: [RootEntry]) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: entries.count * RootEntry.byteCount)
        bytes.withMutableBytes { span in
            for (index, entry) in entries.enumerated() { entry.store(in: &span, at: index * RootEntry.byteCount) }
        }
        return bytes
    }
}
