internal import ReimageCore
internal import Synchronization

/// The LEAF records used last, proved and decoded; bounded by bytes whatever the archive. Safe from any thread.
///
/// They are few, as one tells of a GiB of the disk, so a list in order of use is searched from its end.
final class LeafCache: Sendable {
    fileprivate struct State {
        /// The one used last comes last.
        var leaves: [Leaf] = []
        var byteCount = 0
    }

    private let store: any ByteStore
    private let rules: RecordRules
    private let mostBytes: Int
    private let state = Mutex(State())

    init(_ store: any ByteStore, _ rules: RecordRules, mostBytes: Int = 4 << 20) {
        self.store = store
        self.rules = rules
        self.mostBytes = mostBytes
    }

    /// The bytes held now.
    var byteCount: Int { state.withLock { $0.byteCount } }

    /// The LEAF record of `entry`, which the index of the archive proved.
    /// - Throws: `.damaged` where the record is not the one that the entry means, or contradicts itself.
    func leaf(_ entry: RootEntry) throws(ImageError) -> Leaf {
        try leaf(entry.first << UInt64(rules.geometry.leafLog2)) { () throws(ImageError) in try read(entry) }
    }

    /// The leaf range that starts at slot `first`, made by `make` where it is not held.
    func leaf(_ first: UInt64, _ make: () throws(ImageError) -> Leaf) throws(ImageError) -> Leaf {
        if let leaf = held(first) { return leaf }
        // Made without the lock: two threads may make the same, and one copy is dropped.
        let leaf = try make()
        state.withLock { $0.insert(leaf, most: mostBytes) }
        return leaf
    }

    /// The leaf range that starts at slot `first`, where it is held.
    func held(_ first: UInt64) -> Leaf? { state.withLock { $0.use(first) } }

    /// The LEAF record of `entry`, past what is held.
    func read(_ entry: RootEntry) throws(ImageError) -> Leaf {
        let bytes = try store.bytes(at: entry.place, count: Int(entry.byteCount))
        return try bytes.withBytes { (bytes) throws(ImageError) in
            let header = try RecordHeader(decoding: bytes, at: entry.place, tag: rules.tag)
            let record = try LeafRecord(decoding: bytes, of: header, rules)
            guard header.headerCheck == entry.headerCheck, record.node == entry.node,
                record.first == entry.first << UInt64(rules.geometry.leafLog2),
                record.entryCount == Int(entry.entryCount)
            else { throw .damaged("a LEAF record is not the one that the ROOT record means", at: entry.place) }
            let payload = bytes.extracting(LeafRecord.headerByteCount..<bytes.byteCount)
            try header.check(payload: payload)
            return try Leaf(record, decoding: payload, at: entry.place, rules)
        }
    }
}

extension LeafCache.State {
    /// The leaf of the range that starts at slot `first`, which becomes the newest.
    fileprivate mutating func use(_ first: UInt64) -> Leaf? {
        guard let index = leaves.lastIndex(where: { $0.first == first }) else { return nil }
        let leaf = leaves[index]
        if index != leaves.count - 1 {
            leaves.remove(at: index)
            leaves.append(leaf)
        }
        return leaf
    }

    fileprivate mutating func insert(_ leaf: Leaf, most: Int) {
        guard !leaves.contains(where: { $0.first == leaf.first }) else { return }
        while !leaves.isEmpty, byteCount + leaf.cost > most { byteCount -= leaves.removeFirst().cost }
        leaves.append(leaf)
        byteCount += leaf.cost
    }
}
