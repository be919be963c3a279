internal import ReimageCore

/// The header of dynamic and differencing images: 1024 big-endian bytes at the footer's data offset.
///
/// - Source: Virtual Hard Disk Image Format Specification 1.0, "Dynamic Disk Header Format".
struct DynamicHeader: Hashable {
    static let byteCount = 1024
    static let cookie: UInt64 = 0x6378_7370_6172_7365  // "cxsparse"
    static let version: UInt32 = 0x0001_0000
    static let locatorCount = 8
    static let nameByteCount = 512

    /// Where the fields are.
    enum Field {
        static let nextOffset = 8
        static let tableOffset = 16
        static let version = 24
        static let entries = 28
        static let blockSize = 32
        static let checksum = 36
        static let parentID = 40
        static let parentTimeStamp = 56
        static let parentName = 64
        static let locators = 576
    }

    /// The place of the block allocation table (BAT).
    var tableOffset: UInt64
    var version = Self.version
    /// The number of entries of the BAT.
    var entries: UInt32
    /// The guest's bytes to a block.
    var blockSize: UInt32
    /// The unique id of the parent's footer.
    var parentID = [UInt8](repeating: 0, count: 16)
    /// When the parent's file was last changed, in seconds since 2000; 0 where the writer did not say.
    var parentTimeStamp: UInt32 = 0
    /// The parent's name or path, as UTF-16 code units.
    var parentName: [UInt16] = []
    /// Where else the parent may be found.
    var locators: [ParentLocator] = []
    /// Whether the checksum in the file was that of the bytes.
    private(set) var hasRightChecksum = true

    init(tableOffset: UInt64, entries: UInt32, blockSize: UInt32) {
        self.tableOffset = tableOffset
        self.entries = entries
        self.blockSize = blockSize
    }

    /// The header in `bytes`, whatever its fields say.
    /// - Throws: `.damaged` at `place` where the cookie is another.
    init(decoding bytes: RawSpan, at place: HostOffset) throws(ImageError) {
        guard try bytes.big(UInt64.self, at: 0) == Self.cookie else {
            throw .damaged(
                "there is no dynamic header where the footer says it is", at: place, advice: "Is the file cut short?")
        }
        tableOffset = try bytes.big(at: Field.tableOffset)
        version = try bytes.big(at: Field.version)
        entries = try bytes.big(at: Field.entries)
        blockSize = try bytes.big(at: Field.blockSize)
        parentID = try bytes.bytes(Field.parentID..<Field.parentID + 16)
        parentTimeStamp = try bytes.big(at: Field.parentTimeStamp)
        for index in 0..<Self.nameByteCount / 2 {
            let unit: UInt16 = try bytes.big(at: Field.parentName + 2 * index)
            guard unit != 0 else { break }
            parentName.append(unit)
        }
        for index in 0..<Self.locatorCount {
            let locator = try ParentLocator(
                decoding: bytes, at: Field.locators + ParentLocator.byteCount * index)
            if locator.platform != ParentLocator.unused { locators.append(locator) }
        }
        let stored: UInt32 = try bytes.big(at: Field.checksum)
        hasRightChecksum =
            try structureChecksum(bytes.extracting(0..<Self.byteCount), field: Field.checksum) == stored
    }

    /// The 1024 bytes, with their checksum.
    func bytes() throws(ImageError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        bytes.withMutableBytes { span in
            span.storeBig(Self.cookie, at: 0)
            span.storeBig(UInt64.max, at: Field.nextOffset)
            span.storeBig(tableOffset, at: Field.tableOffset)
            span.storeBig(version, at: Field.version)
            span.storeBig(entries, at: Field.entries)
            span.storeBig(blockSize, at: Field.blockSize)
            for (index, byte) in parentID.prefix(16).enumerated() { span.storeBig(byte, at: Field.parentID + index) }
            span.storeBig(parentTimeStamp, at: Field.parentTimeStamp)
            // The last code unit stays zero: the name is terminated.
            for (index, unit) in parentName.prefix(Self.nameByteCount / 2 - 1).enumerated() {
                span.storeBig(unit, at: Field.parentName + 2 * index)
            }
            for (index, locator) in locators.prefix(Self.locatorCount).enumerated() {
                locator.store(in: &span, at: Field.locators + ParentLocator.byteCount * index)
            }
        }
        let checksum = try bytes.withBytes { (span) throws(ImageError) in
            try structureChecksum(span, field: Field.checksum)
        }
        bytes.withMutableBytes { $0.storeBig(checksum, at: Field.checksum) }
        return bytes
    }

    /// The place of the checksum and other fields in a file whose header lies at `place`.
    static func place(_ field: Int, at place: HostOffset) -> HostOffset { place + UInt64(field) }

    /// The bytes of the sector bitmap that stands before each block: a bit a sector, in whole sectors.
    static func bitmapByteCount(blockSize: UInt32) -> UInt64 {
        let bits = UInt64(blockSize) / Geometry.sectorSize
        return bits.dividedRoundingUp(by: 8 * Geometry.sectorSize) * Geometry.sectorSize
    }
}

/// Where a differencing image says its parent may be found: 24 bytes that point to a name elsewhere in the file.
///
/// - Source: the specification's "Parent Locator Entries".
struct ParentLocator: Hashable {
    static let byteCount = 24
    static let unused: UInt32 = 0
    /// A path from the image's own directory, UTF-16 little-endian.
    static let relativeWindows: UInt32 = 0x5732_7275  // "W2ru"
    /// An absolute path, UTF-16 little-endian.
    static let absoluteWindows: UInt32 = 0x5732_6B75  // "W2ku"
    /// A file URL in UTF-8.
    static let macURL: UInt32 = 0x4D61_6358  // "MacX"

    var platform: UInt32
    /// The room for the name. Windows writes sectors, bytes or anything else, so no reader may rely on it.
    var dataSpace: UInt32
    /// The length of the name in bytes.
    var dataLength: UInt32
    /// The place of the name.
    var dataOffset: UInt64

    init(platform: UInt32, dataSpace: UInt32, dataLength: UInt32, dataOffset: UInt64) {
        self.platform = platform
        self.dataSpace = dataSpace
        self.dataLength = dataLength
        self.dataOffset = dataOffset
    }

    init(decoding bytes: RawSpan, at offset: Int) throws(ImageError) {
        platform = try bytes.big(at: offset)
        dataSpace = try bytes.big(at: offset + 4)
        dataLength = try bytes.big(at: offset + 8)
        dataOffset = try bytes.big(at: offset + 16)
    }

    func store(in span: inout MutableRawSpan, at offset: Int) {
        span.storeBig(platform, at: offset)
        span.storeBig(dataSpace, at: offset + 4)
        span.storeBig(dataLength, at: offset + 8)
        span.storeBig(dataOffset, at: offset + 16)
    }
}
