/// What a partition or disk holds, as its own superblock says.
public struct ContentSignature: Sendable, Hashable {
    /// The kind of contents, by the names that `blkid` and `/etc/fstab` use. The set is open.
    public struct Kind: RawRepresentable, Sendable, Hashable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        public static let ext2 = Kind(rawValue: "ext2")
        public static let ext3 = Kind(rawValue: "ext3")
        public static let ext4 = Kind(rawValue: "ext4")
        /// An ext3 or ext4 journal of its own.
        public static let journal = Kind(rawValue: "jbd")
        public static let xfs = Kind(rawValue: "xfs")
        public static let btrfs = Kind(rawValue: "btrfs")
        public static let ntfs = Kind(rawValue: "ntfs")
        public static let fat = Kind(rawValue: "vfat")
        public static let exFAT = Kind(rawValue: "exfat")
        public static let swap = Kind(rawValue: "swap")
        /// A swap area that holds a sleeping system.
        public static let hibernation = Kind(rawValue: "swsuspend")
        public static let luks = Kind(rawValue: "crypto_LUKS")
        public static let bitLocker = Kind(rawValue: "BitLocker")
        public static let lvm = Kind(rawValue: "LVM2_member")
        public static let raid = Kind(rawValue: "linux_raid_member")
        public static let iso9660 = Kind(rawValue: "iso9660")
    }

    public var kind: Kind
    /// The version, where kinds of one name differ: `1.0` and the like.
    public var version: String?
    /// The name that its owner gave it.
    public var label: String?
    /// Its unique id as `blkid` writes it.
    public var uuid: String?

    public init(_ kind: Kind, version: String? = nil, label: String? = nil, uuid: String? = nil) {
        self.kind = kind
        self.version = version
        self.label = label.flatMap { $0.isEmpty ? nil : $0 }
        self.uuid = uuid
    }
}
