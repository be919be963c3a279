internal import ReimageCore
public import ReimageSystem

/// What must be so before a device is written or captured.
///
/// Pure functions of facts; none of them opens anything. They look at one moment, so the work itself must hold the
/// device open exclusively besides.
public enum DeviceRules {
    /// Every reason not to do what `request` asks with `device`; none where it may be done.
    public static func refusals(for device: Device, _ request: DeviceRequest) -> [DeviceRefusal] {
        var refusals: [DeviceRefusal] = []
        if device.byteCount == 0 {
            refusals.append(
                DeviceRefusal(
                    .noMedium, "there is no medium in it", advice: "Put a medium in, or choose another device."))
        }
        switch request.operation {
        case .restore:
            refusals += useRefusals(device, request)
            refusals += writeRefusals(device, request)
        case .capture(let live):
            if !live { refusals += useRefusals(device, request) }
        }
        return refusals + request.files.compactMap { refusal(device, $0, request.operation) }
    }

    /// Why `path` must not be a target: below `/dev` only a block device may be one.
    ///
    /// A missing node would become a file in memory that looks like a finished disk.
    /// - Parameter kind: what the path names, links followed; `nil` where there is nothing.
    public static func refusal(forPath path: String, kind: FileKind?) -> DeviceRefusal? {
        guard kind != .blockDevice else { return nil }
        guard path.hasPrefix("/dev/") else {
            return DeviceRefusal(
                .notADevice, kind == nil ? "there is no such device" : "is no block device",
                advice: "For a file use 'reimage convert'; 'reimage devices' lists the disks.")
        }
        return DeviceRefusal(
            .notADevice, kind == nil ? "there is no such device" : "lies below /dev, but is no block device",
            advice: "Choose a disk that 'reimage devices' lists.")
    }

    // MARK: What uses it

    private static func useRefusals(_ device: Device, _ request: DeviceRequest) -> [DeviceRefusal] {
        var refusals: [DeviceRefusal] = []
        let isCapture = request.operation != .restore
        let live = isCapture ? " Or take a copy as a crash would leave it, with --live." : ""
        if device.isSystemDisk {
            let places = mountPoints(device.systemUses)
            refusals.append(
                DeviceRefusal(
                    .system, "the running system lies on it (\(places.joined(separator: ", ")))",
                    advice: "Start the machine from another medium and try again there.\(live)"))
        }
        let others = mountPoints(device.uses.filter { !$0.isOfSystem })
        if !others.isEmpty {
            refusals.append(
                DeviceRefusal(
                    .mounted, "it is mounted at \(others.joined(separator: ", "))",
                    advice: "Unmount it: umount \(others.map(shellWord).joined(separator: " ")).\(live)"))
        }
        let open = device.uses.filter { if case .open = $0.kind { true } else { false } }
        if let use = open.first {
            refusals.append(
                DeviceRefusal(
                    .mounted, "it belongs to \(use)",
                    advice: "Unmount that file system where it is mounted: another container or namespace.\(live)"))
        }
        let swaps = device.uses.filter { $0.kind == .swap }
        if !swaps.isEmpty {
            let areas = swaps.compactMap(\.chain.last).map { "/dev/\($0)" }
            refusals.append(
                DeviceRefusal(
                    .swap, "the system swaps to it (\(areas.joined(separator: ", ")))",
                    advice: "Turn swapping off: 'swapon --show' names the areas, 'swapoff' ends one.\(live)"))
        }
        refusals += device.uses.compactMap { use in
            guard case .held(let holder) = use.kind else { return nil }
            return DeviceRefusal(.held, "it is \(use)", advice: release(holder) + live)
        }
        // Exclusive opening fails for each of the reasons above too; it is worth a word only where nothing else is.
        if request.claim == .busy && refusals.isEmpty {
            refusals.append(
                DeviceRefusal(
                    .inUse, "another process holds it",
                    advice: "Find it with 'fuser -v \(device.path)' and end it.\(live)"))
        }
        return refusals
    }

    private static func mountPoints(_ uses: [DeviceUse]) -> [String] {
        uses.reduce(into: []) { points, use in
            guard case .mounted(let places, _) = use.kind else { return }
            points += places.filter { !points.contains($0) }
        }
    }

