internal import ReimageCodecs
internal import ReimageCore

/// The index of an archive as it grows, slot by slot: the leaf range in hand, and what is known of those before it.
struct IndexBuilder {
    /// That of the longest disk, until the length is known.
    private(set) var geometry: Geometry
    let logicalSector: UInt32
    /// Whether the disk's length was not known when the file header was written.
    let isSizeLate: Bool

    /// The next slot.
    private(set) var slot: UInt64 = 0
    private(set) var counts = Footer.Counts()
    private(set) var rawBytes: UInt64 = 0
    private(set) var storedBytes: UInt64 = 0
    private(set) var codecs: UInt32 = 0
    private(set) var filters: UInt32 = 0

    private var kinds: [SlotKind] = []
    private var entries: [IndexEntry] = []
    private var range = DigestTree()
    private var previousLeaf: UInt64 = 0
    private(set) var root: [RootEntry] = []
    private var tree = DigestTree()

    init(_ geometry: Geometry, logicalSector: UInt32, isSizeLate: Bool) {
        self.geometry = geometry
        self.logicalSector = logicalSector
        self.isSizeLate = isSizeLate
    }

    /// Takes the disk's true geometry, before its last slot is added.
    mutating func learn(_ geometry: Geometry) { self.geometry = geometry }

    /// The entry of the slot added last, where that holds data and its leaf range is not closed.
    var lastEntry: IndexEntry? { kinds.last == .data ? entries.last : nil }

    /// What a record says of the disk's size whose last slot is the one before `end`.
    func diskSize(before end: UInt64) -> UInt64 {
        isSizeLate && end != geometry.slots ? FileHeader.unknownSize : geometry.byteCount
    }

    /// The slots that are missing in the leaf range in hand; those of a whole one before its first slot.
    var room: UInt64 {
        guard slot < geometry.slots else { return 0 }
        return geometry.slotCount(ofRange: slot >> UInt64(geometry.leafLog2)) - UInt64(kinds.count)
    }

    /// Whether the leaf range in hand has all its slots.
    var isFull: Bool {
        !kinds.isEmpty && (slot == geometry.slots || UInt64(kinds.count) == geometry.leafSlots)
    }

    /// Adds `count` slots that read as zeros, at most ``room``.
    mutating func add(_ kind: SlotKind, count: UInt64) {
        kinds.append(contentsOf: repeatElement(kind, count: Int(count)))
        for _ in 0..<count { range.append(DigestTree.zeroNodes[geometry.chunkHeight], height: geometry.chunkHeight) }
        note(kind, count: count)
    }

    /// Adds whole leaf ranges of slots that read as zeros, where one begins.
    mutating func add(_ kind: SlotKind, ranges: UInt64) {
        let first = slot >> UInt64(geometry.leafLog2)
        note(kind, count: ranges << UInt64(geometry.leafLog2))
        addToRoot(kind, first: first, count: ranges)
    }

    private mutating func note(_ kind: SlotKind, count: UInt64) {
        slot += count
        switch kind {
        case .zero: counts.zeros += count
        case .unallocated: counts.unallocated += count
        case .unreadable: counts.unreadable += count
        case .data: counts.chunks += count
        case .duplicate: counts.duplicates += count
        }
    }

    /// Adds a slot that holds data, by the chunk of `entry`: its own, or an earlier one's.
    mutating func add(_ entry: IndexEntry, isDuplicate: Bool) {
        if !isDuplicate {
            rawBytes += geometry.byteCount(ofSlot: slot)
            storedBytes += UInt64(entry.storedByteCount)
            codecs |= 1 << UInt32(entry.codec)
            filters |= 1 << UInt32(entry.filter)
        }
        kinds.append(.data)
        entries.append(entry)
        range.append(entry.hash, height: geometry.chunkHeight)
        note(isDuplicate ? .duplicate : .data, count: 1)
    }

    /// Ends the full leaf range in hand.
    /// - Returns: its LEAF record, which must be written; `nil` where the ROOT record alone tells of it.
    mutating func close() -> (record: LeafRecord, payload: [UInt8])? {
        let first = slot - UInt64(kinds.count)
        defer {
            kinds.removeAll(keepingCapacity: true)
            entries.removeAll(keepingCapacity: true)
            range = DigestTree()
        }
        if let kind = kinds.first, kind != .data, kinds.allSatisfy({ $0 == kind }) {
            addToRoot(kind, first: first >> UInt64(geometry.leafLog2), count: 1)
            return nil
        }
        let record = LeafRecord(
            first: first, slotCount: kinds.count, entryCount: entries.count, previous: previousLeaf,
            rawBytes: rawBytes, storedBytes: storedBytes, chunkLog2: geometry.chunkLog2, leafLog2: geometry.leafLog2,
            logicalSector: logicalSector, diskSize: diskSize(before: slot),
            node: range.root(height: geometry.leafHeight))
        return (record, Leaf.payloadBytes(kinds, entries))
    }

    private mutating func addToRoot(_ kind: SlotKind, first: UInt64, count: UInt64) {
        tree.appendZeros(count << UInt64(geometry.leafHeight))
        if let last = root.last, last.kind == kind {
            root[root.count - 1].count += count
        } else {
            let node = DigestTree.zeroNodes[geometry.leafHeight]
            root.append(RootEntry(first: first, count: count, kind: kind, node: node))
        }
    }

    /// Notes where a LEAF record was put.
    mutating func add(_ record: LeafRecord, at placed: RecordStream.Placed) {
        previousLeaf = placed.place.value
        tree.append(record.node, height: geometry.leafHeight)
        root.append(
            RootEntry(
                first: record.first >> UInt64(geometry.leafLog2), count: 1, kind: .data, place: placed.place,
                byteCount: UInt32(placed.byteCount), entryCount: UInt32(record.entryCount),
                headerCheck: placed.headerCheck, node: record.node))
    }

    /// The ROOT record of the disk, all of whose slots were added.
    func finish() -> (record: RootRecord, payload: [UInt8]) {
        let merkleRoot = tree.root(height: DigestTree.height(ofDisk: geometry.byteCount))
        let digest = ContentDigest(root: merkleRoot, byteCount: geometry.byteCount)
        let record = RootRecord(
            entryCount: UInt64(root.count), diskByteCount: geometry.byteCount, slots: geometry.slots,
            merkleRoot: merkleRoot, digest: digest.hash)
        return (record, RootIndex.payloadBytes(root))
    }
}
