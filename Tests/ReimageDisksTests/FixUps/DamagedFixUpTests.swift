import ReimageCore
import ReimageTesting
import Testing

@testable import ReimageDisks

/// Images whose table is damaged: repaired where one copy is left, else copied as it is or refused.
@Suite struct DamagedFixUpTests {
    private let bench = Workbench()
    private let size = 5 << 20

    private func image() throws -> [UInt8]? {
        try bench.image("label: gpt\nstart=2048, size=2048, name=one\nsize=2048, name=two\n", size: size)
    }

    private func damaged(_ image: [UInt8], at places: Int...) -> [UInt8] {
        places.reduce(image) { Damage.flip(bit: 2, at: $1).applied(to: $0) }
    }

    @Test func oneCopyIsLeft() throws {
        guard let image = try image() else { return }
        let last = size - 512
        for (kind, places) in [
            (FixUp.Kind.repairedPrimary, [512, 512 + 16, 512 + 60, 1024 + 33, 1024 + 127 * 128]),
            (.repairedBackup, [last, last + 16, last + 60, last - 16 * 1024 + 33, last - 1]),
        ] {
            for place in places {
                let bytes = damaged(image, at: place)
                let same = try bench.plan(bytes, size: size)
                #expect(same.kinds == [kind] && same.warnings.count == 1, "\(place): \(same.changes)")
                #expect(try bench.restored(bytes, same) == image, "\(place)")
                for (target, sector) in [(size + (1 << 20), 512), (4 << 20, 512), (size, 4096)] {
                    let plan = try bench.plan(bytes, size: target, sector: sector)
                    let good = try bench.plan(image, size: target, sector: sector)
                    #expect(
                        try bench.restored(bytes, plan) == bench.restored(image, good), "\(place) \(target) \(sector)")
                }
            }
        }
    }

    @Test func copiesThatDiffer() throws {
        guard let image = try image() else { return }
        // The backup of another disk: whole in itself.
        let other = try #require(try self.image())
        let mixed = Array(image[..<(size - 33 * 512)]) + other[(size - 33 * 512)...]
        let plan = try bench.plan(mixed, size: size)
        #expect(plan.kinds == [.repairedBackup] && plan.warnings.count == 1)
        #expect(try bench.restored(mixed, plan) == image)
    }

    @Test func noCopyIsLeft() throws {
        guard let image = try image() else { return }
        let bytes = damaged(image, at: 512, size - 512)
        let same = try bench.plan(bytes, size: size)
        #expect(same.changes.isEmpty && same.warnings.count == 1)
        #expect(try bench.restored(bytes, same) == bytes)
        #expect(try bench.plan(bytes, size: size + (4 << 20)).kinds == [.wipedEnd])
        for (target, sector, options) in [
            (4 << 20, 512, FixUpOptions()), (size, 4096, FixUpOptions()), (size, 512, FixUpOptions(newIDs: true)),
            (size, 512, FixUpOptions(growLast: true)),
        ] {
            let error = #expect(throws: ImageError.self) {
                try bench.plan(bytes, size: target, sector: sector, options)
            }
            #expect(error?.code == .damaged && error?.advice?.contains("--fixups none") == true)
        }
    }

    /// An image that was cut: its backup is gone, and what stands at its end is no table.
    @Test func cutImages() throws {
        guard var image = try image() else { return }
        image.removeLast(1 << 20)
        let plan = try bench.plan(image, size: image.count)
        #expect(plan.kinds == [.repairedBackup, .usableRange, .protectiveMBR])
        try bench.expectWhole(try bench.restored(image, plan))
        image[image.count - 600] = 7
        let error = #expect(throws: ImageError.self) { try bench.plan(image, size: image.count) }
        #expect(error?.code == .refused && error?.message.contains("where the backup GPT belongs") == true)
        // On a larger target nothing is in the way, and that byte stays.
        let larger = try bench.restored(image, bench.plan(image, size: size))
        try bench.expectWhole(larger)
        #expect(larger[image.count - 600] == 7)
    }

    /// An image that was copied to a larger disk as it was: the backup stands in the middle.
    @Test func backupInTheMiddle() throws {
        guard let image = try image() else { return }
        let bytes = image + [UInt8](repeating: 0, count: 2 << 20)
        let plan = try bench.plan(bytes, size: bytes.count)
        #expect(plan.kinds == [.movedBackup, .usableRange, .protectiveMBR, .erasedStale])
        let target = try bench.restored(bytes, plan)
        try bench.expectWhole(target)
        #expect(try bench.plan(target, size: target.count).changes.isEmpty)
    }

    /// A partition that lies over the backup's place.
    @Test func contradictions() throws {
        guard let image = try image() else { return }
        var gpt = try #require(try PartitionTable.read(image)?.asGPT).gpt
        var part = try #require(gpt.partitions.last)
        part.entry.lastLBA = UInt64(size / 512 - 10)
        gpt.replace([part])
        var bytes = image
        bytes.replaceSubrange(1024..<1024 + gpt.array.count, with: gpt.array)
        bytes.replaceSubrange(512..<1024, with: gpt.header.encoded(sectorSize: 512))
        let same = try bench.plan(bytes, size: size)
        #expect(same.changes.isEmpty && !same.warnings.isEmpty)
        #expect(throws: ImageError.self) { try bench.plan(bytes, size: size, FixUpOptions(growLast: true)) }
        // Nothing inside a partition is erased, though the old backup lies there.
        let larger = try bench.restored(bytes, bench.plan(bytes, size: size + (4 << 20)))
        #expect(
            larger[(size - 9 * 512 - 512 * 20)..<(size - 9 * 512)]
                == bytes[(size - 9 * 512 - 512 * 20)..<(size - 9 * 512)])
        part.entry.firstLBA = .max
        part.entry.lastLBA = 5
        gpt.replace([part])
        bytes.replaceSubrange(1024..<1024 + gpt.array.count, with: gpt.array)
        bytes.replaceSubrange(512..<1024, with: gpt.header.encoded(sectorSize: 512))
        #expect(try bench.plan(bytes, size: size + (4 << 20)).kinds.contains(.movedBackup))
        let error = #expect(throws: ImageError.self) { try bench.plan(bytes, size: 4 << 20) }
        #expect(error?.code == .damaged && error?.message.contains("partition 2") == true)
    }

    /// Every bit of a disk's first 2 KiB and of its backup header: a plan or an error, never a trap.
    @Test func flippedBits() throws {
        guard let image = try image() else { return }
        var random = SeededGenerator(seed: 3)
        for _ in 0..<200 {
            let place = Int(random.next() % 2560)
            let bytes = damaged(image, at: place < 2048 ? place : size - 2560 + place)
            for (target, sector) in [(size + (1 << 20), 512), (4 << 20, 512), (size, 4096)] {
                do {
                    let plan = try bench.plan(bytes, size: target, sector: sector, FixUpOptions(growLast: true))
                    #expect(plan.patches.allSatisfy { $0.range.end.value <= UInt64(target) })
                } catch {
                    #expect([.damaged, .refused].contains(error.code))
                }
            }
        }
    }
}
