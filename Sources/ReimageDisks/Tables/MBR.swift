internal import ReimageCore

/// A master boot record, or an extended one, which has the same form: 512 bytes whatever the disk's sector.
///
/// Kept as stored, so that boot code and what else it holds stay as they are.
public struct MBR: Sendable, Hashable {
    enum Offset {
        static let diskID = 440
        static let entries = 446
        static let signature = 510
        static let entrySize = 16
    }

    /// The stored length in bytes.
    public static let byteCount = 512
    /// The 512 bytes.
    public private(set) var bytes: [UInt8]

    /// The record in `bytes`; `nil` where these are not 512, or do not end in the signature.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.byteCount, bytes[Offset.signature] == 0x55, bytes[Offset.signature + 1] == 0xAA
        else { return nil }
        self.bytes = bytes
    }

    /// The disk's id, by which Windows and boot loaders know it; 0 is none.
    public var diskID: UInt32 {
        get { UInt32(truncatingIfNeeded: ProbeBytes(bytes).little(4, at: Offset.diskID) ?? 0) }
        set { bytes.withMutableBytes { $0.storeLittle(newValue, at: Offset.diskID) } }
    }

    /// Entry `index`, from 0 to 3.
    public subscript(index: Int) -> MBREntry {
        get { MBREntry(bytes[place(index)..<place(index) + Offset.entrySize]) }
        set { bytes.replaceSubrange(place(index)..<place(index) + Offset.entrySize, with: newValue.encoded) }
    }

    /// All four entries.
    public var entries: [MBREntry] { (0..<4).map { self[$0] } }

    /// Whether an entry stands for a GPT.
    public var isProtective: Bool { entries.contains { $0.type == MBREntry.protective && $0.count > 0 } }

    /// Whether there are partitions beside the entry that stands for the GPT.
    public var isHybrid: Bool { isProtective && entries.contains { $0.isUsed && $0.type != MBREntry.protective } }

    /// Whether the bytes are a boot sector of a file system, which ends in the same signature.
    var isBootSector: Bool {
        let sector = ProbeBytes(bytes)
        if ["NTFS    ", "EXFAT   ", "-FVE-FS-"].contains(where: { sector.has($0, at: 3) }) { return true }
        guard let size = sector.little(2, at: 11), size.isPower(in: 512...4096), let cluster = sector.little(1, at: 13),
            cluster.isPower(in: 1...128)
        else { return false }
        return sector.has("FAT", at: 54) || sector.has("FAT", at: 82)
    }

    private func place(_ index: Int) -> Int { Offset.entries + index * Offset.entrySize }
}

/// An entry of an MBR.
public struct MBREntry: Sendable, Hashable {
    /// The type that stands for a GPT.
    static let protective: UInt8 = 0xEE

    /// 0x80 for the one to boot from, else 0.
    public var flag: UInt8
    public var type: UInt8
    /// The start in sectors, as the record that holds it counts.
    public var start: UInt32
    /// The length in sectors.
    public var count: UInt32
    /// First and last sector by cylinder, head and sector: of no use, and kept as they are.
    var firstCHS: [UInt8]
    var lastCHS: [UInt8]

    init(_ bytes: ArraySlice<UInt8>) {
        let entry = ProbeBytes(Array(bytes))
        flag = UInt8(truncatingIfNeeded: entry.little(1, at: 0) ?? 0)
        firstCHS = Array(entry.slice(1, 3) ?? [0, 0, 0])
        type = UInt8(truncatingIfNeeded: entry.little(1, at: 4) ?? 0)
        lastCHS = Array(entry.slice(5, 3) ?? [0, 0, 0])
        start = UInt32(truncatingIfNeeded: entry.little(4, at: 8) ?? 0)
        count = UInt32(truncatingIfNeeded: entry.little(4, at: 12) ?? 0)
    }

    /// The 16 stored bytes.
    var encoded: [UInt8] {
        var bytes = [flag] + firstCHS + [type] + lastCHS + [UInt8](repeating: 0, count: 8)
        bytes.withMutableBytes {
            $0.storeLittle(start, at: 8)
            $0.storeLittle(count, at: 12)
        }
        return bytes
    }

    public var isUsed: Bool { type != 0 && count > 0 }
    /// Whether it holds further partitions.
    public var isExtended: Bool { isUsed && [0x05, 0x0F, 0x85].contains(type) }
    /// The sector behind the last, as the record counts.
    var end: UInt64 { UInt64(start) + UInt64(count) }

    /// Sets start and length, and first and last sector by the geometry that every system assumes today.
    mutating func move(start: UInt32, count: UInt32, absoluteStart: UInt64) {
        self.start = start
        self.count = count
        firstCHS = Self.cylinderHeadSector(absoluteStart)
        lastCHS = Self.cylinderHeadSector(absoluteStart + UInt64(max(count, 1)) - 1)
    }

    /// 255 heads of 63 sectors; what lies further than that can say is its largest value.
    private static func cylinderHeadSector(_ sector: UInt64) -> [UInt8] {
        let cylinder = sector / (255 * 63)
        guard cylinder < 1024 else { return [0xFE, 0xFF, 0xFF] }
        let (head, rest) = (sector / 63 % 255, sector % 63 + 1)
        return [UInt8(head), UInt8(rest | (cylinder >> 8) << 6), UInt8(truncatingIfNeeded: cylinder)]
    }
}
