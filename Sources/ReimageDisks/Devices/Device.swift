public import ReimageSystem

/// What the kernel and udev say of a block device.
public struct Device: Sendable, Hashable {
    /// What sort of block device it is.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A disk, stick or card.
        case disk
        case partition
        /// A file in the place of a disk.
        case loop
        /// A CD, DVD or Blu-ray drive.
        case optical
        case floppy
        /// A device-mapper device: LVM, LUKS, multipath.
        case mapped
        /// An MD RAID.
        case array
        /// A disk at the other end of a network.
        case network
        /// Main memory: ram, zram.
        case memory
        /// Something else.
        case other
    }

    /// What discarding does, as the driver declares it.
    public struct Discard: Sendable, Hashable {
        /// The longest range of one request in bytes; 0 where nothing can be discarded.
        public var maximumByteCount: UInt64
        /// Ranges are multiples of this, in bytes.
        public var granularity: UInt64
        /// Whether discarded bytes are promised to read as zeros.
        public var zeroesData: Bool
        /// The longest range that the device itself fills with zeros in one request; 0 where it cannot.
        public var maximumZeroByteCount: UInt64

        public init(
            maximumByteCount: UInt64 = 0, granularity: UInt64 = 0, zeroesData: Bool = false,
            maximumZeroByteCount: UInt64 = 0
        ) {
            self.maximumByteCount = maximumByteCount
            self.granularity = granularity
            self.zeroesData = zeroesData
            self.maximumZeroByteCount = maximumZeroByteCount
        }
    }

    /// A partition as the kernel knows it.
    public struct Place: Sendable, Hashable {
        /// The name of the disk that it is a part of.
        public var disk: String
        public var number: Int
        /// The first byte on the disk.
        public var start: UInt64

        public init(disk: String, number: Int, start: UInt64) {
            self.disk = disk
            self.number = number
            self.start = start
        }
    }

    /// The kernel's name: `sda`, `nvme0n1p2`.
    public var name: String
    /// The path of its node.
    public var path: String
    public var number: DeviceNumber
    public var kind: Kind
    public var bus: Bus
    /// The length in bytes; 0 where there is no medium.
    public var byteCount: UInt64
    /// The links below `/dev/disk/by-id` that name it, the most telling first.
    public var stablePaths: [String] = []
    public var vendor: String?
    public var model: String?
    public var serial: String?
    /// The world-wide name.
    public var worldWideName: String?
    /// What a mapped device is called: `vg-root`.
    public var label: String?
    /// Whether the medium can be taken out: sticks and cards.
    public var isRemovable = false
    public var isReadOnly = false
    public var isRotational = false
    /// Zones that must be written in order.
    public var isZoned = false
    /// The kernel's own paths to a disk that it shows under another name.
    public var isHidden = false
    public var logicalSector = 512
    public var physicalSector = 512
    public var discard = Discard()
    /// A number that the kernel gives to each medium once, so that an exchanged one is noticed.
    public var sequence: UInt64?
    /// The file behind a loop device.
    public var backingFile: String?
    /// Where it lies, for a partition.
    public var place: Place?
    /// The names of its partitions as the kernel knows them, in their order.
    public var partitions: [String] = []
    /// What uses it, or a partition of it, or what is built on them.
    public var uses: [DeviceUse] = []
    /// The numbers of every device that it is built on, itself included.
    public var foundations: Set<DeviceNumber> = []

    public init(
        name: String, path: String, number: DeviceNumber, kind: Kind = .disk, bus: Bus = .unknown,
        byteCount: UInt64
    ) {
        self.name = name
        self.path = path
        self.number = number
        self.kind = kind
        self.bus = bus
        self.byteCount = byteCount
    }
}

extension Device {
    /// Vendor and model in one line; `nil` where neither is known.
    public var fullModel: String? {
        guard let vendor else { return model }
        guard let model else { return vendor }
        return model.hasPrefix(vendor) ? model : "\(vendor) \(model)"
    }

    /// The uses that make it a disk of the running system.
    public var systemUses: [DeviceUse] { uses.filter(\.isOfSystem) }

    /// Whether the running system lies on it.
    public var isSystemDisk: Bool { uses.contains { $0.isOfSystem } }

    /// Whether people want to see it in a list: not the kernel's own helpers, and only what holds a medium.
    public var isOfInterest: Bool { byteCount > 0 && kind != .memory && !isHidden }
}
