internal import ReimageCore

// The file systems of Linux, and of discs.

extension ContentSignature {
    /// Features that ext3 knows; any other makes an ext4.
    private static let ext3Incompatible: UInt64 = 0x2 | 0x4 | 0x10
    private static let ext3ReadOnly: UInt64 = 0x1 | 0x2 | 0x4

    /// - Source: ext4's superblock at byte 1024.
    static func ext(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        guard let block = try area.bytes(at: 1024, count: 1024), block.little(2, at: 56) == 0xEF53,
            let blockSize = block.little(4, at: 24), blockSize <= 6, let compatible = block.little(4, at: 92),
            let incompatible = block.little(4, at: 96), let readOnly = block.little(4, at: 100)
        else { return nil }
        let isJournal = incompatible & 0x8 != 0
        let isExt4 = incompatible & ~ext3Incompatible != 0 || readOnly & ~ext3ReadOnly != 0
        let kind: Kind = isJournal ? .journal : isExt4 ? .ext4 : compatible & 0x4 != 0 ? .ext3 : .ext2
        return ContentSignature(kind, label: block.text(120, 16), uuid: block.uuid(at: 104))
    }

    /// - Source: XFS's superblock at byte 0, big-endian.
    static func xfs(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        guard let block = try area.bytes(at: 0, count: 256), block.has("XFSB", at: 0),
            let size = block.big(4, at: 4), size.isPower(in: 512...65536), let sector = block.big(2, at: 102),
            sector.isPower(in: 512...32768)
        else { return nil }
        return ContentSignature(.xfs, label: block.text(108, 12), uuid: block.uuid(at: 32))
    }

    /// - Source: btrfs's superblock at 64 KiB; its own address at 48 tells it from a copy.
    static func btrfs(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        let place: UInt64 = 64 << 10
        guard let block = try area.bytes(at: place, count: 4096), block.has("_BHRfS_M", at: 64),
            block.little(8, at: 48) == place
        else { return nil }
        return ContentSignature(.btrfs, label: block.text(0x12B, 256), uuid: block.uuid(at: 32))
    }

    /// - Source: ECMA-119, 8.4: the primary volume descriptor in sector 16; 8.4.26.1 for its times.
    static func iso9660(_ area: ProbeArea) throws(ImageError) -> ContentSignature? {
        guard let block = try area.bytes(at: 32768, count: 2048), block.has("CD001", at: 1),
            block.bytes[0] == 1
        else { return nil }
        // The disc's id is the time it was last changed, or else made.
        let time = [830, 813].compactMap { block.text($0, 16) }.first { text in
            text.utf8.count == 16 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
                && text.utf8.contains { $0 != 0x30 }
        }
        return ContentSignature(
            .iso9660, label: block.text(40, 32), uuid: time.map { dashed($0, [4, 2, 2, 2, 2, 2, 2]) })
    }
}
