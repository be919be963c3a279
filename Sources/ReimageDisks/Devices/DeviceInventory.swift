public import ReimageCore
internal import ReimageSystem

/// Every block device of the machine, and what uses it.
///
/// A picture of one moment: what is mounted later is not in it. What needs certainty holds the device open
/// exclusively.
public struct DeviceInventory: Sendable {
    /// All devices, partitions included, in the order of their names.
    public let devices: [Device]
    let tree: any DeviceTree
    let usage: DeviceUsage

    /// Looks at the devices that `tree` describes.
    /// - Throws: `.unsupported` where there is no `/sys/class/block`: not Linux, or a container without it.
    public init(tree: any DeviceTree = HostDeviceTree()) throws(ImageError) {
        guard let names = tree.names(in: "/sys/class/block") else {
            throw ImageError(
                .unsupported, "the machine's disks cannot be listed", file: "/sys/class/block",
                advice: "Disks are found through /sys, which only Linux has; in a container it must be mounted.")
        }
        let kernel = names.compactMap { KernelDevice($0, in: tree) }
        let usage = DeviceUsage(kernel, tree: tree)
        let links = Self.stableLinks(tree)
        var devices = kernel.map { $0.facts() }
        let parts = Dictionary(grouping: devices.filter { $0.place != nil }) { $0.place?.disk ?? "" }
        let numbers = Dictionary(devices.map { ($0.name, $0.number) }) { first, _ in first }
        for index in devices.indices {
            let name = devices[index].name
            devices[index].stablePaths = links[devices[index].path] ?? []
            devices[index].partitions = (parts[name] ?? []).sorted {
                ($0.place?.number ?? 0) < ($1.place?.number ?? 0)
            }.map(\.name)
            devices[index].uses = usage.uses(of: name)
            devices[index].foundations = Set(usage.stack.foundations(of: name).compactMap { numbers[$0] })
        }
        self.devices = devices.sorted { $0.name.precedesByNumber($1.name) }
        self.tree = tree
        self.usage = usage
    }

    /// The device of the kernel's name `name`.
    public subscript(name: String) -> Device? { devices.first { $0.name == name } }

    /// The whole disks, loop devices and so on that people want to see; all of them with `all`.
    public func listed(all: Bool = false) -> [Device] {
        devices.filter { $0.place == nil && (all || $0.isOfInterest) }
    }

    /// The partitions of `device` as the kernel knows them.
    public func partitions(of device: Device) -> [Device] { device.partitions.compactMap { self[$0] } }

    /// The links of `/dev/disk/by-id` by the path they lead to; names that people can read come first.
    private static func stableLinks(_ tree: any DeviceTree) -> [String: [String]] {
        var links: [String: [String]] = [:]
        for name in tree.names(in: "/dev/disk/by-id") ?? [] {
            let link = "/dev/disk/by-id/\(name)"
            if let path = tree.realPath(of: link) { links[path, default: []].append(link) }
        }
        let opaque = ["wwn-", "nvme-eui.", "nvme-uuid.", "nvme-nvme.", "scsi-", "dm-uuid-", "md-uuid-", "lvm-pv-"]
        return links.mapValues { links in
            let isOpaque = { (link: String) in opaque.contains { link.dropFirst(16).hasPrefix($0) } }
            return links.filter { !isOpaque($0) } + links.filter(isOpaque)
        }
    }
}

extension String {
    /// Orders names by their letters, and runs of digits by their number: sda2 comes before sda10.
    func precedesByNumber(_ other: String) -> Bool {
        var (left, right) = (utf8[...], other.utf8[...])
        let isDigit = { (byte: UInt8) in (0x30...0x39).contains(byte) }
        while let first = left.first, let second = right.first {
            if isDigit(first) && isDigit(second) {
                let (one, two) = (left.prefix(while: isDigit), right.prefix(while: isDigit))
                let (a, b) = (one.drop { $0 == 0x30 }, two.drop { $0 == 0x30 })
                if a.count != b.count { return a.count < b.count }
                if !a.elementsEqual(b) { return a.lexicographicallyPrecedes(b) }
                left = left.dropFirst(one.count)
                right = right.dropFirst(two.count)
            } else {
                if first != second { return first < second }
                left = left.dropFirst()
                right = right.dropFirst()
            }
        }
        return left.count < right.count
    }
}
