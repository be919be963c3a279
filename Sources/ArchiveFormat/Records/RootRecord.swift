internal import ReimageCodecs
internal import ReimageCore

/// The extension of the ROOT record, which is the index of the leaf ranges.
///
/// - Source: archive specification 1.0, section 4.7.
struct RootRecord: Hashable, Sendable {
    static let headerByteCount = 160

    private enum Field {
        static let entries = 64
        static let entryLength = 72
        static let diskSize = 80
        static let slots = 88
        static let merkleRoot = 96
        static let digest = 128
    }

    var entryCount: UInt64
    var diskByteCount: UInt64
    var slots: UInt64
    /// The root of the digest's tree.
    var merkleRoot: Hash256
    var digest: Hash256

    init(entryCount: UInt64, diskByteCount: UInt64, slots: UInt64, merkleRoot: Hash256, digest: Hash256) {
        self.entryCount = entryCount
        self.diskByteCount = diskByteCount
        self.slots = slots
        self.merkleRoot = merkleRoot
        self.digest = digest
    }

    /// The extension of `header` in `bytes`, which start with the header.
    /// - Throws: `.damaged` where a field contradicts the archive.
    init(decoding bytes: RawSpan, of header: RecordHeader, _ rules: RecordRules) throws(ImageError) {
        try header.check(is: .root)
        entryCount = try bytes.little(at: Field.entries)
        let entryLength: UInt32 = try bytes.little(at: Field.entryLength)
        diskByteCount = try bytes.little(at: Field.diskSize)
        slots = try bytes.little(at: Field.slots)
        merkleRoot = try Hash256(bytes.extracting(Field.merkleRoot..<Field.merkleRoot + Hash256.byteCount))
        digest = try Hash256(bytes.extracting(Field.digest..<Field.digest + Hash256.byteCount))
        func need(_ isRight: Bool, _ what: String) throws(ImageError) {
            if !isRight { throw .damaged("the ROOT record has \(what)", at: header.place) }
        }
        try need(entryLength == RootEntry.byteCount, "entries of \(entryLength) bytes")
        try need(diskByteCount == rules.geometry.byteCount, "another disk size than its archive")
        try need(slots == rules.geometry.slots, "\(slots) slots")
        try need(entryCount <= rules.geometry.leafRanges, "more entries than leaf ranges")
        try need(header.payloadByteCount == entryCount * UInt64(RootEntry.byteCount), "the wrong length")
    }

    /// What the record at the start of `bytes` says of its archive.
    static func claim(in bytes: RawSpan) throws(ImageError) -> RecordClaim {
        RecordClaim(diskSize: try bytes.little(at: Field.diskSize))
    }

    /// The extension's bytes.
    func extensionBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.headerByteCount)
        bytes.withMutableBytes { span in
            span.storeLittle(entryCount, at: Field.entries)
            span.storeLittle(UInt32(RootEntry.byteCount), at: Field.entryLength)
            span.storeLittle(diskByteCount, at: Field.diskSize)
            span.storeLittle(slots, at: Field.slots)
            merkleRoot.store(in: &span, at: Field.merkleRoot)
            digest.store(in: &span, at: Field.digest)
        }
        return Array(bytes[RecordHeader.byteCount...])
    }
}

/// One entry of the ROOT record: leaf ranges of one kind, or the place of one LEAF record.
struct RootEntry: Hashable, Sendable {
    static let byteCount = 80

    private enum Field {
        static let first = 0
        static let count = 8
        static let kind = 16
        static let offset = 24
        static let length = 32
        static let entries = 36
        static let check = 40
        static let node = 48
    }

    /// The first leaf range.
    var first: UInt64
    /// How many leaf ranges.
    var count: UInt64
    /// What their slots are; `data` stands for a LEAF record that tells.
    var kind: SlotKind
    /// The place of the LEAF record; 0 where there is none, as for the next three.
    var place: HostOffset
    /// The length of the LEAF record with its payload, without padding.
    var byteCount: UInt32
    /// The entries of the LEAF record.
    var entryCount: UInt32
    /// The checksum of the LEAF record's header.
    var headerCheck: UInt64
    /// The node of one leaf range.
    var node: Hash256

    init(
        first: UInt64, count: UInt64, kind: SlotKind, place: HostOffset = .zero, byteCount: UInt32 = 0,
        entryCount: UInt32 = 0, headerCheck: UInt64 = 0, node: Hash256
    ) {
        self.first = first
        self.count = count
        self.kind = kind
        self.place = place
        self.byteCount = byteCount
        self.entryCount = entryCount
        self.headerCheck = headerCheck
        self.node = node
    }

    /// The entry at byte `start` of `bytes`, the payload of the ROOT record at `root`.
    init(decoding bytes: RawSpan, at start: Int, root: HostOffset) throws(ImageError) {
        first = try bytes.little(at: start + Field.first)
        count = try bytes.little(at: start + Field.count)
        kind = try SlotKind(code: try bytes.little(at: start + Field.kind), at: root)
        place = HostOffset(try bytes.little(at: start + Field.offset))
        byteCount = try bytes.little(at: start + Field.length)
        entryCount = try bytes.little(at: start + Field.entries)
        headerCheck = try bytes.little(at: start + Field.check)
        let proof = start + Field.node
        node = try Hash256(bytes.extracting(proof..<proof + Hash256.byteCount))
    }

    /// Stores the 80 bytes at byte `start` of `span`, where they must fit.
    func store(in span: inout MutableRawSpan, at start: Int) {
        span.storeLittle(first, at: start + Field.first)
        span.storeLittle(count, at: start + Field.count)
        span.storeLittle(kind.rawValue, at: start + Field.kind)
        span.storeLittle(place.value, at: start + Field.offset)
        span.storeLittle(byteCount, at: start + Field.length)
        span.storeLittle(entryCount, at: start + Field.entries)
        span.storeLittle(headerCheck, at: start + Field.check)
        node.store(in: &span, at: start + Field.node)
    }
}
