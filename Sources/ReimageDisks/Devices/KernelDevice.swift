internal import ReimageSystem

/// A block device's folder in `/sys`, and what stands in it.
struct KernelDevice: Sendable {
    let name: String
    /// The folder's real path, below `/sys/devices`.
    let directory: String
    let number: DeviceNumber
    /// The name of the disk, for a partition.
    let disk: String?
    let kind: Device.Kind
    private let tree: any DeviceTree

    /// The device `name`; `nil` where it has gone.
    init?(_ name: String, in tree: any DeviceTree) {
        guard let directory = tree.realPath(of: "/sys/class/block/\(name)"),
            let number = tree.text("\(directory)/dev").flatMap({ DeviceNumber($0) })
        else { return nil }
        self.name = name
        self.directory = directory
        self.number = number
        self.tree = tree
        if tree.contents(of: "\(directory)/partition") != nil {
            let parts = directory.split(separator: "/")
            disk = parts.count > 1 ? String(parts[parts.count - 2]) : nil
            kind = .partition
        } else {
            disk = nil
            // A CD drive that a SCSI bridge shows as a disk says so in its device type (5).
            kind = tree.number("\(directory)/device/type") == 5 ? .optical : Device.Kind(name: name)
        }
    }

    /// Where its queue and identity are found: a partition has those of its disk.
    private var diskDirectory: String {
        guard disk != nil, let slash = directory.lastIndex(of: "/") else { return directory }
        return String(directory[..<slash])
    }

    /// The names of the devices that it is built on, and of those built on it, without partitions.
    var slaves: [String] { tree.names(in: "\(directory)/slaves") ?? [] }
    var holders: [String] { tree.names(in: "\(directory)/holders") ?? [] }

    /// The path of the file behind a loop device, as the kernel says it.
    var backingFile: String? { tree.text("\(directory)/loop/backing_file") }

    /// What it is to a device below it.
    var asHolder: DeviceUse.Holder {
        switch kind {
        case .mapped:
            let id = tree.text("\(directory)/dm/uuid") ?? ""
            let kinds = [("LVM-", "LVM"), ("CRYPT-LUKS", "LUKS"), ("CRYPT-", "dm-crypt"), ("mpath-", "multipath")]
            let what = kinds.first { id.hasPrefix($0.0) }?.1 ?? "device mapper"
            return DeviceUse.Holder(name: name, what: what, label: tree.text("\(directory)/dm/name"))
        case .array:
            let level = tree.text("\(directory)/md/level")
            return DeviceUse.Holder(name: name, what: level.map { "MD \($0)" } ?? "MD RAID")
        case .loop:
            return DeviceUse.Holder(name: name, what: "loop device", label: backingFile)
        default:
            return DeviceUse.Holder(name: name, what: "block device")
        }
    }

    /// All that is told of the device itself.
    func facts() -> Device {
        let size = tree.number("\(directory)/size") ?? 0
        // The kernel counts in units of 512 bytes whatever the sector is.
        let (byteCount, overflow) = size.multipliedReportingOverflow(by: 512)
        // A slash in a device's name is a `!` in /sys.
        let path = "/dev/" + name.split(separator: "!", omittingEmptySubsequences: false).joined(separator: "/")
        var device = Device(
            name: name, path: path, number: number, kind: kind, bus: Device.Bus(directory: directory),
            byteCount: overflow ? 0 : byteCount)
        let queue = "\(diskDirectory)/queue"
        device.isReadOnly = tree.flag("\(directory)/ro")
        device.isRemovable = tree.flag("\(diskDirectory)/removable") || isCard
        device.isHidden = tree.flag("\(diskDirectory)/hidden")
        device.isRotational = tree.flag("\(queue)/rotational")
        device.isZoned = tree.text("\(queue)/zoned").map { $0 != "none" } ?? false
        device.logicalSector = sector("\(queue)/logical_block_size")
        device.physicalSector = sector("\(queue)/physical_block_size")
        device.sequence = tree.number("\(diskDirectory)/diskseq")
        device.discard = Device.Discard(
            maximumByteCount: tree.number("\(queue)/discard_max_bytes") ?? 0,
            granularity: tree.number("\(queue)/discard_granularity") ?? 0,
            zeroesData: tree.flag("\(queue)/discard_zeroes_data"),
            maximumZeroByteCount: tree.number("\(queue)/write_zeroes_max_bytes") ?? 0)
        device.backingFile = backingFile
        if let disk {
            let start = (tree.number("\(directory)/start") ?? 0).multipliedReportingOverflow(by: 512)
            let number = tree.number("\(directory)/partition").flatMap { Int(exactly: $0) } ?? 0
            device.place = Device.Place(disk: disk, number: number, start: start.overflow ? 0 : start.partialValue)
        }
        if kind == .mapped { device.label = tree.text("\(directory)/dm/name") }
        let identity = DeviceIdentity(directory: diskDirectory, bus: device.bus, tree: tree)
        device.vendor = identity.vendor
        device.model = identity.model
        device.serial = identity.serial
        device.worldWideName = identity.worldWideName
        return device
    }

    /// An SD card can be taken out, though the kernel does not say so; soldered MMC cannot.
    private var isCard: Bool { tree.text("\(diskDirectory)/device/type") == "SD" }

    /// A sector size in bytes; what makes none counts as 512.
    private func sector(_ path: String) -> Int {
        guard let size = tree.number(path), (512...(1 << 20)).contains(size), size & (size - 1) == 0 else { return 512 }
        return Int(size)
    }
}
