internal import ReimageCodecs
internal import ReimageCore

/// The header of a GPT. All places are sectors.
/// - Source: UEFI specification, 5.3.2, table 5.5.
public struct GPTHeader: Sendable, Hashable {
    private enum Offset {
        static let signature = 0
        static let revision = 8
        static let size = 12
        static let checksum = 16
        static let own = 24
        static let other = 32
        static let firstUsable = 40
        static let lastUsable = 48
        static let diskID = 56
        static let array = 72
        static let entryCount = 80
        static let entrySize = 84
        static let arrayChecksum = 88
        static let end = 92
    }

    /// "EFI PART".
    static let signature: [UInt8] = [0x45, 0x46, 0x49, 0x20, 0x50, 0x41, 0x52, 0x54]
    /// The longest entry array that is read: eight thousand entries of the usual size.
    static let largestArray = 1 << 20

    public var revision: UInt32
    /// Where it lies itself.
    public var ownLBA: UInt64
    /// Where the other copy lies.
    public var otherLBA: UInt64
    /// The first sector that a partition may have.
    public var firstUsable: UInt64
    /// The last sector that a partition may have.
    public var lastUsable: UInt64
    public var diskID: GUID
    /// Where the entries start.
    public var arrayLBA: UInt64
    public let entryCount: Int
    public let entrySize: Int
    public var arrayChecksum: UInt32
    /// What stands behind the known fields, up to the header's own length.
    private var rest: [UInt8]

    /// The header in the sector `bytes`, which was read at sector `lba`.
    /// - Throws: `.damaged` where it is none, where its checksum is wrong, or where it contradicts itself.
    init(decoding bytes: RawSpan, at lba: UInt64) throws(ImageError) {
        guard try bytes.bytes(Offset.signature..<Offset.revision) == Self.signature else {
            throw .damaged("there is no GPT header")
        }
        revision = try bytes.little(at: Offset.revision)
        guard revision >> 16 == 1 else { throw .damaged("the GPT header is of the unknown revision \(revision)") }
        let size = try Int(bytes.little(UInt32.self, at: Offset.size))
        guard size >= Offset.end, size <= bytes.byteCount else {
            throw .damaged("the GPT header says that it has \(size) bytes")
        }
        var covered = try bytes.bytes(0..<size)
        covered.withMutableBytes { $0.zero(Offset.checksum..<Offset.checksum + 4) }
        guard try CRC32.checksum(covered) == bytes.little(UInt32.self, at: Offset.checksum) else {
            throw .damaged("the GPT header's checksum is wrong")
        }
        ownLBA = try bytes.little(at: Offset.own)
        guard ownLBA == lba else { throw .damaged("the GPT header says that it lies in sector \(ownLBA)") }
        otherLBA = try bytes.little(at: Offset.other)
        firstUsable = try bytes.little(at: Offset.firstUsable)
        lastUsable = try bytes.little(at: Offset.lastUsable)
        diskID = GUID(stored: try bytes.bytes(Offset.diskID..<Offset.array))
        arrayLBA = try bytes.little(at: Offset.array)
        let count = try bytes.little(UInt32.self, at: Offset.entryCount)
        let stride = try bytes.little(UInt32.self, at: Offset.entrySize)
        guard stride >= 128, stride & (stride - 1) == 0 else {
            throw .damaged("the GPT's entries have \(stride) bytes each")
        }
        let (array, overflow) = count.multipliedReportingOverflow(by: stride)
        guard count > 0, !overflow, array <= Self.largestArray else {
            throw .damaged("the GPT says that it has \(count) entries of \(stride) bytes")
        }
        entryCount = Int(count)
        entrySize = Int(stride)
        arrayChecksum = try bytes.little(at: Offset.arrayChecksum)
        rest = try bytes.bytes(Offset.end..<size)
    }

    /// The length of the entry array in bytes.
    public var arrayByteCount: Int { entryCount * entrySize }

    /// How many sectors the entry array takes.
    public func arraySectorCount(_ sectorSize: Int) -> UInt64 { UInt64((arrayByteCount + sectorSize - 1) / sectorSize) }

    /// The header as a sector of `sectorSize` bytes, its checksum computed.
    func encoded(sectorSize: Int) -> [UInt8] {
        // A header longer than the sector would be one of a larger sector with bytes that nobody knows the use of.
        let size = min(Offset.end + rest.count, sectorSize)
        var sector = [UInt8](repeating: 0, count: sectorSize)
        sector.replaceSubrange(Offset.signature..<Offset.revision, with: Self.signature)
        sector.replaceSubrange(Offset.diskID..<Offset.array, with: diskID.bytes)
        sector.replaceSubrange(Offset.end..<size, with: rest.prefix(size - Offset.end))
        sector.withMutableBytes { span in
            span.storeLittle(revision, at: Offset.revision)
            span.storeLittle(UInt32(size), at: Offset.size)
            span.storeLittle(ownLBA, at: Offset.own)
            span.storeLittle(otherLBA, at: Offset.other)
            span.storeLittle(firstUsable, at: Offset.firstUsable)
            span.storeLittle(lastUsable, at: Offset.lastUsable)
            span.storeLittle(arrayLBA, at: Offset.array)
            span.storeLittle(UInt32(entryCount), at: Offset.entryCount)
            span.storeLittle(UInt32(entrySize), at: Offset.entrySize)
            span.storeLittle(arrayChecksum, at: Offset.arrayChecksum)
        }
        let checksum = CRC32.checksum(Array(sector.prefix(size)))
        sector.withMutableBytes { $0.storeLittle(checksum, at: Offset.checksum) }
        return sector
    }
}
