public import ReimageSystem

/// What somebody wants to do with a device, and the facts that the rules look at.
public struct DeviceRequest: Sendable, Hashable {
    /// The wished operation.
    public enum Operation: Sendable, Hashable {
        /// Everything on the device is replaced.
        case restore
        /// The device is read; with `live` although it changes meanwhile.
        case capture(live: Bool)
    }

    /// A file that the operation needs, and where it lies.
    public struct File: Sendable, Hashable {
        /// What the file is for.
        public enum Role: String, Sendable, Hashable {
            case source = "the source"
            case journal = "the journal"
            case receipt = "the receipt"
            /// What is captured into.
            case image = "the image"
        }

        public var role: Role
        /// The path as the user gave it.
        public var path: String
        /// The path without links, where that is known.
        public var realPath: String?
        /// Every device that it lies on, down to the disks.
        public var foundations: Set<DeviceNumber>
        /// Its own number, where it is a block device.
        public var device: DeviceNumber?

        public init(
            _ role: Role, path: String, realPath: String? = nil, foundations: Set<DeviceNumber> = [],
            device: DeviceNumber? = nil
        ) {
            self.role = role
            self.path = path
            self.realPath = realPath
            self.foundations = foundations
            self.device = device
        }
    }

    public var operation: Operation
    /// Whether the image is that of a whole disk, with a partition table.
    public var isWholeDisk: Bool
    /// Whether a whole disk's image may go onto a partition all the same.
    public var allowsPartition: Bool
    /// The bytes that the target must have, where they are known.
    public var neededByteCount: UInt64?
    /// The files that the operation reads and writes besides the device.
    public var files: [File]
    /// What came of opening the device exclusively, where that was tried.
    public var claim: DeviceClaim?

    public init(
        _ operation: Operation, isWholeDisk: Bool = true, allowsPartition: Bool = false,
        neededByteCount: UInt64? = nil, files: [File] = [], claim: DeviceClaim? = nil
    ) {
        self.operation = operation
        self.isWholeDisk = isWholeDisk
        self.allowsPartition = allowsPartition
        self.neededByteCount = neededByteCount
        self.files = files
        self.claim = claim
    }
}

extension DeviceInventory {
    /// Where the file at `path` lies, for the rules; it need not exist yet.
    public func file(_ role: DeviceRequest.File.Role, at path: String) -> DeviceRequest.File {
        DeviceRequest.File(
            role, path: path, realPath: tree.realPath(of: path), foundations: foundations(of: path),
            device: tree.node(at: path)?.device)
    }
}
