internal import ReimageCodecs
internal import ReimageCore

/// What a record is, by its number in the file.
struct RecordType: RawRepresentable, Hashable, Sendable {
    let rawValue: UInt16

    static let metadata = RecordType(rawValue: 0x0001)
    static let chunk = RecordType(rawValue: 0x0010)
    static let run = RecordType(rawValue: 0x0011)
    static let leaf = RecordType(rawValue: 0x0020)
    static let root = RecordType(rawValue: 0x0021)
    static let footer = RecordType(rawValue: 0x0030)
    static let errors = RecordType(rawValue: 0x0041)

    /// Whether a reader that does not know it goes on behind it.
    var isAncillary: Bool { rawValue & 0x8000 != 0 }

    /// The length of its header with the extension in bytes; `nil` for a type that 1.0 does not have.
    var headerByteCount: Int? {
        switch self {
        case .metadata, .footer: 64
        case .chunk: 128
        case .run: 104
        case .leaf, .root: 160
        case .errors: 72
        default: nil
        }
    }

    /// The most bytes of its payload, as far as the geometry does not decide.
    var mostPayload: UInt64? {
        switch self {
        case .metadata: 64 << 10
        case .run: 0
        case .root: 80 << 20
        case .footer: UInt64(Footer.payloadByteCount)
        case .errors: 24 * 65536
        default: nil
        }
    }

    /// The name in the specification.
    var name: String {
        switch self {
        case .metadata: "META"
        case .chunk: "CHNK"
        case .run: "RUN"
        case .leaf: "LEAF"
        case .root: "ROOT"
        case .footer: "FOOT"
        case .errors: "ERRS"
        case RecordType(rawValue: 2): "KEYS"
        case RecordType(rawValue: 3): "SESS"
        default: "0x" + String(rawValue, radix: 16)
        }
    }
}

/// The 64 bytes that every record starts with.
///
/// - Source: archive specification 1.0, section 4.3.
struct RecordHeader: Hashable, Sendable {
    static let byteCount = 64
    static let magic: [UInt8] = [0xF2, 0x52, 0x49, 0x4D, 0x52, 0x45, 0x43, 0x1A]
    /// The lengths that a header with its extension can have.
    static let lengths = 64...65528

    private enum Field {
        static let type = 8
        static let version = 10
        static let flags = 11
        static let headerLength = 12
        static let payloadLength = 16
        static let selfOffset = 24
        static let tag = 32
        static let sequence = 40
        static let payloadCheck = 48
        static let headerCheck = 56
    }

    var type: RecordType
    var version: UInt8
    var flags: UInt8
    /// The length with the extension, in bytes.
    var headerByteCount: Int
    var payloadByteCount: UInt64
    var place: HostOffset
    var tag: UInt64
    /// The number of the record in its archive, from 0.
    var sequence: UInt64
    var payloadCheck: UInt64
    var headerCheck: UInt64

    /// The header at the start of `bytes`, which lie at `place`, proved to be one and to belong to the archive of
    /// `tag`; `bytes` hold its extension too. What it says is checked by ``check(is:)``.
    /// - Throws: `.damaged` where it is none, is damaged, or belongs elsewhere.
    init(decoding bytes: RawSpan, at place: HostOffset, tag: UInt64) throws(ImageError) {
        guard bytes.byteCount >= Self.byteCount, bytes.starts(with: Self.magic) else {
            throw .damaged("there is no record where one should be", at: place)
        }
        let length = Int(try bytes.little(UInt32.self, at: Field.headerLength))
        guard Self.lengths.contains(length), length % 8 == 0, length <= bytes.byteCount else {
            throw .damaged("a record header of \(length) bytes is out of range", at: place)
        }
        headerCheck = try bytes.little(at: Field.headerCheck)
        guard try Self.check(of: bytes.bytes(0..<length)) == headerCheck else {
            throw .damaged("a record header is damaged: its checksum is wrong", at: place)
        }
        type = RecordType(rawValue: try bytes.little(at: Field.type))
        version = try bytes.little(at: Field.version)
        flags = try bytes.little(at: Field.flags)
        headerByteCount = length
        payloadByteCount = try bytes.little(at: Field.payloadLength)
        self.place = HostOffset(try bytes.little(at: Field.selfOffset))
        self.tag = try bytes.little(at: Field.tag)
        sequence = try bytes.little(at: Field.sequence)
        payloadCheck = try bytes.little(at: Field.payloadCheck)
        guard self.place == place else {
            throw .damaged("a record was written for byte \(self.place) of its archive", at: place)
        }
        guard self.tag == tag else { throw .damaged("a record belongs to another archive", at: place) }
    }

