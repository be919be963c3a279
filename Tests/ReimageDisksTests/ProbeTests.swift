import Foundation
import ReimageCore
import ReimageDisks
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

/// What the prober finds, held against what the tools that make and read file systems say.
@Suite struct ProbeTests {
    private let scratch = Scratch()

    /// A program that formats a file, and what is expected of the result.
    struct Maker: Sendable, CustomTestStringConvertible {
        let tool: String
        let arguments: [String]
        let type: String
        var label: String? = "reimage"
        var size = 64 << 20

        var testDescription: String { ([tool] + arguments).joined(separator: " ") }
    }

    static let makers: [Maker] = [
        Maker(tool: "mke2fs", arguments: ["-qF", "-t", "ext2", "-L", "reimage"], type: "ext2"),
        Maker(tool: "mke2fs", arguments: ["-qF", "-t", "ext3", "-L", "reimage"], type: "ext3"),
        Maker(
            tool: "mke2fs", arguments: ["-qF", "-t", "ext4", "-L", "sixteen bytes la"], type: "ext4",
            label: "sixteen bytes la"),
        Maker(tool: "mke2fs", arguments: ["-qF", "-t", "ext4", "-O", "^has_journal"], type: "ext4", label: nil),
        Maker(
            tool: "mkfs.vfat", arguments: ["-F", "12", "-n", "REIMAGE"], type: "vfat", label: "REIMAGE", size: 4 << 20),
        Maker(tool: "mkfs.vfat", arguments: ["-F", "16", "-n", "REIMAGE"], type: "vfat", label: "REIMAGE"),
        Maker(tool: "mkfs.vfat", arguments: ["-F", "32", "-n", "REIMAGE"], type: "vfat", label: "REIMAGE"),
        Maker(tool: "mkfs.vfat", arguments: ["-F", "32", "-S", "4096"], type: "vfat", label: nil, size: 512 << 20),
        Maker(tool: "mkswap", arguments: ["-L", "reimage"], type: "swap"),
        Maker(tool: "mkfs.xfs", arguments: ["-q", "-L", "reimage"], type: "xfs", size: 512 << 20),
        Maker(tool: "mkfs.btrfs", arguments: ["-q", "-L", "reimage"], type: "btrfs", size: 256 << 20),
        Maker(tool: "mkfs.ntfs", arguments: ["-qFf", "-L", "Größe 10"], type: "ntfs", label: "Größe 10"),
        Maker(tool: "mkfs.exfat", arguments: ["-L", "Größe"], type: "exfat", label: "Größe"),
        Maker(
            tool: "cryptsetup",
            arguments: [
                "luksFormat", "-q", "--type", "luks2", "--label", "reimage", "--pbkdf", "pbkdf2",
                "--pbkdf-force-iterations", "1000", "--key-file", "/etc/hostname",
            ], type: "crypto_LUKS"),
        Maker(
            tool: "cryptsetup",
            arguments: [
                "luksFormat", "-q", "--type", "luks1", "--pbkdf-force-iterations", "1000", "--key-file",
                "/etc/hostname",
            ], type: "crypto_LUKS", label: nil),
    ]

