internal import ReimageCore

/// The footer of a VHD: 512 big-endian bytes at the end of the file, with a copy at its start unless the image is fixed.
///
/// - Source: Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format".
struct Footer: Hashable {
    static let byteCount = 512
    static let cookie: UInt64 = 0x636F_6E65_6374_6978  // "conectix"
    static let version: UInt32 = 0x0001_0000
    /// What a fixed image has for the place of a dynamic header.
    static let noHeader = UInt64.max
    /// The bit of ``features`` that is always set.
    static let reservedFeature: UInt32 = 2
    /// Seconds from 1970 to the start of the format's clock, 2000-01-01 00:00:00 UTC.
    static let epoch: Int64 = 946_684_800
    /// The most bytes a disk can have, 2040 GiB.
    static let mostBytes: UInt64 = 2040 << 30

    /// Where the fields are.
    enum Field {
        static let features = 8
        static let version = 12
        static let dataOffset = 16
        static let timeStamp = 24
        static let creator = 28
        static let creatorVersion = 32
        static let creatorOS = 36
        static let originalSize = 40
        static let currentSize = 48
        static let geometry = 56
        static let kind = 60
        static let checksum = 64
        static let uniqueID = 68
        static let savedState = 84
    }

    /// The kind of image, by its code in the file.
    enum Kind: UInt32, CaseIterable {
        case fixed = 2
        case dynamic = 3
        case differencing = 4
    }

    var features = Self.reservedFeature
    var version = Self.version
    /// The place of the dynamic header.
    var dataOffset = Self.noHeader
    /// Seconds since 2000.
    var timeStamp: UInt32 = 0
    var creator: Creator
    var creatorVersion: UInt32 = 0
    var creatorOS: UInt32 = 0x5769_326B  // "Wi2k"
    var originalSize: UInt64
    var currentSize: UInt64
    var geometry: Geometry
    /// The code of the kind, which may be none of ``Kind``.
    var kindCode: UInt32
    /// 16 opaque bytes.
    var uniqueID: [UInt8]
    var savedState: UInt8 = 0
    /// Whether the checksum in the file was that of the bytes.
    private(set) var hasRightChecksum = true

    init(
        kind: Kind, size: UInt64, creator: Creator, creatorVersion: UInt32, geometry: Geometry, timeStamp: UInt32,
        uniqueID: [UInt8]
    ) {
        kindCode = kind.rawValue
        originalSize = size
        currentSize = size
        self.creator = creator
        self.creatorVersion = creatorVersion
        self.geometry = geometry
        self.timeStamp = timeStamp
        self.uniqueID = uniqueID
    }

    /// Whether `bytes` start as a footer does.
    static func isOne(_ bytes: RawSpan) -> Bool {
        guard bytes.byteCount >= 8, let cookie = try? bytes.big(UInt64.self, at: 0) else { return false }
        return cookie == Self.cookie
    }

    /// The footer in `bytes`, whatever its fields say; `nil` where the cookie is another.
    ///
    /// A last byte that is missing counts as zero: Virtual PC before 2004 wrote 511.
    init?(decoding bytes: RawSpan) {
        guard Self.isOne(bytes), let decoded = try? Self(fields: bytes) else { return nil }
        self = decoded
    }

    private init(fields bytes: RawSpan) throws(ImageError) {
        features = try bytes.big(at: Field.features)
        version = try bytes.big(at: Field.version)
        dataOffset = try bytes.big(at: Field.dataOffset)
        timeStamp = try bytes.big(at: Field.timeStamp)
        creator = Creator(code: try bytes.big(at: Field.creator))
        creatorVersion = try bytes.big(at: Field.creatorVersion)
        creatorOS = try bytes.big(at: Field.creatorOS)
        originalSize = try bytes.big(at: Field.originalSize)
        currentSize = try bytes.big(at: Field.currentSize)
        geometry = Geometry(
            cylinders: try bytes.big(at: Field.geometry), heads: try bytes.big(at: Field.geometry + 2),
            sectorsPerTrack: try bytes.big(at: Field.geometry + 3))
        kindCode = try bytes.big(at: Field.kind)
        uniqueID = try bytes.bytes(Field.uniqueID..<Field.uniqueID + 16)
        savedState = try bytes.big(at: Field.savedState)
        guard bytes.byteCount >= Self.byteCount - 1 else { throw .damaged("the footer is cut short") }
        let stored: UInt32 = try bytes.big(at: Field.checksum)
        let whole = bytes.extracting(0..<min(bytes.byteCount, Self.byteCount))
        hasRightChecksum = try structureChecksum(whole, field: Field.checksum) == stored
    }

    /// The kind; `nil` for a code that is none.
    var kind: Kind? { Kind(rawValue: kindCode) }

    /// The 512 bytes, with their checksum.
    func bytes() throws(ImageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withMutableBytes { span in
            span.storeBig(Self.cookie, at: 0)
            span.storeBig(features, at: Field.features)
            span.storeBig(version, at: Field.version)
            span.storeBig(dataOffset, at: Field.dataOffset)
            span.storeBig(timeStamp, at: Field.timeStamp)
            span.storeBig(creator.code, at: Field.creator)
            span.storeBig(creatorVersion, at: Field.creatorVersion)
            span.storeBig(creatorOS, at: Field.creatorOS)
            span.storeBig(originalSize, at: Field.originalSize)
            span.storeBig(currentSize, at: Field.currentSize)
            span.storeBig(geometry.cylinders, at: Field.geometry)
            span.storeBig(geometry.heads, at: Field.geometry + 2)
            span.storeBig(geometry.sectorsPerTrack, at: Field.geometry + 3)
            span.storeBig(kindCode, at: Field.kind)
            for (index, byte) in uniqueID.prefix(16).enumerated() { span.storeBig(byte, at: Field.uniqueID + index) }
            span.storeBig(savedState, at: Field.savedState)
        }
        let checksum = try bytes.withBytes { (span) throws(ImageError) in
            try structureChecksum(span, field: Field.checksum)
        }
        bytes.withMutableBytes { $0.storeBig(checksum, at: Field.checksum) }
        return bytes
    }

    /// The time stamp of a moment, in seconds since 1970, as near as the format's clock can have it.
    static func timeStamp(ofUnixSeconds seconds: Int64) -> UInt32 {
        UInt32(clamping: seconds < epoch ? 0 : seconds - epoch)
    }
}

/// The ones' complement of the sum of all bytes, those of the checksum itself counted as zeros.
/// - Source: the specification's "Checksum" of the footer and of the dynamic disk header.
func structureChecksum(_ bytes: RawSpan, field: Int) throws(ImageError) -> UInt32 {
    var sum: UInt32 = 0
    for index in 0..<bytes.byteCount { sum &+= UInt32(try bytes.big(UInt8.self, at: index)) }
    for index in field..<field + 4 { sum &-= UInt32(try bytes.big(UInt8.self, at: index)) }
    return ~sum
}
