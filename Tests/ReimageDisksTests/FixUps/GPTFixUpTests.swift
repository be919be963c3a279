import Foundation
import ReimageCore
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

@testable import ReimageDisks

/// GPT disks put onto targets of other sizes, held against `sgdisk -v` and `sfdisk --verify`.
@Suite struct GPTFixUpTests {
    private let bench = Workbench()
    private let size = 6 << 20
    /// Partitions up to 3 MiB.
    private let script = "label: gpt\nstart=2048, size=2048, type=U, name=ESP\nsize=2048, name=root\n"

    private func range(_ bytes: [UInt8], _ number: Int, sector: Int = 512) throws -> Range<Int> {
        let table = try #require(try PartitionTable.read(bytes, sectorSize: sector))
        let entry = try #require(table.entries.first { $0.number == number })
        return Int(entry.range.start.value)..<Int(entry.range.end.value)
    }

    /// An image whose partitions hold something.
    private func image(sector: Int = 512) throws -> [UInt8]? {
        guard var bytes = try bench.image(script, size: size, sector: sector) else { return nil }
        for number in [1, 2] {
            let part = try range(bytes, number, sector: sector)
            bytes.replaceSubrange(part, with: PatternDisk.bytes(count: part.count, seed: UInt64(number)))
        }
        return bytes
    }

    /// Expects that both partitions hold on `target` what they hold in `image`.
    private func expectSameContents(_ image: [UInt8], _ target: [UInt8], from: Int = 512, to: Int = 512) throws {
        for number in [1, 2] {
            let (old, new) = (try range(image, number, sector: from), try range(target, number, sector: to))
            #expect(image[old].elementsEqual(target[new].prefix(old.count)), "partition \(number)")
        }
    }

    @Test func sameSize() throws {
        guard let image = try image() else { return }
        let plan = try bench.plan(image, size: size)
        #expect(plan.changes.isEmpty && plan.patches.isEmpty && plan.wipes.isEmpty && plan.warnings.isEmpty)
        #expect(plan.contentRanges == [GuestRange(start: .zero, count: UInt64(size))])
        #expect(try bench.restored(image, plan) == image)
    }

    @Test func larger() throws {
        guard let image = try image() else { return }
        let plan = try bench.plan(image, size: size + (4 << 20))
        #expect(plan.kinds == [.movedBackup, .usableRange, .protectiveMBR, .erasedStale, .wipedEnd])
        let target = try bench.restored(image, plan)
        try bench.expectWhole(target)
        try expectSameContents(image, target)
        let stale = size - 33 * 512..<size
        #expect(target.isZero(stale))
        // Nothing between the content and the end is written.
        #expect(target[size..<size + (2 << 20)].allSatisfy { $0 == 0xE5 })
        #expect(target.isZero(target.count - (2 << 20)..<target.count - 33 * 512))
        // All else is as in the image.
        for change in plan.patches.map(\.range) + plan.wipes where change.end.value <= UInt64(size) {
            #expect(change.end.value <= 33 * 512 + 512 || change.start.value >= UInt64(stale.lowerBound), "\(change)")
        }
        // A few sectors more, so that old and new backup overlap.
        for more in [512, 4096, 16 * 1024, 17 * 1024] {
            let plan = try bench.plan(image, size: size + more)
            let target = try bench.restored(image, plan)
            try bench.expectWhole(target, "\(more) bytes more")
            try expectSameContents(image, target)
        }
    }

    @Test func smaller() throws {
        guard let image = try image() else { return }
        let least = 3 << 20 + 33 * 512
        for target in [4 << 20, least + 512, least] {
            let plan = try bench.plan(image, size: target)
            #expect(plan.contentByteCount == UInt64(target))
            let bytes = try bench.restored(image, plan)
            try bench.expectWhole(bytes, "\(target)")
            try expectSameContents(image, bytes)
        }
        for (target, excess) in [(least - 512, 512), (2 << 20, least - (2 << 20))] {
            let error = #expect(throws: ImageError.self) { try bench.plan(image, size: target) }
            #expect(error?.code == .refused)
            #expect(error?.message.contains("partition 2 ends at byte 3145728, \(excess) bytes") == true, "\(error!)")
            #expect(error?.advice?.contains("\(least)") == true, "\(error!)")
        }
        let error = #expect(throws: ImageError.self) { try bench.plan(image, size: 8192) }
        #expect(error?.code == .refused)
    }

    @Test func dataOutsideOfPartitions() throws {
        guard var image = try image() else { return }
        image[5 << 20 + 5] = 1
        let error = #expect(throws: ImageError.self) { try bench.plan(image, size: 4 << 20) }
        #expect(error?.code == .refused && error?.place == .guest(GuestOffset(5 << 20)))
        #expect(try bench.plan(image, size: 5 << 20 + 65536).contentByteCount == 5 << 20 + 65536)
        #expect(try bench.plan(image, size: size).changes.isEmpty)
    }

