internal import ReimageSystem

/// What uses the machine's devices: the stack of devices, and the file systems and swap areas on top of it.
struct DeviceUsage: Sendable {
    private(set) var stack = DeviceStack()
    /// What uses each device directly, by its name.
    private var direct: [String: [DeviceUse.Kind]] = [:]
    private let holders: [String: DeviceUse.Holder]
    private let names: [DeviceNumber: String]
    /// This process's mounts, then those of the first process that are others: a shell in a namespace of its own must
    /// not take a disk for free that the system has mounted. The paths of one table mean nothing in the other.
    private let mountTables: [MountTable]
    /// The members of each btrfs that is open, by their names.
    private let btrfs: [[String]]
    private let tree: any DeviceTree

    init(_ devices: [KernelDevice], tree: any DeviceTree) {
        self.tree = tree
        names = Dictionary(devices.map { ($0.number, $0.name) }) { first, _ in first }
        holders = Dictionary(devices.map { ($0.name, $0.asHolder) }) { first, _ in first }
        mountTables = ["self", "1"].map { MountTable(tree.text("/proc/\($0)/mountinfo") ?? "") }
        btrfs = (tree.names(in: "/sys/fs/btrfs") ?? []).compactMap { tree.names(in: "/sys/fs/btrfs/\($0)/devices") }
        for device in devices {
            if let disk = device.disk { stack.put(device.name, on: disk) }
            for slave in device.slaves { stack.put(device.name, on: slave) }
            for holder in device.holders { stack.put(holder, on: device.name) }
            // The device behind a file that was deleted stays in use; its mount is still found by the path.
            if let file = device.backingFile {
                for name in devicesHolding(file) { stack.put(device.name, on: name) }
            }
        }
        addMounts()
        addSwap()
    }

    /// What uses `name`, a device on top of it, or its partitions.
    func uses(of name: String) -> [DeviceUse] {
        stack.buildings(on: name).flatMap { way -> [DeviceUse] in
            let top = way[way.count - 1]
            var uses = (direct[top] ?? []).map { DeviceUse($0, chain: way) }
            // A partition is a part, not a holder; what is built on it is.
            if way.count > 1, let holder = holders[top], !isPartition(top) {
                uses.append(DeviceUse(.held(by: holder), chain: way))
            }
            return uses
        }
    }

    /// The names of the devices that the file or folder at `path` lies on; for a device's node, its own.
    func devicesHolding(_ path: String) -> [String] {
        let path = tree.realPath(of: path) ?? path
        if let node = tree.node(at: path) {
            if let device = node.device { return names[device].map { [$0] } ?? [] }
            if let name = names[node.fileSystem] { return [name] }
        }
        return mountTables[0].holding(path).map { devices(of: $0, in: mountTables[0]) } ?? []
    }

    private func isPartition(_ name: String) -> Bool { tree.contents(of: "/sys/class/block/\(name)/partition") != nil }

    /// The devices below a mount of `table`, by their names.
    ///
    /// Overlays may lie on overlays; a container's lie where this process cannot see.
    private func devices(of mount: Mount, in table: MountTable) -> [String] {
        var (reached, found) = ([mount], [String]())
        var next = 0
        while next < reached.count {
            let mount = reached[next]
            next += 1
            for name in ownDevices(of: mount) where !found.contains(name) { found.append(name) }
            for lower in Set(mount.overlaidDirectories.compactMap { table.holding($0) }) where !reached.contains(lower)
            {
                reached.append(lower)
            }
        }
        return found
    }

    /// The devices that a mount's own number and source name, and for btrfs the other members.
    private func ownDevices(of mount: Mount) -> [String] {
        var found = names[mount.device].map { [$0] } ?? []
        for source in mount.source.split(separator: ":") where source.hasPrefix("/dev/") {
            if let device = tree.node(at: String(source))?.device, let name = names[device] { found.append(name) }
        }
        if mount.fileSystem == "btrfs" {
            found += btrfs.filter { members in members.contains { found.contains($0) } }.flatMap { $0 }
        }
        return found
    }

    private mutating func addMounts() {
        var places: [String: [(mount: Mount, at: String)]] = [:]
        for table in mountTables {
            for mount in table.mounts {
                for name in devices(of: mount, in: table) {
                    places[name, default: []].append((mount, mount.mountPoint))
                }
            }
        }
        for (name, mounted) in places {
            let byFileSystem = Dictionary(grouping: mounted) { $0.mount.fileSystem }
            for (fileSystem, mounted) in byFileSystem.sorted(by: { $0.key < $1.key }) {
                let points = Set(mounted.map(\.at)).sorted { ($0.utf8.count, $0) < ($1.utf8.count, $1) }
                direct[name, default: []].append(.mounted(at: points, fileSystem: fileSystem))
            }
        }
        for member in btrfs.joined() where places[member] == nil {
            direct[member, default: []].append(.open(fileSystem: "btrfs"))
        }
    }

    private mutating func addSwap() {
        for area in tree.text("/proc/swaps").map({ SwapArea.all(in: $0) }) ?? [] {
            for name in devicesHolding(area.path) where !(direct[name] ?? []).contains(.swap) {
                direct[name, default: []].append(.swap)
            }
        }
    }
}
