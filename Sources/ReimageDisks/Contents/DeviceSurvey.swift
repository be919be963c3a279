public import ReimageCore
internal import ReimageSystem

/// What a device holds, as far as it can be read.
public struct DeviceSurvey: Sendable {
    /// A partition and its contents.
    public struct Partition: Sendable {
        /// Its place, and what the table says of it; the latter is empty for one that only the kernel knows.
        public var entry: PartitionEntry
        /// The kernel's name; `nil` where the kernel does not know it.
        public var kernelName: String?
        public var signatures: [ContentSignature] = []
    }

    /// What the device holds as a whole, besides or in place of partitions.
    public private(set) var signatures: [ContentSignature] = []
    /// The kind of its partition table, `dos` or `gpt`; `nil` where there is none, or where it was not looked at.
    public private(set) var tableKind: String?
    /// Its partitions, in the order of their numbers.
    public private(set) var partitions: [Partition] = []
    /// What could not be read, and why.
    public private(set) var problems: [ImageError] = []

    /// Reads the superblocks of `device` and of its partitions.
    ///
    /// - Parameters:
    ///   - kernel: the partitions that the kernel knows.
    ///   - tables: reads the table too, for partitions that the kernel does not know, and for names and types.
    ///   - open: opens a device by its path; by default as a block device.
    public init(
        _ device: Device, kernel: [Device], tables: (any PartitionReading)? = nil,
        open: (String) throws(ImageError) -> any ByteStore = Self.openNode
    ) {
        partitions = kernel.compactMap { part in
            guard let place = part.place else { return nil }
            let range = HostRange(start: HostOffset(place.start), count: part.byteCount)
            return Partition(entry: PartitionEntry(number: place.number, range: range), kernelName: part.name)
        }
        guard device.byteCount > 0 else { return }
        let store: any ByteStore
        do {
            store = try open(device.path)
            signatures = try ContentProbe(store).signatures()
        } catch {
            problems.append(error.inFile(device.path))
            return
        }
        if let tables, device.place == nil { read(tables, of: store, sectorSize: device.logicalSector) }
        for index in partitions.indices { readPartition(index, of: store, kernel: kernel, open: open) }
    }

    /// The block device at `path`, for reading through its own cache.
    /// - Throws: as ``ReimageSystem/BlockDeviceStore``.
    public static func openNode(_ path: String) throws(ImageError) -> any ByteStore {
        try BlockDeviceStore(path: path)
    }

    /// Adds what the table says; where kernel and table differ, the kernel's view stands and the other is a problem.
    private mutating func read(_ tables: any PartitionReading, of store: any ByteStore, sectorSize: Int) {
        let listing: PartitionListing
        do { listing = try tables.partitions(of: store, sectorSize: sectorSize) } catch {
            problems.append(error.inFile(store.name))
            return
        }
        tableKind = listing.kind
        problems += listing.problems
        let isUnknownToKernel = partitions.isEmpty
        for entry in listing.entries {
            if let index = partitions.firstIndex(where: { $0.entry.number == entry.number }) {
                if partitions[index].entry.range == entry.range {
                    partitions[index].entry = entry
                    continue
                }
            } else if isUnknownToKernel {
                partitions.append(Partition(entry: entry))
                continue
            }
            problems.append(
                ImageError(
                    .damaged, "the kernel knows partition \(entry.number) otherwise than the table has it",
                    file: store.name, advice: "Let the kernel read the table again: blockdev --rereadpt \(store.name).")
            )
        }
        partitions.sort { $0.entry.number < $1.entry.number }
    }

    /// Looks into a partition through its own node, whose cache is the one that a mounted file system writes to.
    private mutating func readPartition(
        _ index: Int, of disk: any ByteStore, kernel: [Device], open: (String) throws(ImageError) -> any ByteStore
    ) {
        let part = partitions[index]
        do {
            if let node = kernel.first(where: { $0.name == part.kernelName }) {
                // An extended partition's node is a few sectors; what it holds is seen as partitions of their own.
                partitions[index].signatures = try ContentProbe(try open(node.path)).signatures()
            } else {
                partitions[index].signatures = try ContentProbe(disk, range: part.entry.range).signatures()
            }
        } catch {
            problems.append(error.inFile(disk.name))
        }
    }
}