    /// What `blkid` finds in the file; `nil`, with the reason printed, where it is missing.
    private func blkid(_ path: String) throws -> [String: String]? {
        guard let blkid = Program(named: "blkid") else { return nil }
        let result = try blkid.run(["-p", "-o", "export", path])
        var values: [String: String] = [:]
        for line in result.text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { values[String(parts[0])] = parts[1].replacingOccurrences(of: "\\", with: "") }
        }
        return values
    }

    @Test(arguments: makers)
    func agreesWithBlkid(_ maker: Maker) throws {
        guard let program = Program(named: maker.tool) else { return }
        let path = try scratch.blank("disk", size: maker.size)
        let made = try program.run(maker.arguments + [path])
        try #require(made.status == 0, "\(made.errors)")
        let found = try ContentProbe(FileStore(path: path)).signatures()
        #expect(found.map(\.kind.rawValue) == [maker.type])
        #expect(found.first?.label == maker.label)
        guard let known = try blkid(path) else { return }
        #expect(found.first?.kind.rawValue == known["TYPE"])
        #expect(found.first?.uuid == known["UUID"])
        // blkid writes other letters than ASCII in a way of its own.
        if maker.label?.utf8.allSatisfy({ $0 < 0x80 }) ?? true { #expect(found.first?.label == known["LABEL"]) }

        // The same in the middle of a disk.
        let bytes = try FileStore(path: path).bytes(at: .zero, count: 4 << 20)
        let shifted = MemoryStore([UInt8](repeating: 0xFF, count: 1 << 20) + bytes)
        let range = HostRange(start: HostOffset(1 << 20), count: UInt64(bytes.count))
        #expect(try ContentProbe(shifted, range: range).signatures().first?.kind.rawValue == maker.type)
    }

    @Test func discs() throws {
        guard let program = Program(named: "genisoimage") else { return }
        scratch.write([1, 2, 3], to: "file")
        let path = scratch.file("disc.iso")
        let made = try program.run(["-quiet", "-V", "REIMAGE DISC", "-o", path, scratch.file("file")])
        try #require(made.status == 0, "\(made.errors)")
        let found = try #require(try ContentProbe(FileStore(path: path)).signatures().first)
        #expect(found.kind == .iso9660 && found.label == "REIMAGE DISC")
        guard let known = try blkid(path) else { return }
        #expect(found.uuid == known["UUID"])
    }

    /// Superblocks that no tool here writes without the kernel's help; blkid reads them as well.
    @Test(arguments: ["1.0", "1.1", "1.2"])
    func raidMembers(_ version: String) throws {
        var bytes = [UInt8](repeating: 0, count: 8 << 20)
        let place = ["1.0": (8 << 20) - 8192, "1.1": 0, "1.2": 4096][version] ?? 0
        bytes.withMutableBytes { span in
            span.storeLittle(UInt32(0xA92B_4EFC), at: place)
            span.storeLittle(UInt32(1), at: place + 4)
            for index in 0..<16 { span.storeLittle(UInt8(index + 1), at: place + 16 + index) }
            for (index, byte) in "host:7".utf8.enumerated() { span.storeLittle(byte, at: place + 32 + index) }
            span.storeLittle(UInt64(place / 512), at: place + 144)
        }
        let found = try ContentProbe(MemoryStore(bytes)).signatures()
        let id = "01020304-0506-0708-090a-0b0c0d0e0f10"
        #expect(found == [ContentSignature(.raid, version: version, label: "host:7", uuid: id)])
        guard let known = try blkid(scratch.write(bytes, to: "disk")) else { return }
        #expect(known["TYPE"] == "linux_raid_member" && known["UUID"] == id && known["LABEL"] == "host:7")
        #expect(known["VERSION"] == version)
    }

    @Test func oldRaidMembers() throws {
        // 64 KiB below the end, which is cut to a multiple of that.
        var bytes = [UInt8](repeating: 0, count: (2 << 20) + 512)
        let place = (2 << 20) - (64 << 10)
        bytes.withMutableBytes { span in
            span.storeLittle(UInt32(0xA92B_4EFC), at: place)
            span.storeLittle(UInt32(90), at: place + 8)
            for (index, word) in [0x0102_0304, 0x0506_0708, 0x090A_0B0C, 0x0D0E_0F10].enumerated() {
                span.storeLittle(UInt32(word), at: place + [20, 52, 56, 60][index])
            }
        }
        let id = "01020304-0506-0708-090a-0b0c0d0e0f10"
        let found = try ContentProbe(MemoryStore(bytes)).signatures()
        #expect(found == [ContentSignature(.raid, version: "0.90", uuid: id)])
        guard let known = try blkid(scratch.write(bytes, to: "disk")) else { return }
        #expect(known["TYPE"] == "linux_raid_member" && known["UUID"] == id)
    }

    @Test func physicalVolumes() throws {
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        bytes.withMutableBytes { span in
            for (index, byte) in "LABELONE".utf8.enumerated() { span.storeLittle(byte, at: 512 + index) }
            span.storeLittle(UInt64(1), at: 520)
            span.storeLittle(UInt32(32), at: 532)
            for (index, byte) in "LVM2 001".utf8.enumerated() { span.storeLittle(byte, at: 536 + index) }
            for (index, byte) in "abcdefghijklmnopqrstuvwxyz012345".utf8.enumerated() {
                span.storeLittle(byte, at: 544 + index)
            }
        }
        let found = try ContentProbe(MemoryStore(bytes)).signatures()
        #expect(found.map(\.kind) == [.lvm] && found.first?.uuid == "abcdef-ghij-klmn-opqr-stuv-wxyz-012345")
    }

    @Test func moreThanOne() throws {
        guard let program = Program(named: "mke2fs") else { return }
        let path = scratch.file("disk")
        scratch.write([UInt8](repeating: 0, count: 8 << 20), to: "disk")
        #expect(try program.run(["-qF", path]).status == 0)
        var bytes = try FileStore(path: path).bytes(at: .zero, count: 8 << 20)
        for (index, byte) in "SWAPSPACE2".utf8.enumerated() { bytes[4086 + index] = byte }
        #expect(try ContentProbe(MemoryStore(bytes)).signatures().map(\.kind) == [.ext2, .swap])
        // A boot loader in front of a file system is no FAT.
        #expect(try ContentProbe(MemoryStore([UInt8](repeating: 0, count: 1 << 20))).signatures().isEmpty)
        #expect(try ContentProbe(MemoryStore(pattern(1 << 20))).signatures().isEmpty)
        #expect(try ContentProbe(MemoryStore([])).signatures().isEmpty)
    }

    /// Every field at its extremes, and the medium cut anywhere: something else or nothing is found, and nothing traps.
    @Test(arguments: makers.filter { ["mkfs.vfat", "mkfs.ntfs", "mkfs.exfat", "mke2fs", "mkswap"].contains($0.tool) })
    func damage(_ maker: Maker) throws {
        guard let program = Program(named: maker.tool), maker.size <= 64 << 20 else { return }
        let path = try scratch.blank("disk", size: maker.size)
        try #require(try program.run(maker.arguments + [path]).status == 0)
        let sound = try FileStore(path: path).bytes(at: .zero, count: 256 << 10)
        for count in [0, 1, 511, 512, 1024, 1100, 2047, 4086, 4096, 32768, 65536, 100_000] {
            _ = try ContentProbe(MemoryStore(Array(sound.prefix(count)))).signatures()
        }
        for place in Array(0..<128) + Array(1024..<1152) + Array(16384 + 3072..<16384 + 3328) {
            for value: UInt8 in [0, 1, 0x7F, 0x80, 0xF1, 0xFF] {
                var bytes = sound
                for index in place..<place + [1, 2, 4, 8][place % 4] { bytes[index] = value }
                _ = try ContentProbe(MemoryStore(bytes)).signatures()
            }
        }
    }

    @Test func unreadable() throws {
        let store = FaultyStore(
            MemoryStore(pattern(1 << 20)), .touching(HostRange(start: HostOffset(1024), count: 512)))
        let error = #expect(throws: ImageError.self) { try ContentProbe(store).signatures() }
        #expect(error?.code == .unreadable)
    }
}
