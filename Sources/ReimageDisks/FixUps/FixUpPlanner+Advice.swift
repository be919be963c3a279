internal import ReimageCore

extension FixUpPlanner {
    mutating func warnOfNewIDs() {
        warn(
            "whatever names the old ids has to be changed before the new disk starts: PARTUUID in boot loaders and "
                + "tables of mounts, the firmware's boot menu, Windows' boot configuration.")
    }

    /// Where a partition that ends before sector `end` may end when it has room up to sector `limit`: at a MiB, as all
    /// tools have it; `nil` where that would not be later.
    func grownEnd(from end: UInt64, to limit: UInt64) -> UInt64? {
        let grown = limit.roundedDown(to: (1 << 20) / target.unit)
        return grown > end ? grown : nil
    }

    /// Says that the partition that was `entry` has become larger, and how its contents follow.
    mutating func grew(_ entry: PartitionEntry, by count: UInt64) throws(ImageError) {
        add(
            .grownPartition, "partition \(entry.number) grows by \(count) bytes (\(humanSize(count)))",
            partition: entry.number)
        let path = options.targetPath ?? "/dev/DISK"
        let separator = path.last?.isNumber ?? false ? "p" : ""
        let part = "\(path)\(separator)\(entry.number)"
        let signature = try ContentProbe(store, range: entry.range).signatures().first
        plan.advice.append(Self.growth(signature?.kind, of: part))
    }

    private static func growth(_ kind: ContentSignature.Kind?, of part: String) -> String {
        switch kind {
        case .ext2, .ext3, .ext4: "Enlarge its file system: e2fsck -f \(part) && resize2fs \(part)"
        case .xfs: "Enlarge its file system: mount \(part) /mnt && xfs_growfs /mnt"
        case .btrfs: "Enlarge its file system: mount \(part) /mnt && btrfs filesystem resize max /mnt"
        case .ntfs: "Enlarge its file system: ntfsresize \(part), or 'extend' of Windows' diskpart"
        case .lvm: "Enlarge the physical volume: pvresize \(part)"
        case .luks: "Open \(part) with cryptsetup, which takes the new size, and enlarge what is in it."
        case .swap: "Make the swap area anew to use the room: mkswap -U UUID \(part), with its old UUID"
        case .fat, .exFAT: "What is in \(part) cannot be enlarged in place; make a new file system and copy the files."
        case nil: "What is in \(part) is not known; it keeps its size."
        default: "What is in \(part) keeps its size; its own tools may enlarge it."
        }
    }

    // MARK: Sectors of file systems

    /// Warns of contents that cannot be used on sectors as large as the target's.
    mutating func warnOfSectors(_ entry: PartitionEntry) throws(ImageError) {
        let type = entry.type.map { " (\($0))" } ?? ""
        try warnOfSectors(entry.range, "partition \(entry.number)\(type)")
    }

    mutating func warnOfSectors(_ range: HostRange, _ name: String) throws(ImageError) {
        guard let signature = try ContentProbe(store, range: range).signatures().first,
            let unit = try smallestUnit(signature.kind, range)
        else { return }
        let isFAT = signature.kind == .fat
        guard unit < target.sectorSize || isFAT && unit != target.sectorSize else { return }
        let next =
            isFAT
            ? "Firmware and systems may refuse it: make it anew with 'mkfs.vfat -S \(target.sectorSize)' and copy the files."
            : "Systems refuse to mount it: make it anew and copy the files."
        warn(
            "\(name) holds \(signature.kind.rawValue) in units of \(unit) bytes, and the target has sectors of "
                + "\(target.sectorSize). \(next)")
    }

    /// The least that a file system reads or writes, by its superblock.
    /// - Source: the boot sectors of FAT, NTFS and exFAT; XFS' sb_sectsize; ext's s_log_block_size.
    private func smallestUnit(_ kind: ContentSignature.Kind, _ range: HostRange) throws(ImageError) -> Int? {
        guard let head = try ProbeArea(store, range).bytes(at: 0, count: 2048) else { return nil }
        let unit: UInt64? =
            switch kind {
            case .fat, .ntfs: head.little(2, at: 11)
            case .exFAT: head.little(1, at: 108).flatMap { $0 <= 12 ? 1 << $0 : nil }
            case .xfs: head.big(2, at: 102)
            case .ext2, .ext3, .ext4: head.little(4, at: 1024 + 24).flatMap { $0 <= 6 ? 1024 << $0 : nil }
            default: nil
            }
        return unit.map { Int($0) }
    }
}
