extension Device {
    /// How a device hangs on the machine. The set is open.
    public struct Bus: RawRepresentable, Sendable, Hashable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        public static let usb = Bus(rawValue: "usb")
        public static let nvme = Bus(rawValue: "nvme")
        public static let sata = Bus(rawValue: "sata")
        public static let scsi = Bus(rawValue: "scsi")
        public static let virtio = Bus(rawValue: "virtio")
        public static let mmc = Bus(rawValue: "mmc")
        public static let fireWire = Bus(rawValue: "firewire")
        public static let xen = Bus(rawValue: "xen")
        /// Made by the kernel: loop, mapped devices, arrays, memory.
        public static let virtual = Bus(rawValue: "virtual")
        public static let unknown = Bus(rawValue: "unknown")

        /// The bus that the device's folder in `/sys/devices` lies on; the one nearest to the device counts, but a
        /// SCSI device behind USB or SATA is named by these.
        init(directory: String) {
            let parts = directory.split(separator: "/")
            let named: [(Bus, (Substring) -> Bool)] = [
                (.virtual, { $0 == "virtual" }),
                (.usb, { $0.isNumbered("usb") }),
                (.fireWire, { $0.isNumbered("fw") }),
                (.mmc, { $0 == "mmc_host" }),
                (.sata, { $0.isNumbered("ata") }),
                (.xen, { $0.hasPrefix("vbd-") }),
                // A virtio SCSI controller carries SCSI disks: only the disk right below is virtio's own.
                (.scsi, { $0.hasPrefix("target") }),
                (.virtio, { $0.isNumbered("virtio") }),
            ]
            // NVMe with several paths, or over a fabric, lies below `virtual` too.
            if parts.contains(where: { $0.isNumbered("nvme") || $0 == "nvme-subsystem" }) {
                self = .nvme
            } else {
                self = named.first { parts.contains(where: $0.1) }?.0 ?? .unknown
            }
        }
    }
}

extension Device.Kind {
    /// The kind that a device's name tells; a partition is known by its folder instead.
    init(name: String) {
        let kinds: [(String, Device.Kind)] = [
            ("loop", .loop), ("zram", .memory), ("ram", .memory), ("sr", .optical), ("fd", .floppy),
            ("dm-", .mapped), ("md", .array), ("nbd", .network), ("rbd", .network), ("drbd", .network),
        ]
        let digits = kinds.first { name[...].isNumbered($0.0) || ($0.1 == .array && name.hasPrefix("md_")) }
        if let digits {
            self = digits.1
        } else {
            let disks = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk", "dasd", "pmem", "ubd"]
            self = disks.contains { name.hasPrefix($0) } ? .disk : .other
        }
    }
}

extension Substring {
    /// Whether it is `prefix` and a number.
    fileprivate func isNumbered(_ prefix: String) -> Bool {
        guard hasPrefix(prefix), utf8.count > prefix.utf8.count else { return false }
        return utf8.dropFirst(prefix.utf8.count).allSatisfy { (0x30...0x39).contains($0) }
    }
}
