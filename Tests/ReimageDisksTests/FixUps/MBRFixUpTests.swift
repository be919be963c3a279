import Foundation
import ReimageCore
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

@testable import ReimageDisks

/// MBR disks, and disks without a table, put onto other targets.
@Suite struct MBRFixUpTests {
    private let bench = Workbench()
    private let size = 16 << 20

    private func entries(_ bytes: [UInt8], _ sector: Int = 512) throws -> [PartitionEntry] {
        try #require(try PartitionTable.read(bytes, sectorSize: sector)).entries
    }

    @Test func sizes() throws {
        guard let image = try bench.image(MadeTable.mbr, size: size) else { return }
        #expect(try bench.plan(image, size: size).changes.isEmpty)
        let larger = try bench.plan(image, size: size + (8 << 20))
        #expect(larger.patches.isEmpty && larger.kinds == [.wipedEnd])
        let end = (2048 + 2048 + 2048 + 16384) * 512
        let smaller = try bench.plan(image, size: end)
        #expect(smaller.changes.isEmpty && smaller.contentByteCount == UInt64(end))
        let error = #expect(throws: ImageError.self) { try bench.plan(image, size: end - 1024) }
        #expect(error?.message.contains(" ends at byte \(end), 1024 bytes") == true, "\(error!)")
        var stray = image
        stray[size - 1] = 1
        #expect(throws: ImageError.self) { try bench.plan(stray, size: end) }
    }

