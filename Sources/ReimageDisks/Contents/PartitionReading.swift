public import ReimageCore

/// A partition as the table on the disk has it.
public struct PartitionEntry: Sendable, Hashable {
    /// Its number, from 1.
    public var number: Int
    /// Where it lies on the disk.
    public var range: HostRange
    /// What the table says it is for.
    public var type: String?
    /// The name in the table.
    public var name: String?
    /// Its unique id.
    public var uniqueID: String?

    public init(number: Int, range: HostRange, type: String? = nil, name: String? = nil, uniqueID: String? = nil) {
        self.number = number
        self.range = range
        self.type = type
        self.name = name
        self.uniqueID = uniqueID
    }
}

/// Reads the partition table of a disk.
public protocol PartitionReading: Sendable {
    /// The partitions in the table at the start of `store`; none where there is no table.
    /// - Parameter sectorSize: the disk's logical sector in bytes.
    /// - Throws: `.unreadable` on an I/O error, `.damaged` where the table contradicts itself.
    func partitions(of store: any ByteStore, sectorSize: Int) throws(ImageError) -> [PartitionEntry]
}
