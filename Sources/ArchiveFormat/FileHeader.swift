internal import ReimageCodecs
internal import ReimageCore

/// The file header: 4096 bytes at the start, and a copy before the end.
///
/// - Source: archive specification 1.0, section 4.2.
struct FileHeader: Hashable, Sendable {
    static let byteCount = 4096
    static let magic: [UInt8] = [0x89, 0x52, 0x49, 0x4D, 0x47, 0x0D, 0x0A, 0x1A]
    /// What stands for a size that is not known yet.
    static let unknownSize = UInt64.max
    /// The most bytes of a writer's name.
    static let writerByteCount = 64

    /// Where the fields are.
    enum Field {
        static let major = 8
        static let minor = 10
        static let headerLength = 12
        static let incompatible = 16
        static let appendIncompatible = 24
        static let compatible = 32
        static let uniqueID = 40
        static let tag = 56
        static let diskSize = 64
        static let logicalSector = 72
        static let physicalSector = 76
        static let chunkLog2 = 80
        static let leafLog2 = 81
        static let digest = 82
        static let cipher = 83
        static let codecs = 84
        static let filters = 88
        static let dedupWindow = 92
        static let created = 96
        static let flags = 104
        static let generation = 168
        static let writer = 176
        static let check = 4088
    }

    var minor: UInt16 = 0
    var appendIncompatible: UInt64 = 0
    var compatible: UInt64 = 0
    /// 16 bytes.
    var uniqueID: [UInt8]
    /// The disk's length in bytes; `nil` where it was not known yet.
    var diskByteCount: UInt64?
    var logicalSector: UInt32 = 512
    /// 0 where it is not known.
    var physicalSector: UInt32 = 0
    var chunkLog2: Int
    var leafLog2: Int
    /// The codecs that may occur, a bit each.
    var codecs: UInt32 = 1
    /// The filters that may occur, a bit each.
    var filters: UInt32 = 1
    /// The entries of the writer's table of chunks; 0 without deduplication.
    var dedupWindow: UInt32 = 0
    /// Nanoseconds since 1970; 0 where it is withheld.
    var created: Int64 = 0
    var flags: HeaderFlags = .ordered
    var writer: String

    /// What marks the records of this archive.
    var tag: UInt64 { Self.tag(of: uniqueID) }

    /// The tag that follows from an archive's number.
    static func tag(of uniqueID: [UInt8]) -> UInt64 {
        let hash = SHA256Hasher.hash(Array("rimg tag".utf8) + uniqueID)
        return (0..<8).reduce(0) { $0 | UInt64(hash[$1]) << UInt64(8 * $1) } | 1
    }

    init(uniqueID: [UInt8], diskByteCount: UInt64?, chunkLog2: Int, leafLog2: Int, writer: String) {
        self.uniqueID = uniqueID
        self.diskByteCount = diskByteCount
        self.chunkLog2 = chunkLog2
        self.leafLog2 = leafLog2
        self.writer = writer
    }

    /// Whether `bytes` start as an archive does.
    static func isOne(_ bytes: RawSpan) -> Bool { bytes.starts(with: magic) }

    /// The header in `bytes`, which lie at `place` of the file.
    /// - Throws: `.damaged` where the bytes are no header, or contradict the format; `.unsupported`, by name, for what
    ///   version 1.0 does not have.
    init(decoding bytes: RawSpan, at place: HostOffset) throws(ImageError) {
        guard bytes.byteCount >= Self.byteCount, Self.isOne(bytes) else {
            throw .damaged("there is no file header", at: place)
        }
        guard try XXH3.hash64(bytes.extracting(0..<Field.check)) == bytes.little(at: Field.check) else {
            throw .damaged("the file header is damaged: its checksum is wrong", at: place)
        }
        let text = try bytes.bytes(Field.writer..<Field.writer + Self.writerByteCount)
        writer = String(decoding: text.prefix { $0 != 0 }, as: UTF8.self)
        try Self.checkVersion(bytes, at: place, writer: writer)
        minor = try bytes.little(at: Field.minor)
        appendIncompatible = try bytes.little(at: Field.appendIncompatible)
        compatible = try bytes.little(at: Field.compatible)
        uniqueID = try bytes.bytes(Field.uniqueID..<Field.uniqueID + 16)
        let size: UInt64 = try bytes.little(at: Field.diskSize)
        diskByteCount = size == Self.unknownSize ? nil : size
        logicalSector = try bytes.little(at: Field.logicalSector)
        physicalSector = try bytes.little(at: Field.physicalSector)
        chunkLog2 = Int(try bytes.little(UInt8.self, at: Field.chunkLog2))
        leafLog2 = Int(try bytes.little(UInt8.self, at: Field.leafLog2))
        codecs = try bytes.little(at: Field.codecs)
        filters = try bytes.little(at: Field.filters)
        dedupWindow = try bytes.little(at: Field.dedupWindow)
        created = try bytes.little(at: Field.created)
        flags = HeaderFlags(rawValue: try bytes.little(at: Field.flags))
        guard try bytes.little(at: Field.tag) == tag else {
            throw .damaged("the tag of the archive is not that of its number", at: place + UInt64(Field.tag))
        }
        do { try checkFields() } catch { throw error.at(.host(place)) }
    }

