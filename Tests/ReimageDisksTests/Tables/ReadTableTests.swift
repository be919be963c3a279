import Foundation
import ReimageCore
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

@testable import ReimageDisks

/// Tables that other programs made are read as these say.
@Suite struct ReadTableTests {
    private let scratch = Scratch()
    private let size = 64 << 20

    private func expectSame(_ table: PartitionTable, _ report: MadeTable.Report.Table) {
        let listed = table.entries
        // Containers of others are no partitions of ours.
        let known = (report.partitions ?? []).filter { !["5", "f", "85"].contains($0.type) }
        #expect(listed.count == known.count)
        for (entry, other) in zip(listed, known) {
            #expect(other.node.hasSuffix("\(entry.number)"))
            #expect(entry.range.start.value == other.start * UInt64(report.sectorsize))
            #expect(entry.range.count == other.size * UInt64(report.sectorsize))
            #expect(entry.name == other.name)
            if report.label == "gpt" {
                #expect(entry.typeID == other.type && entry.uniqueID == other.uuid)
            } else {
                #expect(UInt8(entry.typeID ?? "", radix: 16) == UInt8(other.type, radix: 16))
            }
        }
    }

    @Test(arguments: [512, 4096])
    func gpt(_ sector: Int) throws {
        guard let made = try MadeTable(MadeTable.gpt, size: size, sector: sector, in: scratch) else { return }
        let store = try FileStore(path: made.path)
        let table = try #require(try PartitionTable.read(store, sectorSize: sector))
        let report = made.report
        expectSame(table, report)
        let gpt = try #require(table.asGPT)
        #expect(gpt.problems.isEmpty && !gpt.mbr.isHybrid)
        #expect(gpt.gpt.header.diskID.description == report.id)
        #expect(gpt.gpt.header.lastUsable == report.lastlba)
        #expect(table.entries.map(\.type) == ["EFI system", "Linux file system", "Linux swap"])
        // Encoding gives the stored bytes again, of both copies.
        for copy in [try gpt.primary.get(), try gpt.backup.get()] {
            var again = copy
            again.replace(copy.partitions)
            #expect(again == copy)
            let stored = try store.bytes(at: HostOffset(copy.header.ownLBA * UInt64(sector)), count: sector)
            #expect(again.header.encoded(sectorSize: sector) == stored)
        }
        // A reader that takes the sectors for others finds no table, and does not take it for damage of an MBR.
        #expect(throws: ImageError.self) { try PartitionTable.read(store, sectorSize: sector == 512 ? 4096 : 512) }
    }

    @Test(arguments: [512, 4096])
    func mbr(_ sector: Int) throws {
        guard let made = try MadeTable(MadeTable.mbr, size: size, sector: sector, in: scratch) else { return }
        let table = try #require(try PartitionTable.read(FileStore(path: made.path), sectorSize: sector))
        expectSame(table, made.report)
        let mbr = try #require(table.asMBR)
        #expect(mbr.problems.isEmpty && mbr.links.count == 3 && mbr.mbr.diskID == 0x1234_ABCD)
        #expect(table.entries.map(\.number) == [1, 2, 5, 6, 7])
        #expect(table.entries.first?.uniqueID == "1234abcd-01" && table.entries.first?.type == "FAT32")
        for record in [mbr.mbr] + mbr.links.map(\.record) {
            var again = record
            for index in 0..<4 { again[index] = record[index] }
            again.diskID = record.diskID
            #expect(again == record)
        }
    }

    @Test func sgdiskTables() throws {
        guard let sgdisk = Program(named: "sgdisk") else { return }
        let path = try scratch.blank("sgdisk", size: size)
        // A long array, and a partition with the highest number of it.
        let made = try sgdisk.run(["-S", "256", "-n", "1:2048:+4M", "-n", "200:0:+4M", "-c", "200:last", path])
        try #require(made.status == 0, "\(made.errors)")
        let table = try #require(try PartitionTable.read(FileStore(path: path), sectorSize: 512))
        #expect(table.entries.map(\.number) == [1, 200] && table.problems.isEmpty)
        let hybrid = try sgdisk.run(["-h", "1", path])
        try #require(hybrid.status == 0, "\(hybrid.errors)")
        let gpt = try #require(try PartitionTable.read(FileStore(path: path), sectorSize: 512)?.asGPT)
        #expect(gpt.mbr.isHybrid && gpt.problems.isEmpty)
    }

    @Test func noTables() throws {
        #expect(try PartitionTable.read([UInt8](repeating: 0, count: 1 << 20))?.name == nil)
        #expect(try PartitionTable.read([])?.name == nil)
        #expect(try PartitionTable.read([UInt8](repeating: 0xFF, count: 511))?.name == nil)
        for (tool, arguments) in [
            ("mkfs.vfat", ["-F", "32"]), ("mkfs.vfat", ["-F", "16"]), ("mkfs.vfat", ["-F", "12"]),
            ("mkfs.ntfs", ["-F", "-q", "-Q"]), ("mkfs.exfat", []), ("mke2fs", ["-qF"]),
        ] {
            guard let program = Program(named: tool) else { continue }
            let path = try scratch.blank("fs", size: size)
            let made = try program.run(arguments + [path])
            try #require(made.status == 0, "\(tool): \(made.errors)")
            #expect(
                try PartitionTable.read(FileStore(path: path), sectorSize: 512)?.name == nil, "\(tool) \(arguments)")
        }
    }

    /// `devices` finds partitions that the kernel does not know.
    @Test(arguments: [512, 4096])
    func surveyOfALoopDevice(_ sector: Int) throws {
        guard let loops = LoopDevices(), let sfdisk = Program(named: "sfdisk") else { return }
        try loops.with(size: 64 << 20, sector: sector) { path in
            let script = "label: gpt\nsize=16MiB, name=first\nname=second\n"
            let made = try sfdisk.run(["-q", "--no-reread", path], input: Data(script.utf8))
            try #require(made.status == 0, "\(made.errors)")
            let device = try DeviceInventory().device(at: path)
            let survey = DeviceSurvey(device, kernel: [], tables: PartitionTableReader())
            #expect(survey.tableKind == "gpt" && survey.problems.isEmpty)
            #expect(survey.partitions.map(\.entry.name) == ["first", "second"])
            #expect(survey.partitions.map(\.entry.range.start.value).first == 1 << 20)
        }
    }
}
