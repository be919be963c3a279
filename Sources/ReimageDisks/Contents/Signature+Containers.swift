internal import ReimageCore

// What holds file systems, or pieces of them, rather than files.

extension ContentSignature {
    /// - Source: LUKS1 and LUKS2 on-disk formats: magic at 0, version at 6, LUKS2's label at 24, UUID text at 168.
    static func luks(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        guard let header = try area.bytes(at: 0, count: 512), header.has([0x4C, 0x55, 0x4B, 0x53, 0xBA, 0xBE], at: 0),
            let version = header.big(2, at: 6), (1...2).contains(version)
        else { return nil }
        return ContentSignature(
            .luks, version: String(version), label: version == 2 ? header.text(24, 48) : nil, uuid: header.text(168, 40)
        )
    }

    static func bitLocker(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        guard let sector = try area.bytes(at: 0, count: 512) else { return nil }
        // The GUID of a volume that looks like FAT32 or NTFS to systems without BitLocker.
        let toGo: [UInt8] = [
            0x3B, 0xD6, 0x67, 0x49, 0x29, 0x2E, 0xD8, 0x4A, 0x83, 0x99, 0xF6, 0xA3, 0x39, 0xE3, 0xD0, 0x01,
        ]
        let isToGo = sector.has("MSWIN4.1", at: 3) && (sector.has(toGo, at: 424) || sector.has(toGo, at: 160))
        return sector.has("-FVE-FS-", at: 3) || isToGo ? ContentSignature(.bitLocker) : nil
    }

    /// - Source: md(4): the superblock of version 1.1 stands at 0, 1.2 at 4 KiB, 1.0 and 0.90 near the end.
    static func raid(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        let sectors = area.byteCount / 512
        var places: [(UInt64, String)] = [(0, "1.1"), (4096, "1.2")]
        if sectors >= 16 { places.append((((sectors - 16) & ~7) * 512, "1.0")) }
        for (offset, version) in places {
            guard let block = try area.bytes(at: offset, count: 256), block.little(4, at: 0) == 0xA92B_4EFC,
                block.little(4, at: 4) == 1, block.little(8, at: 144) == offset / 512
            else { continue }
            return ContentSignature(.raid, version: version, label: block.text(32, 32), uuid: block.uuid(at: 16))
        }
        guard area.byteCount >= 1 << 17,
            let block = try area.bytes(at: area.byteCount.roundedDown(to: 1 << 16) - 1 << 16, count: 64),
            block.little(4, at: 0) == 0xA92B_4EFC, block.little(4, at: 4) == 0
        else { return nil }
        // The id lies in four words, in the byte order of the machine that made it.
        let words = [20, 52, 56, 60].compactMap { block.slice($0, 4)?.reversed() }.flatMap { Array($0) }
        return ContentSignature(.raid, version: "0.90", uuid: ProbeBytes(words).uuid(at: 0))
    }

    /// - Source: LVM2's label: in one of the first four sectors, with the place of the header in it.
    static func lvm(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        for sector: UInt64 in 0..<4 {
            guard let label = try area.bytes(at: sector * 512, count: 512), label.has("LABELONE", at: 0),
                label.little(8, at: 8) == sector, label.has("LVM2 001", at: 24), let header = label.little(4, at: 20),
                header <= 480, let id = label.text(Int(header), 32), id.utf8.count == 32
            else { continue }
            return ContentSignature(.lvm, version: "LVM2 001", uuid: dashed(id, [6, 4, 4, 4, 4, 4, 6]))
        }
        return nil
    }

    /// - Source: mkswap(8)'s header: version at 1024, UUID at 1036, label at 1052, magic at the end of the first page.
    static func swap(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        for page: UInt64 in [4096, 8192, 16384, 65536] {
            guard let end = try area.bytes(at: page - 10, count: 10) else { return nil }
            let sleeping = ["S1SUSPEND", "S2SUSPEND", "ULSUSPEND", "LINHIB0001"].contains { end.has($0, at: 0) }
            guard sleeping || end.has("SWAPSPACE2", at: 0) || end.has("SWAP-SPACE", at: 0) else { continue }
            let header = end.has("SWAP-SPACE", at: 0) ? nil : try area.bytes(at: 1024, count: 64)
            return ContentSignature(
                sleeping ? .hibernation : .swap, version: header == nil ? "0" : "1", label: header?.text(28, 16),
                uuid: header?.uuid(at: 12))
        }
        return nil
    }
}
