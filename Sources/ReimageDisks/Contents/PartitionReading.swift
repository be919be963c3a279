public import ReimageCore

/// A partition as the table on the disk has it.
public struct PartitionEntry: Sendable, Hashable {
    /// Its number, from 1.
    public var number: Int
    /// Where it lies on the disk.
    public var range: HostRange
    /// What the table says it is for, in words where these are known.
    public var type: String?
    /// The same as the table has it: a GUID, or two hexadecimal digits.
    public var typeID: String?
    /// The name in the table.
    public var name: String?
    /// Its unique id.
    public var uniqueID: String?

    public init(
        number: Int, range: HostRange, type: String? = nil, typeID: String? = nil, name: String? = nil,
        uniqueID: String? = nil
    ) {
        self.number = number
        self.range = range
        self.type = type
        self.typeID = typeID
        self.name = name
        self.uniqueID = uniqueID
    }
}

/// What a partition table says.
public struct PartitionListing: Sendable {
    /// The kind of table, `dos` or `gpt`; `nil` where there is none.
    public var kind: String?
    public var entries: [PartitionEntry]
    /// What contradicts itself in the table, which could be read all the same.
    public var problems: [ImageError]

    public init(kind: String? = nil, entries: [PartitionEntry] = [], problems: [ImageError] = []) {
        self.kind = kind
        self.entries = entries
        self.problems = problems
    }
}

/// Reads the partition table of a disk.
public protocol PartitionReading: Sendable {
    /// The table of `store`; empty where there is none.
    /// - Parameter sectorSize: the disk's logical sector in bytes.
    /// - Throws: `.unreadable` on an I/O error, `.damaged` where the table cannot be used at all.
    func partitions(of store: any ByteStore, sectorSize: Int) throws(ImageError) -> PartitionListing
}