    /// The tag in the header at the start of `bytes`, whatever archive that is of.
    static func tag(in bytes: RawSpan) throws(ImageError) -> UInt64 { try bytes.little(at: Field.tag) }

    /// The length with the extension that the first 64 bytes of a header tell; `nil` where no header has it.
    static func byteCount(in bytes: RawSpan) -> Int? {
        guard bytes.starts(with: magic), let length: UInt32 = try? bytes.little(at: Field.headerLength) else {
            return nil
        }
        return lengths.contains(Int(length)) && length % 8 == 0 ? Int(length) : nil
    }

    /// Refuses a header that is not that of a record of `type`, or that 1.0 has no such record for.
    func check(is type: RecordType) throws(ImageError) {
        guard version == 1 else { throw .archiveNeeds("record version \(version)", at: place) }
        guard flags == 0 else { throw .archiveNeeds("the record flags \(flags)", at: place) }
        guard self.type.isAncillary || self.type.headerByteCount != nil else {
            throw .archiveNeeds("the record type \(self.type.name)", at: place)
        }
        guard self.type == type else {
            throw .damaged("there is a \(self.type.name) record where a \(type.name) should be", at: place)
        }
        guard type.isAncillary || headerByteCount == type.headerByteCount else {
            throw .damaged("the header of a \(type.name) record has \(headerByteCount) bytes", at: place)
        }
        guard payloadByteCount <= type.mostPayload ?? .max else {
            throw .damaged("a \(type.name) record of \(payloadByteCount) bytes is too long", at: place)
        }
    }

    /// Where the next record starts; `nil` where that does not fit 64 bits.
    var end: HostOffset? {
        guard let padded = payloadByteCount.roundedUp(to: 8) else { return nil }
        return place.adding(UInt64(headerByteCount))?.adding(padded)
    }

    /// Refuses a payload that is not the one that the header speaks of.
    func check(payload: RawSpan) throws(ImageError) {
        guard UInt64(payload.byteCount) == payloadByteCount, XXH3.hash64(payload) == payloadCheck else {
            throw .damaged("a \(type.name) record is damaged: the checksum of its payload is wrong", at: place)
        }
    }

    /// The checksum of a header, whose own field counts as zeros.
    private static func check(of header: [UInt8]) -> UInt64 {
        var header = header
        header.withMutableBytes { $0.storeLittle(UInt64(0), at: Field.headerCheck) }
        return header.withBytes { XXH3.hash64($0) }
    }

    /// The checksum in an encoded header.
    static func storedCheck(of header: [UInt8]) -> UInt64 {
        header[Field.headerCheck..<Field.headerCheck + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The header of a record, with its extension and checksums.
    static func encode(
        _ type: RecordType, extension fields: [UInt8], payload: RawSpan, at place: HostOffset, tag: UInt64,
        sequence: UInt64
    ) -> [UInt8] {
        encode(
            type, extension: fields, payloadByteCount: UInt64(payload.byteCount), payloadCheck: XXH3.hash64(payload),
            at: place, tag: tag, sequence: sequence)
    }

    /// The same, of a payload that is known by its length and checksum.
    static func encode(
        _ type: RecordType, extension fields: [UInt8], payloadByteCount: UInt64, payloadCheck: UInt64,
        at place: HostOffset, tag: UInt64, sequence: UInt64
    ) -> [UInt8] {
        var bytes = magic + [UInt8](repeating: 0, count: byteCount - magic.count) + fields
        bytes.withMutableBytes { span in
            span.storeLittle(type.rawValue, at: Field.type)
            span.storeLittle(UInt8(1), at: Field.version)
            span.storeLittle(UInt32(byteCount + fields.count), at: Field.headerLength)
            span.storeLittle(payloadByteCount, at: Field.payloadLength)
            span.storeLittle(place.value, at: Field.selfOffset)
            span.storeLittle(tag, at: Field.tag)
            span.storeLittle(sequence, at: Field.sequence)
            span.storeLittle(payloadCheck, at: Field.payloadCheck)
        }
        let check = bytes.withBytes { XXH3.hash64($0) }
        bytes.withMutableBytes { $0.storeLittle(check, at: Field.headerCheck) }
        return bytes
    }
}
