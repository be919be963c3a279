import ReimageCore
import Testing

/// Extents asked for in pieces, from anywhere, and by many threads say the same as one walk.
@Suite struct ExtentTests {
    /// What one walk says of every 512 bytes.
    private func kinds(_ extents: [Extent]) -> [Extent.Kind] {
        extents.flatMap { [Extent.Kind](repeating: $0.kind, count: Int($0.count / 512)) }
    }

    @Test(arguments: DamageTests.Sample.all) func piecesAgreeWithTheWhole(sample: DamageTests.Sample) throws {
        let disk = try device(try open(sample.bytes, sample.resolver, snapshot: sample.snapshot))
        let whole = kinds(try extents(disk))
        let right = try read(disk)
        for (index, kind) in whole.enumerated() where kind != .data {
            #expect(right[index * 512..<index * 512 + 512].allSatisfy { $0 == 0 })
        }
        var seed: UInt64 = 42
        for _ in 0..<500 {
            seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let start = (seed >> 33) % disk.byteCount
            let limit = (seed >> 20) % 9000 + 1
            let extent = try disk.extent(
                at: GuestOffset(start), limit: limit, layers: .flattened, detail: .tables)
            #expect(extent.count >= 1 && extent.count <= min(limit, disk.byteCount - start))
            for at in stride(from: start, to: start + extent.count, by: 512) {
                #expect(whole[Int(at / 512)] == extent.kind, "\(sample.name) at \(at)")
            }
            guard let stored = extent.stored, stored.codec == nil else { continue }
            #expect(stored.count == extent.count)
            let store = try #require(disk.stores.first { $0.id == stored.store })
            let bytes = try store.bytes(at: stored.offset, count: Int(stored.count))
            #expect(bytes == Array(right[Int(start)..<Int(start + extent.count)]))
        }
    }

    @Test(arguments: DamageTests.Sample.all) func manyThreadsReadTheSame(sample: DamageTests.Sample) async throws {
        let disk = try device(try open(sample.bytes, sample.resolver, snapshot: sample.snapshot))
        let right = try read(disk)
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<4 {
                group.addTask {
                    guard let cursor = try? disk.makeCursor() else {
                        Issue.record("no cursor")
                        return
                    }
                    for step in 0..<200 {
                        let start = (step * 977 + thread * 5003) % right.count
                        let end = min(start + 1 + step * 13 % 6000, right.count)
                        let got = try? read(cursor, UInt64(start)..<UInt64(end))
                        #expect(got == Array(right[start..<end]))
                        _ = try? disk.extent(at: GuestOffset(UInt64(start)), limit: 4096)
                    }
                }
            }
        }
    }
}