    @Test func exactCopies() throws {
        guard let image = try image() else { return }
        let plan = try bench.plan(image, size: 8 << 20, FixUpOptions(isOff: true))
        #expect(plan.changes.isEmpty && plan.patches.isEmpty && plan.wipes.isEmpty && plan.warnings.isEmpty)
        #expect(plan.contentRanges == [GuestRange(start: .zero, count: UInt64(size))])
        let error = #expect(throws: ImageError.self) {
            try bench.plan(image, size: 4 << 20, FixUpOptions(isOff: true))
        }
        #expect(error?.code == .refused && error?.message.contains("\(2 << 20) more") == true)
        let other = try bench.plan(image, size: size, sector: 4096, FixUpOptions(isOff: true))
        #expect(other.changes.isEmpty && other.warnings.count == 1)
    }

    @Test(arguments: [(512, 4096), (4096, 512)], [0, 4 << 20, -(2 << 20)])
    func otherSectors(_ sectors: (Int, Int), _ more: Int) throws {
        let (from, to) = sectors
        guard let image = try image(sector: from) else { return }
        // What images say of their sectors is mostly 512, whatever is true.
        let plan = try bench.plan(image, said: 512, size: size + more, sector: to)
        #expect(plan.imageSectorSize == from && plan.kinds.contains(.sectorSize))
        let target = try bench.restored(image, plan)
        try bench.expectWhole(target, sector: to)
        try expectSameContents(image, target, from: from, to: to)
        // Nothing of the old table is left where others would find it.
        #expect(throws: ImageError.self) { try PartitionTable.read(target, sectorSize: from) }
        let marks = stride(from: 0, to: target.count, by: 512).filter {
            target[$0..<$0 + 8].elementsEqual(GPTHeader.signature)
        }
        #expect(marks == [to, target.count - to])
    }

    @Test func partitionsThatOtherSectorsCannotSay() throws {
        let odd = "label: gpt\nstart=2048, size=2048\nstart=4100, size=2048\n"
        guard let image = try bench.image(odd, size: size) else { return }
        let error = #expect(throws: ImageError.self) { try bench.plan(image, size: size, sector: 4096) }
        #expect(error?.code == .refused && error?.message.contains("partition 2 starts at byte 2099200") == true)
        guard let early = try bench.image("label: gpt\nfirst-lba: 34\nstart=40, size=2048\n", size: size) else {
            return
        }
        let second = #expect(throws: ImageError.self) { try bench.plan(early, size: size, sector: 4096) }
        #expect(second?.message.contains("partition 1 starts at byte 20480, where the GPT has to be") == true)
    }

    @Test func newIDs() throws {
        guard let image = try image() else { return }
        let options = FixUpOptions(newIDs: true, random: Workbench.seeded())
        let plan = try bench.plan(image, size: size, options)
        #expect(plan.changes.map(\.kind) == [.diskID, .partitionID, .partitionID])
        #expect(plan.warnings.count == 1)
        let target = try bench.restored(image, plan)
        try bench.expectWhole(target)
        let (old, new) = (try #require(try PartitionTable.read(image)), try #require(try PartitionTable.read(target)))
        let ids = [old, new].flatMap { $0.entries.compactMap(\.uniqueID) + [$0.asGPT!.gpt.header.diskID.description] }
        #expect(Set(ids).count == 6)
        #expect(
            new.entries.map(\.name) == old.entries.map(\.name) && new.entries.map(\.range) == old.entries.map(\.range))
        #expect(ids[3...].allSatisfy { id in id.split(separator: "-")[2].hasPrefix("4") })
    }

    @Test func growLast() throws {
        guard let image = try image() else { return }
        let options = FixUpOptions(growLast: true, targetPath: "/dev/nvme0n1")
        let plan = try bench.plan(image, size: 10 << 20, options)
        #expect(plan.kinds.contains(.grownPartition))
        let target = try bench.restored(image, plan)
        try bench.expectWhole(target)
        #expect(try range(target, 2) == 2 << 20..<9 << 20)
        #expect(plan.advice == ["What is in /dev/nvme0n1p2 is not known; it keeps its size."])
        // Within the same size there is room behind the last partition as well.
        let same = try bench.plan(image, size: size, options)
        #expect(try range(try bench.restored(image, same), 2) == 2 << 20..<5 << 20)
        let none = try bench.plan(image, size: 4 << 20, options)
        #expect(!none.kinds.contains(.grownPartition) && none.warnings.count == 1)
    }

    @Test func hybridIsKept() throws {
        guard let image = try image(), let sgdisk = Program(named: "sgdisk") else { return }
        let path = bench.scratch.write(image, to: "hybrid")
        let made = try sgdisk.run(["-h", "2", path])
        try #require(made.status == 0, "\(made.errors)")
        let hybrid = try #require(bench.scratch.read("hybrid"))
        let plan = try bench.plan(hybrid, size: 8 << 20)
        let target = try bench.restored(hybrid, plan)
        #expect(target[..<512] == hybrid[..<512] && plan.warnings.count == 1)
        #expect(try #require(try PartitionTable.read(target)).problems.isEmpty)
        let other = try bench.plan(hybrid, size: 8 << 20, sector: 4096)
        let table = try #require(try PartitionTable.read(bench.restored(hybrid, other), sectorSize: 4096)?.asGPT)
        #expect(table.problems.isEmpty && table.mbr.isHybrid)
        #expect(table.mbr.entries.contains { $0.start == (2 << 20) / 4096 && $0.count == 256 })
    }
}