    /// How what is built on a device is taken down.
    private static func release(_ holder: DeviceUse.Holder) -> String {
        let name = shellWord(holder.label ?? holder.name)
        switch holder.what {
        case "LVM": return "Deactivate the volume group: 'lvs' names it, 'vgchange -an GROUP' ends it."
        case "LUKS", "dm-crypt": return "Close it: cryptsetup close \(name)."
        case "multipath": return "It is one path of a multipath device: use /dev/mapper/\(name) in its place."
        case "loop device": return "Detach it: losetup -d /dev/\(holder.name)."
        case _ where holder.what.hasPrefix("MD"): return "Stop the array: mdadm --stop /dev/\(holder.name)."
        default: return "Take /dev/\(holder.name) down: 'dmsetup info' and 'lsblk' tell what it is."
        }
    }

    // MARK: Whether it can be written

    private static func writeRefusals(_ device: Device, _ request: DeviceRequest) -> [DeviceRefusal] {
        var refusals: [DeviceRefusal] = []
        if device.isReadOnly {
            let advice =
                device.isRemovable || device.bus == .usb
                ? "Look for a write-protect switch, or choose another device."
                : "Allow writing with 'blockdev --setrw \(device.path)', or choose another device."
            refusals.append(DeviceRefusal(.readOnly, "it is read-only", advice: advice))
        }
        if device.kind == .optical {
            refusals.append(
                DeviceRefusal(
                    .cannotBeWritten, "discs are not written like disks",
                    advice: "Use a program that burns discs."))
        } else if device.isZoned {
            refusals.append(
                DeviceRefusal(
                    .cannotBeWritten, "its zones must be written in order, which a disk image does not do",
                    advice: "Choose a disk without zones."))
        } else if device.isHidden || device.kind == .memory {
            refusals.append(
                DeviceRefusal(
                    .cannotBeWritten, "it is for the kernel's own use",
                    advice: "Choose a disk that 'reimage devices' lists."))
        }
        if let place = device.place, request.isWholeDisk, !request.allowsPartition {
            refusals.append(
                DeviceRefusal(
                    .partition, "it is partition \(place.number) of \(place.disk), and the image is of a whole disk",
                    advice: "Name the disk itself, /dev/\(place.disk), or pass --allow-partition."))
        }
        if let needed = request.neededByteCount, device.byteCount > 0, device.byteCount < needed {
            let missing = needed - device.byteCount
            refusals.append(
                DeviceRefusal(
                    .tooSmall,
                    "it holds \(sizeText(device.byteCount)), \(sizeText(missing)) less than the \(sizeText(needed)) needed",
                    advice: "Choose a larger device, or make the image's contents smaller."))
        }
        return refusals
    }

    /// A size for people, and exactly.
    private static func sizeText(_ count: UInt64) -> String {
        let human = humanSize(count)
        return human == "\(count) B" ? human : "\(human) (\(count) bytes)"
    }

    // MARK: Files on it

    /// Whether the device and a file that is needed are one, or one lies on the other.
    private static func refusal(
        _ device: Device, _ file: DeviceRequest.File, _ operation: DeviceRequest.Operation
    ) -> DeviceRefusal? {
        let isRead = file.role == .source
        // Reading a file that lies on the disk that is captured harms nobody.
        if isRead && operation != .restore { return nil }
        let isBelow = file.device.map { device.foundations.contains($0) } ?? false
        let isBacking = device.backingFile != nil && device.backingFile == file.realPath
        guard file.foundations.contains(device.number) || isBelow || isBacking else { return nil }
        let relation =
            file.device == device.number
            ? "it is \(file.role.rawValue) itself"
            : isBacking
                ? "it is a loop device on \(file.role.rawValue), \(file.path)"
                : isBelow && file.device != nil
                    ? "it is a part of \(file.role.rawValue), \(file.path)"
                    : "\(file.role.rawValue), \(file.path), lies on it"
        let advice =
            file.device == device.number
            ? "Choose another device."
            : isRead ? "Copy the source to another disk first." : "Put \(file.role.rawValue) on another disk."
        return DeviceRefusal(.holdsFile, relation, advice: advice)
    }

    /// A word as a shell takes it, for commands in advice.
    private static func shellWord(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || "/._-+:@%,".utf8.contains(byte)
        }
        if isPlain && !text.isEmpty { return text }
        return "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}
