import ReimageCore
import ReimageTesting
import Testing

@testable import ReimageDisks

/// The disk with a plan laid over it reads as a model says, in any pieces, and its extents do not lie.
@Suite struct PatchedDiskTests {
    private func plan(
        target: Int, content: Int, patches: [(Int, [UInt8])], wipes: [(Int, Int)], sector: Int = 512
    ) -> FixUpPlan {
        var plan = FixUpPlan(
            targetByteCount: UInt64(target), targetSectorSize: sector, contentByteCount: UInt64(content),
            imageSectorSize: 512)
        plan.patches = patches.map { FixUpPlan.Patch(start: GuestOffset(UInt64($0)), bytes: $1) }
        plan.wipes = wipes.map { GuestRange(start: GuestOffset(UInt64($0)), count: UInt64($1)) }
        return plan
    }

    @Test func random() throws {
        var random = SeededGenerator(seed: 11)
        let source = PatternDisk.bytes(count: 100_000, seed: 2)
        for _ in 0..<30 {
            let target = Int.random(in: 60_000...150_000, using: &random) / 512 * 512
            let content = min(source.count, target)
            var model = Array(source.prefix(content)) + [UInt8](repeating: 0, count: target - content)
            var wipes: [(Int, Int)] = []
            var patches: [(Int, [UInt8])] = []
            var place = 0
            while true {
                place += Int.random(in: 1...30_000, using: &random)
                let count = Int.random(in: 1...3000, using: &random)
                guard place + count <= target else { break }
                if Bool.random(using: &random) {
                    wipes.append((place, count))
                    model.replaceSubrange(place..<place + count, with: repeatElement(0, count: count))
                } else {
                    let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) | 1 }
                    patches.append((place, bytes))
                    model.replaceSubrange(place..<place + count, with: bytes)
                }
                place += count
            }
            let plan = plan(target: target, content: content, patches: patches, wipes: wipes)
            let disk = PatchedDisk(StoreDisk(source), plan)
            for piece in [1000, 65536] {
                #expect(try disk.bytes(at: .zero, count: target, piece: piece) == model)
            }
            var offset = 0
            while offset < target {
                let extent = try disk.extent(at: GuestOffset(UInt64(offset)), limit: UInt64(target - offset))
                try #require(extent.count > 0 && Int(extent.count) <= target - offset)
                let range = offset..<offset + Int(extent.count)
                if extent.kind.readsAsZero { #expect(model[range].allSatisfy { $0 == 0 }) }
                offset = range.upperBound
            }
            // What the ranges leave out holds nothing.
            let whole = GuestRange(start: .zero, count: UInt64(target))
            for range in [whole].subtracting(plan.contentRanges) {
                #expect(model[Int(range.start.value)..<Int(range.end.value)].allSatisfy { $0 == 0 })
                #expect(range.start.value % 512 == 0)
            }
        }
    }

    @Test func nothingChanged() throws {
        let source = PatternDisk.bytes(count: 10_000)
        let disk = PatchedDisk(StoreDisk(source), plan(target: 10_240, content: 10_000, patches: [], wipes: []))
        #expect(disk.contentRanges == [GuestRange(start: .zero, count: 10_240)])
        #expect(try disk.bytes(at: .zero, count: 10_240) == source + [UInt8](repeating: 0, count: 240))
        let empty = PatchedDisk(StoreDisk([]), plan(target: 0, content: 0, patches: [], wipes: []))
        #expect(empty.contentRanges.isEmpty)
    }

    @Test func ranges() {
        func range(_ start: UInt64, _ end: UInt64) -> GuestRange {
            GuestRange(from: GuestOffset(start), to: GuestOffset(end))
        }
        #expect(GuestRanges([range(5, 9), range(0, 5), range(20, 20), range(8, 12)]).ranges == [range(0, 12)])
        #expect([range(0, 100)].subtracting([range(10, 20), range(90, 200)]) == [range(0, 10), range(20, 90)])
        #expect([range(0, 10), range(20, 30)].subtracting([range(5, 25)]) == [range(0, 5), range(25, 30)])
        #expect([range(0, 10)].subtracting([range(0, 10)]).isEmpty)
    }
}