    /// What another version would change is looked at first.
    private static func checkVersion(_ bytes: RawSpan, at place: HostOffset, writer: String) throws(ImageError) {
        func need(_ isKnown: Bool, _ what: String, _ field: Int) throws(ImageError) {
            if !isKnown { throw .archiveNeeds(what, at: place + UInt64(field), writer: writer) }
        }
        let features = Features.names(of: try bytes.little(at: Field.incompatible))
        try need(
            features.isEmpty, "the feature \(features.joined(separator: ", "))", Field.incompatible)
        let major: UInt16 = try bytes.little(at: Field.major)
        try need(major == 1, "format version \(major)", Field.major)
        let length: UInt32 = try bytes.little(at: Field.headerLength)
        try need(length == byteCount, "a file header of \(length) bytes", Field.headerLength)
        let digest: UInt8 = try bytes.little(at: Field.digest)
        try need(digest == 1, "the digest algorithm \(digest)", Field.digest)
        let cipher: UInt8 = try bytes.little(at: Field.cipher)
        try need(cipher == 0, "the cipher \(cipher)", Field.cipher)
        let generation: UInt64 = try bytes.little(at: Field.generation)
        try need(generation == 0, "generation \(generation)", Field.generation)
    }

    private func checkFields() throws(ImageError) {
        _ = try Geometry(byteCount: diskByteCount ?? 0, chunkLog2: chunkLog2, leafLog2: leafLog2)
        guard Self.isSector(logicalSector) else {
            throw .damaged("a logical sector of \(logicalSector) bytes is out of range (512 to 65536)")
        }
        guard physicalSector == 0 || Self.isSector(physicalSector) else {
            throw .damaged("a physical sector of \(physicalSector) bytes is out of range (512 to 65536)")
        }
        guard flags.contains(.ordered) else { throw .damaged("the file header does not say that slots are in order") }
        guard diskByteCount != nil || flags.contains(.sizeLate) else {
            throw .damaged("the file header tells no disk size, and not that it comes later")
        }
    }

    private static func isSector(_ count: UInt32) -> Bool {
        (512...65536).contains(count) && count & (count - 1) == 0
    }

    /// The 4096 bytes, with their checksum.
    func bytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        let (number, name) = (uniqueID, Self.fitting(writer))
        bytes.withMutableBytes { span in
            Self.magic.withBytes { span.copy(from: $0) }
            span.storeLittle(UInt16(1), at: Field.major)
            span.storeLittle(minor, at: Field.minor)
            span.storeLittle(UInt32(Self.byteCount), at: Field.headerLength)
            span.storeLittle(appendIncompatible, at: Field.appendIncompatible)
            span.storeLittle(compatible, at: Field.compatible)
            number.withBytes { span.copy(from: $0, at: Field.uniqueID) }
            span.storeLittle(tag, at: Field.tag)
            span.storeLittle(diskByteCount ?? Self.unknownSize, at: Field.diskSize)
            span.storeLittle(logicalSector, at: Field.logicalSector)
            span.storeLittle(physicalSector, at: Field.physicalSector)
            span.storeLittle(UInt8(chunkLog2), at: Field.chunkLog2)
            span.storeLittle(UInt8(leafLog2), at: Field.leafLog2)
            span.storeLittle(UInt8(1), at: Field.digest)
            span.storeLittle(codecs, at: Field.codecs)
            span.storeLittle(filters, at: Field.filters)
            span.storeLittle(dedupWindow, at: Field.dedupWindow)
            span.storeLittle(created, at: Field.created)
            span.storeLittle(flags.rawValue, at: Field.flags)
            name.withBytes { span.copy(from: $0, at: Field.writer) }
        }
        let check = bytes.withBytes { XXH3.hash64($0.extracting(0..<Field.check)) }
        bytes.withMutableBytes { $0.storeLittle(check, at: Field.check) }
        return bytes
    }

    /// As much of a writer's name as there is room for, in whole characters.
    private static func fitting(_ text: String) -> [UInt8] {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            let more = Array(String(scalar).utf8)
            guard bytes.count + more.count <= writerByteCount else { break }
            bytes += more
        }
        return bytes
    }
}

extension RawSpan {
    /// Whether the bytes start with `prefix`.
    func starts(with prefix: [UInt8]) -> Bool {
        guard byteCount >= prefix.count, let start = try? bytes(0..<prefix.count) else { return false }
        return start == prefix
    }
}
