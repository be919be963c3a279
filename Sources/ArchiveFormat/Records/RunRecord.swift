internal import ReimageCore

/// What a slot is, by its number in the file.
enum SlotKind: UInt8, Hashable, Sendable {
    /// Known zeros.
    case zero = 0
    /// Stored bytes.
    case data = 1
    /// The source held nothing here; reads as zeros.
    case unallocated = 2
    /// The source could not be read; reads as zeros.
    case unreadable = 4
    /// The bytes of an earlier slot; only in RUN records.
    case duplicate = 5

    /// The kind of number `code`.
    /// - Throws: `.unsupported` for the kind PARENT, `.damaged` for a number that is none.
    init(code: UInt8, at place: HostOffset) throws(ImageError) {
        guard code != 3 else { throw .archiveNeeds("slots of kind PARENT", at: place) }
        guard let kind = SlotKind(rawValue: code) else { throw .damaged("a slot is of kind \(code)", at: place) }
        self = kind
    }
}

/// The extension of a RUN record: slots that have no CHNK record of their own.
///
/// - Source: archive specification 1.0, section 4.5.
struct RunRecord: Hashable, Sendable {
    private static let headerByteCount = 104

    private enum Field {
        static let first = 64
        static let count = 72
        static let kind = 80
        static let chunkLog2 = 81
        static let source = 88
        static let diskSize = 96
    }

    var first: UInt64
    var count: UInt64
    var kind: SlotKind
    var chunkLog2: Int
    /// The first slot whose bytes these are; 0 but for duplicates.
    var source: UInt64
    var diskSize: UInt64

    init(first: UInt64, count: UInt64, kind: SlotKind, chunkLog2: Int, source: UInt64 = 0, diskSize: UInt64) {
        self.first = first
        self.count = count
        self.kind = kind
        self.chunkLog2 = chunkLog2
        self.source = source
        self.diskSize = diskSize
    }

    /// The extension of `header` in `bytes`, which start with the header.
    /// - Throws: `.damaged` where a field contradicts the archive, `.unsupported` for what 1.0 does not have.
    init(decoding bytes: RawSpan, of header: RecordHeader, _ rules: RecordRules) throws(ImageError) {
        try header.check(is: .run)
        first = try bytes.little(at: Field.first)
        count = try bytes.little(at: Field.count)
        kind = try SlotKind(code: try bytes.little(at: Field.kind), at: header.place)
        chunkLog2 = Int(try bytes.little(UInt8.self, at: Field.chunkLog2))
        source = try bytes.little(at: Field.source)
        diskSize = try bytes.little(at: Field.diskSize)
        func need(_ isRight: Bool, _ what: String) throws(ImageError) {
            if !isRight { throw .damaged("a RUN record has \(what)", at: header.place) }
        }
        let slots = rules.geometry.slots
        try need(kind != .data, "the kind of stored slots")
        try need(chunkLog2 == rules.geometry.chunkLog2, "another chunk size than its archive")
        try need(rules.takes(diskSize: diskSize), "another disk size than its archive")
        try need(count >= 1 && count <= slots && first <= slots - count, "slots past the end of the disk")
        try need(kind == .duplicate ? source < first : source == 0, "the source slot \(source)")
    }

    /// What the record at the start of `bytes` says of its archive.
    static func claim(in bytes: RawSpan) throws(ImageError) -> RecordClaim {
        RecordClaim(
            first: try bytes.little(at: Field.first), count: try bytes.little(at: Field.count),
            diskSize: try bytes.little(at: Field.diskSize), chunkLog2: try bytes.little(at: Field.chunkLog2))
    }

    /// The extension's bytes.
    func extensionBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.headerByteCount)
        bytes.withMutableBytes { span in
            span.storeLittle(first, at: Field.first)
            span.storeLittle(count, at: Field.count)
            span.storeLittle(kind.rawValue, at: Field.kind)
            span.storeLittle(UInt8(chunkLog2), at: Field.chunkLog2)
            span.storeLittle(source, at: Field.source)
            span.storeLittle(diskSize, at: Field.diskSize)
        }
        return Array(bytes[RecordHeader.byteCount...])
    }
}