    @Test(arguments: [(512, 4096), (4096, 512)])
    func otherSectors(_ from: Int, _ to: Int) throws {
        guard let image = try bench.image(MadeTable.mbr, size: size, sector: from) else { return }
        // An MBR does not say its sectors: they are taken from the caller where the contents tell nothing.
        let plan = try bench.plan(image, said: from, size: size, sector: to)
        #expect(plan.kinds == [.sectorSize])
        let target = try bench.restored(image, plan)
        try bench.expectWhole(target, sector: to)
        #expect(try entries(target, to) == entries(image, from))
        // There and back again.
        let back = try bench.restored(target, bench.plan(target, said: to, size: size, sector: from))
        #expect(try entries(back, from) == entries(image, from))
        guard from == 4096, let mke2fs = Program(named: "mke2fs") else { return }
        var known = image
        let place = try entries(image, 4096)[1].range
        let file = try bench.scratch.blank("ext2", size: Int(place.count))
        try #require(try mke2fs.run(["-qF", "-b", "1024", file]).status == 0)
        known.replaceSubrange(
            Int(place.start.value)..<Int(place.end.value), with: try #require(bench.scratch.read("ext2")))
        #expect(try bench.plan(known, said: 512, size: size, sector: 4096).imageSectorSize == 4096)
        // On sectors of 4096 bytes blocks of 1024 are of no use.
        let there = try bench.restored(known, bench.plan(known, said: 512, size: size, sector: 512))
        let warned = try bench.plan(there, said: 512, size: size, sector: 4096)
        #expect(warned.warnings.contains { $0.text.contains("partition 2 (Linux) holds ext2 in units of 1024 bytes") })
    }

    @Test func partitionsThatOtherSectorsCannotSay() throws {
        guard let image = try bench.image("label: dos\nstart=63, size=4096\n", size: size) else { return }
        let error = #expect(throws: ImageError.self) { try bench.plan(image, size: size, sector: 4096) }
        #expect(error?.code == .refused && error?.message.contains("partition 1 starts or ends 32256") == true)
    }

    @Test func newIDs() throws {
        guard let image = try bench.image(MadeTable.mbr, size: size) else { return }
        let plan = try bench.plan(image, size: size, FixUpOptions(newIDs: true, random: Workbench.seeded()))
        #expect(plan.kinds == [.diskID] && plan.changes.first?.message.contains("0x1234abcd") == true)
        let target = try bench.restored(image, plan)
        #expect(target[440..<444] != image[440..<444] && target[444...] == image[444...])
        #expect(target[..<440] == image[..<440])
    }

    @Test func growPrimary() throws {
        guard let image = try bench.image("label: dos\nstart=2048, size=4096\nsize=4096\n", size: size) else { return }
        let plan = try bench.plan(image, size: size, FixUpOptions(growLast: true, targetPath: "/dev/sdq"))
        #expect(plan.kinds == [.grownPartition] && plan.advice.first?.contains("/dev/sdq2 ") == true)
        let target = try bench.restored(image, plan)
        try bench.expectWhole(target)
        #expect(try entries(target).map(\.range.end.value) == [3 << 20, UInt64(size)])
    }

    @Test func growLogical() throws {
        guard let image = try bench.image(MadeTable.mbr, size: size) else { return }
        let larger = size + (16 << 20)
        let plan = try bench.plan(image, size: larger, FixUpOptions(growLast: true))
        #expect(plan.kinds == [.wipedEnd, .grownPartition] && plan.changes.first?.partition == 7)
        let target = try bench.restored(image, plan)
        try bench.expectWhole(target)
        #expect(try entries(target).last?.range.end.value == UInt64(larger))
        #expect(try entries(target).dropLast() == entries(image).dropLast())
        // Also while the sectors change.
        let other = try bench.plan(image, size: larger, sector: 4096, FixUpOptions(growLast: true))
        let converted = try bench.restored(image, other)
        try bench.expectWhole(converted, sector: 4096)
        #expect(try entries(converted, 4096).map(\.range) == entries(target).map(\.range))
    }

    @Test func noTable() throws {
        let image = PatternDisk.bytes(count: 1 << 20)
        let same = try bench.plan(image, size: 1 << 20)
        #expect(same.changes.isEmpty && same.patches.isEmpty && same.warnings.isEmpty)
        let larger = try bench.plan(image, size: 8 << 20)
        #expect(larger.kinds == [.wipedEnd] && larger.patches.isEmpty)
        let error = #expect(throws: ImageError.self) { try bench.plan(image, size: 1 << 19) }
        #expect(error?.code == .refused)
        for options in [FixUpOptions(newIDs: true), FixUpOptions(growLast: true)] {
            #expect(throws: ImageError.self) { try bench.plan(image, size: 1 << 20, options) }
        }
        #expect(throws: ImageError.self) { try bench.plan(image, said: 500, size: 1 << 20) }
        // A length that is no multiple of the target's sectors.
        let odd = Array(image.dropLast(700))
        let plan = try bench.plan(odd, size: 1 << 20)
        #expect(try bench.restored(odd, plan) == odd + [UInt8](repeating: 0, count: 700))
    }

    /// A file system in a partition is whole after the table has grown around it, and its command works.
    @Test func fileSystems() throws {
        guard let mke2fs = Program(named: "mke2fs"), let e2fsck = Program(named: "e2fsck"),
            let resize = Program(named: "resize2fs"),
            var image = try bench.image("label: gpt\nstart=2048, size=16384, name=root\n", size: 16 << 20)
        else { return }
        let file = try bench.scratch.blank("ext4", size: 8 << 20)
        try #require(try mke2fs.run(["-qF", "-t", "ext4", file]).status == 0)
        image.replaceSubrange(1 << 20..<9 << 20, with: try #require(bench.scratch.read("ext4")))
        let plan = try bench.plan(image, size: 32 << 20, FixUpOptions(growLast: true, targetPath: "/dev/sdz"))
        #expect(plan.advice == ["Enlarge its file system: e2fsck -f /dev/sdz1 && resize2fs /dev/sdz1"])
        let target = try bench.restored(image, plan)
        let part = try entries(target)[0].range
        let path = bench.scratch.write(
            Array(target[Int(part.start.value)..<Int(part.end.value)]), to: "restored")
        #expect(try e2fsck.run(["-fn", path]).status == 0)
        #expect(try e2fsck.run(["-fp", path]).status == 0)
        #expect(try resize.run([path]).status == 0)
        #expect(try e2fsck.run(["-fn", path]).status == 0)
    }
}
