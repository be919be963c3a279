internal import ReimageCore

// The file systems of Windows, and of what is carried between systems.

extension ContentSignature {
    /// - Source: the NTFS boot sector; the label stands in record 3 of the master file table, `$Volume`.
    static func ntfs(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        guard let boot = try area.bytes(at: 0, count: 512), boot.has("NTFS    ", at: 3),
            let sector = boot.little(2, at: 11), sector.isPower(in: 256...4096), let unit = boot.little(1, at: 13),
            let table = boot.little(8, at: 48), let serial = boot.slice(72, 8)
        else { return nil }
        // More than 128 sectors a cluster are written as the negative power of two.
        let perCluster = unit <= 0x80 ? unit : unit >= 0xE1 ? 1 << (256 - unit) : 0
        guard perCluster > 0, perCluster & (perCluster - 1) == 0 else { return nil }
        let label = try ntfsLabel(area, boot, cluster: perCluster * sector, table: table)
        return ContentSignature(.ntfs, label: label, uuid: hex(serial.reversed()).uppercased())
    }

    private static func ntfsLabel(
        _ area: ProbeArea, _ boot: ProbeBytes, cluster: UInt64, table: UInt64
    ) throws(ImageError) -> String? {
        let code = Int8(bitPattern: boot.bytes[64])
        let size = code > 0 ? UInt64(code) * cluster : code >= -16 ? 1 << UInt64(-Int(code)) : 0
        let (start, overflow) = table.multipliedReportingOverflow(by: cluster)
        guard size.isPower(in: 512...65536), !overflow, start <= area.byteCount,
            var bytes = try area.bytes(at: start + 3 * size, count: Int(size))?.bytes
        else { return nil }
        let raw = ProbeBytes(bytes)
        guard raw.has("FILE", at: 0), let fixup = raw.little(2, at: 4), let count = raw.little(2, at: 6),
            count == size / 512 + 1, let mark = raw.slice(Int(fixup), 2)
        else { return nil }
        // The last two bytes of every 512 are kept elsewhere, and a mark stands in their place.
        for index in 1..<Int(count) {
            let place = index * 512 - 2
            guard raw.slice(place, 2)?.elementsEqual(mark) ?? false, let kept = raw.slice(Int(fixup) + 2 * index, 2)
            else { return nil }
            bytes.replaceSubrange(place..<place + 2, with: kept)
        }
        return volumeName(ProbeBytes(bytes))
    }

    /// The value of the attribute 60h of a file record.
    private static func volumeName(_ record: ProbeBytes) -> String? {
        guard var place = record.little(2, at: 20).map({ Int($0) }) else { return nil }
        while let type = record.little(4, at: place), type != 0xFFFF_FFFF, type <= 0x60,
            let length = record.little(4, at: place + 4), length >= 24
        {
            if type == 0x60 {
                guard record.little(1, at: place + 8) == 0, let size = record.little(4, at: place + 16),
                    let offset = record.little(2, at: place + 20)
                else { return nil }
                return record.wideText(place + Int(offset), units: Int(size / 2))
            }
            place += Int(length)
        }
        return nil
    }

    /// - Source: the exFAT specification, 3.1 (boot sector) and 7.3 (volume label).
    static func exFAT(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        guard let boot = try area.bytes(at: 0, count: 512), boot.has("EXFAT   ", at: 3),
            boot.has([0x55, 0xAA], at: 510), let serial = boot.slice(100, 4), let sectorShift = boot.little(1, at: 108),
            (9...12).contains(sectorShift), let clusterShift = boot.little(1, at: 109),
            sectorShift + clusterShift <= 25,
            let heap = boot.little(4, at: 88), let root = boot.little(4, at: 96), root >= 2
        else { return nil }
        let cluster = sectorShift + clusterShift
        let folder = try area.bytes(
            at: heap << sectorShift + (root - 2) << cluster, count: min(1 << Int(cluster), 1 << 16))
        // One entry is 32 bytes; the label's has the type 83h, its length and at most 11 units.
        let entry = folder.flatMap { folder in
            stride(from: 0, to: folder.bytes.count, by: 32).lazy
                .prefix { folder.bytes[$0] != 0 }.first { folder.bytes[$0] == 0x83 }
        }
        let label = entry.flatMap { entry in
            folder?.little(1, at: entry + 1).flatMap { folder?.wideText(entry + 2, units: min(Int($0), 11)) }
        }
        return ContentSignature(.exFAT, label: label, uuid: fatSerial(serial))
    }

    /// - Source: Microsoft's FAT specification 1.03; the boot sector, and the volume's entry in the root folder.
    static func fat(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        guard let boot = try area.bytes(at: 0, count: 512), boot.has([0x55, 0xAA], at: 510),
            let sector = boot.little(2, at: 11), sector.isPower(in: 512...4096),
            let perCluster = boot.little(1, at: 13), perCluster.isPower(in: 1...128),
            let reserved = boot.little(2, at: 14), reserved > 0, let copies = boot.little(1, at: 16),
            (1...4).contains(copies), let rootEntries = boot.little(2, at: 17), let small = boot.little(2, at: 19),
            let media = boot.little(1, at: 21), media == 0xF0 || media >= 0xF8, let tableSmall = boot.little(2, at: 22),
            let large = boot.little(4, at: 32), small != 0 || large != 0, let tableLarge = boot.little(4, at: 36)
        else { return nil }
        let isFAT32 = tableSmall == 0
        let tables = copies * (isFAT32 ? tableLarge : tableSmall)
        let root = (rootEntries * 32).dividedRoundingUp(by: sector)
        let total = small != 0 ? small : large
        guard tables > 0, isFAT32 == (rootEntries == 0), reserved + tables + root < total else { return nil }
        let clusters = (total - reserved - tables - root) / perCluster
        let folder: ProbeBytes?
        if isFAT32 {
            let first = max(boot.little(4, at: 44) ?? 2, 2)
            folder = try area.bytes(
                at: (reserved + tables + (first - 2) * perCluster) * sector,
                count: Int(min(perCluster * sector, 1 << 16)))
        } else {
            folder = try area.bytes(at: (reserved + tables) * sector, count: Int(min(rootEntries * 32, 1 << 16)))
        }
        // The extended part of the boot sector stands behind the larger fields of FAT32.
        let extended = isFAT32 ? 64 : 36
        let isExtended = [0x28, 0x29].contains(boot.little(1, at: extended + 2))
        let inBoot = boot.text(extended + 7, 11).flatMap { $0 == "NO NAME" ? nil : $0 }
        return ContentSignature(
            .fat, version: isFAT32 ? "FAT32" : clusters < 4085 ? "FAT12" : "FAT16",
            label: folder.flatMap(fatLabel) ?? (isExtended ? inBoot : nil),
            uuid: isExtended ? boot.slice(extended + 3, 4).map(fatSerial) : nil)
    }

    /// The name in the volume's entry of a root folder.
    private static func fatLabel(_ folder: ProbeBytes) -> String? {
        for entry in stride(from: 0, to: folder.bytes.count, by: 32) {
            guard let attributes = folder.little(1, at: entry + 11), folder.bytes[entry] != 0 else { return nil }
            // The volume's entry alone has the label bit and no other that counts; long names have four.
            guard folder.bytes[entry] != 0xE5, attributes & 0x1F == 0x08 else { continue }
            return folder.text(entry, 11)
        }
        return nil
    }

    /// A serial number as FAT volumes show it: `1A2B-3C4D`.
    private static func fatSerial(_ bytes: some BidirectionalCollection<UInt8>) -> String {
        dashed(hex(bytes.reversed()).uppercased(), [4, 4])
    }
}
