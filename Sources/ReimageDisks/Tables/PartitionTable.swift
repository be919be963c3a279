public import ReimageCore

/// A disk's partition table.
///
/// Read by nothing but the bytes at the start and the end of the disk; whatever numbers these hold, little is read and
/// little kept: at most 1 MiB of entries a copy, and 128 extended boot records.
public enum PartitionTable: Sendable {
    case mbr(MBRTable)
    case gpt(GPTTable)

    /// The logical sectors that disks with tables have.
    public static let sectorSizes = 512...4096

    /// Reads the table of `store`; `nil` where there is none, as on a disk that holds one file system as a whole.
    ///
    /// A GPT without the MBR entry that stands for it counts as none, as it does for every kernel.
    /// - Parameter sectorSize: the disk's logical sector in bytes, a power of two.
    /// - Throws: `.unreadable` on an I/O error; `.damaged` where neither copy of a GPT can be read.
    public static func read(_ store: any ByteStore, sectorSize: Int) throws(ImageError) -> PartitionTable? {
        guard sectorSizes.contains(sectorSize), sectorSize & (sectorSize - 1) == 0 else {
            throw ImageError(.invalidArgument, "\(sectorSize) bytes are no sector of a disk", file: store.name)
        }
        guard let mbr = try readMBR(store) else { return nil }
        do {
            return mbr.isProtective
                ? .gpt(try GPTTable(mbr, of: store, sectorSize: sectorSize))
                : .mbr(try MBRTable(mbr, of: store, sectorSize: sectorSize))
        } catch {
            throw error.inFile(store.name)
        }
    }

    /// The MBR, where the first sector is one rather than the boot sector of a file system.
    static func readMBR(_ store: any ByteStore) throws(ImageError) -> MBR? {
        guard store.byteCount >= UInt64(MBR.byteCount),
            let mbr = MBR(try store.bytes(at: .zero, count: MBR.byteCount)), !mbr.isBootSector,
            mbr.entries.allSatisfy({ $0.flag & 0x7F == 0 })
        else { return nil }
        return mbr
    }

    public var sectorSize: Int {
        switch self {
        case .mbr(let table): table.sectorSize
        case .gpt(let table): table.sectorSize
        }
    }

    /// What contradicts itself in the table.
    public var problems: [ImageError] {
        switch self {
        case .mbr(let table): table.problems
        case .gpt(let table): table.problems
        }
    }

    /// The name that `blkid` and `lsblk` have for the kind of table.
    public var name: String {
        switch self {
        case .mbr: "dos"
        case .gpt: "gpt"
        }
    }

    /// The partitions by number, in bytes; those that lie nowhere are left out, as are containers of others.
    public var entries: [PartitionEntry] {
        switch self {
        case .mbr(let table): table.partitions.compactMap { entry($0, of: table) }.sorted { $0.number < $1.number }
        case .gpt(let table): table.gpt.partitions.compactMap { entry($0) }
        }
    }

    private func entry(_ part: MBRTable.Partition, of table: MBRTable) -> PartitionEntry? {
        guard let range = bytes(first: part.firstLBA, count: part.count) else { return nil }
        let type = PartitionType.mbr(part.type)
        // What Linux makes of the disk's id for want of ids of partitions.
        let id = table.mbr.diskID
        let unique = id == 0 ? nil : padded(id, to: 8) + "-" + padded(UInt32(truncatingIfNeeded: part.number), to: 2)
        return PartitionEntry(
            number: part.number, range: range, type: type.description, typeID: type.id, uniqueID: unique)
    }

    private func padded(_ number: UInt32, to count: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: max(0, count - digits.count)) + digits
    }

    private func entry(_ part: GPT.Partition) -> PartitionEntry? {
        let entry = part.entry
        guard entry.firstLBA <= entry.lastLBA, entry.lastLBA < .max,
            let range = bytes(first: entry.firstLBA, count: entry.lastLBA - entry.firstLBA + 1)
        else { return nil }
        let type = PartitionType.gpt(entry.type)
        return PartitionEntry(
            number: part.number, range: range, type: type.description, typeID: type.id, name: entry.name,
            uniqueID: entry.id.description)
    }

    /// The bytes of `count` sectors; `nil` where they do not fit 64 bits.
    private func bytes(first: UInt64, count: UInt64) -> HostRange? {
        let unit = UInt64(sectorSize)
        let (start, startOverflow) = first.multipliedReportingOverflow(by: unit)
        let (size, sizeOverflow) = count.multipliedReportingOverflow(by: unit)
        guard !startOverflow, !sizeOverflow, !start.addingReportingOverflow(size).overflow else { return nil }
        return HostRange(start: HostOffset(start), count: size)
    }
}

/// Reads partition tables of every known kind: MBR with extended partitions, and GPT.
public struct PartitionTableReader: PartitionReading {
    public init() {}

    public func partitions(of store: any ByteStore, sectorSize: Int) throws(ImageError) -> PartitionListing {
        guard let table = try PartitionTable.read(store, sectorSize: sectorSize) else { return PartitionListing() }
        return PartitionListing(
            kind: table.name, entries: table.entries, problems: table.problems.map { $0.inFile(store.name) })
    }
}
