internal import ReimageCodecs
internal import ReimageCore

/// The extension of a LEAF record: the index of one leaf range, and a checkpoint of the archive up to it.
///
/// - Source: archive specification 1.0, section 4.6.
struct LeafRecord: Hashable, Sendable {
    static let headerByteCount = 160

    private enum Field {
        static let first = 64
        static let slots = 72
        static let entries = 76
        static let previous = 80
        static let rawBytes = 88
        static let storedBytes = 96
        static let chunkLog2 = 104
        static let leafLog2 = 105
        static let digest = 106
        static let cipher = 107
        static let sector = 108
        static let diskSize = 112
        static let node = 128
    }

    /// The first slot of the range.
    var first: UInt64
    var slotCount: Int
    var entryCount: Int
    /// The LEAF record before; 0 where there is none.
    var previous: UInt64
    /// The disk's bytes in CHNK records so far.
    var rawBytes: UInt64
    /// The payload bytes of CHNK records so far.
    var storedBytes: UInt64
    var chunkLog2: Int
    var leafLog2: Int
    var logicalSector: UInt32
    var diskSize: UInt64
    var node: Hash256

    init(
        first: UInt64, slotCount: Int, entryCount: Int, previous: UInt64, rawBytes: UInt64, storedBytes: UInt64,
        chunkLog2: Int, leafLog2: Int, logicalSector: UInt32, diskSize: UInt64, node: Hash256
    ) {
        self.first = first
        self.slotCount = slotCount
        self.entryCount = entryCount
        self.previous = previous
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
        self.chunkLog2 = chunkLog2
        self.leafLog2 = leafLog2
        self.logicalSector = logicalSector
        self.diskSize = diskSize
        self.node = node
    }

    /// The place of the LEAF record before, as the record at the start of `bytes` has it.
    static func predecessor(in bytes: RawSpan) throws(ImageError) -> UInt64 { try bytes.little(at: Field.previous) }

    /// The extension of `header` in `bytes`, which start with the header.
    /// - Throws: `.damaged` where a field contradicts the archive, `.unsupported` for what 1.0 does not have.
    init(decoding bytes: RawSpan, of header: RecordHeader, _ rules: RecordRules) throws(ImageError) {
        try header.check(is: .leaf)
        let digest: UInt8 = try bytes.little(at: Field.digest)
        let cipher: UInt8 = try bytes.little(at: Field.cipher)
        guard digest == 1 else { throw .archiveNeeds("the digest algorithm \(digest)", at: header.place) }
        guard cipher == 0 else { throw .archiveNeeds("the cipher \(cipher)", at: header.place) }
        first = try bytes.little(at: Field.first)
        let slots: UInt32 = try bytes.little(at: Field.slots)
        slotCount = Int(slots)
        entryCount = Int(try bytes.little(UInt32.self, at: Field.entries))
        previous = try Self.predecessor(in: bytes)
        rawBytes = try bytes.little(at: Field.rawBytes)
        storedBytes = try bytes.little(at: Field.storedBytes)
        chunkLog2 = Int(try bytes.little(UInt8.self, at: Field.chunkLog2))
        leafLog2 = Int(try bytes.little(UInt8.self, at: Field.leafLog2))
        logicalSector = try bytes.little(at: Field.sector)
        diskSize = try bytes.little(at: Field.diskSize)
        node = try Hash256(bytes.extracting(Field.node..<Field.node + Hash256.byteCount))
        let geometry = rules.geometry
        func need(_ isRight: Bool, _ what: String) throws(ImageError) {
            if !isRight { throw .damaged("a LEAF record has \(what)", at: header.place) }
        }
        try need(
            chunkLog2 == geometry.chunkLog2 && leafLog2 == geometry.leafLog2 && logicalSector == rules.logicalSector,
            "another geometry than its archive")
        try need(rules.takes(diskSize: diskSize), "another disk size than its archive")
        try need(first < geometry.slots && first % geometry.leafSlots == 0, "the first slot \(first)")
        try need(
            UInt64(slots) == geometry.slotCount(ofRange: first >> UInt64(leafLog2)), "\(slots) slots for its range")
        try need(entryCount <= slotCount, "\(entryCount) entries for \(slots) slots")
        let isPlace = previous >= UInt64(FileHeader.byteCount) && previous < header.place.value && previous % 8 == 0
        try need(previous == 0 || isPlace, "a predecessor that is not before it")
        try need(
            header.payloadByteCount == UInt64(Leaf.payloadByteCount(slots: slotCount, entries: entryCount)),
            "a payload of \(header.payloadByteCount) bytes")
    }

    /// What the record at the start of `bytes` says of its archive.
    static func claim(in bytes: RawSpan) throws(ImageError) -> RecordClaim {
        RecordClaim(
            first: try bytes.little(at: Field.first), count: UInt64(try bytes.little(UInt32.self, at: Field.slots)),
            diskSize: try bytes.little(at: Field.diskSize), chunkLog2: try bytes.little(at: Field.chunkLog2),
            leafLog2: try bytes.little(at: Field.leafLog2), logicalSector: try bytes.little(at: Field.sector))
    }

    /// The extension's bytes.
    func extensionBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.headerByteCount)
        bytes.withMutableBytes { span in
            span.storeLittle(first, at: Field.first)
            span.storeLittle(UInt32(slotCount), at: Field.slots)
            span.storeLittle(UInt32(entryCount), at: Field.entries)
            span.storeLittle(previous, at: Field.previous)
            span.storeLittle(rawBytes, at: Field.rawBytes)
            span.storeLittle(storedBytes, at: Field.storedBytes)
            span.storeLittle(UInt8(chunkLog2), at: Field.chunkLog2)
            span.storeLittle(UInt8(leafLog2), at: Field.leafLog2)
            span.storeLittle(UInt8(1), at: Field.digest)
            span.storeLittle(logicalSector, at: Field.sector)
            span.storeLittle(diskSize, at: Field.diskSize)
            node.store(in: &span, at: Field.node)
        }
        return Array(bytes[RecordHeader.byteCount...])
    }
}
