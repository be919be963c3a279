import ReimageCore
import ReimageTesting
import Synchronization
import Testing

@testable import QCOW2Format

/// Memory stays bounded, and walking tables stays quick, whatever the image.
@Suite struct CacheTests {
    /// 4,000 L2 tables of 512 bytes that all map something.
    private func manyTables() -> ImageBuilder {
        var image = ImageBuilder(size: 4000 * 32768)
        let place = image.append(pattern(1, 512))
        for table in 0..<4000 { image.map(UInt64(table * 64 + table % 64), place) }
        return image
    }

    @Test func cacheIsBoundedAndKeepsTheNewest() throws {
        let store = CountingStore(manyTables().finished())
        let cache = TableCache(store, mostBytes: 64 << 10)
        for place in stride(from: 0, to: 1 << 20, by: 512) {
            _ = try cache.page(at: HostOffset(UInt64(place)), count: 512)
            #expect(cache.byteCount <= 64 << 10)
        }
        let before = store.reads.load(ordering: .relaxed)
        for _ in 0..<10 { _ = try cache.page(at: HostOffset((1 << 20) - 512), count: 512) }
        #expect(store.reads.load(ordering: .relaxed) == before)
        _ = try cache.page(at: .zero, count: 512)
        #expect(store.reads.load(ordering: .relaxed) == before + 1)
    }

    @Test func pageInUseOutlivesOlderOnes() throws {
        let store = CountingStore([UInt8](repeating: 1, count: 1 << 20))
        let cache = TableCache(store, mostBytes: 16 << 10)
        for place in stride(from: 512, to: 1 << 20, by: 512) {
            _ = try cache.page(at: .zero, count: 512)
            _ = try cache.page(at: HostOffset(UInt64(place)), count: 512)
        }
        #expect(store.reads.load(ordering: .relaxed) == 2048)
    }

    @Test func pagesOfOneValueSaySo() throws {
        let ones = MemoryStore([UInt8](repeating: 0xFF, count: 64) + [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 0])
        let cache = TableCache(ones)
        for (place, count, uniform) in [
            (0, 64, .max), (4, 60, .max), (8, 8, .max), (0, 4, nil), (0, 68, nil), (64, 12, 0x0102_0304_0102_0304),
            (64, 13, nil), (63, 12, nil),
        ] as [(UInt64, Int, UInt64?)] {
            let page = try cache.page(at: HostOffset(place), count: count)
            #expect(page.uniform == uniform, "\(count) bytes at \(place)")
            #expect(page.byteCount == count)
        }
    }

    @Test func cacheIsSafeFromManyThreads() async throws {
        let cache = TableCache(MemoryStore([UInt8](repeating: 1, count: 1 << 20)), mostBytes: 16 << 10)
        await withTaskGroup(of: Void.self) { group in
            for seed in 0..<4 {
                group.addTask {
                    for index in 0..<2000 {
                        let place = UInt64((index * 37 + seed * 11) % 2048 * 512)
                        #expect((try? cache.page(at: HostOffset(place), count: 512))?.place.value == place)
                    }
                }
            }
        }
        #expect(cache.byteCount <= 16 << 10)
    }

    @Test func thousandsOfTablesAreRead() throws {
        let image = manyTables()
        let disk = try device(try open(image.finished()))
        let data = try extents(disk).filter { $0.kind == .data }
        #expect(data.count == 4000)
        let cursor = try disk.makeCursor()
        for table in stride(from: 0, to: 4000, by: 7) {
            let start = UInt64(table * 64 + table % 64) * 512
            #expect(try read(cursor, start..<start + 512) == pattern(1, 512))
        }
    }

    @Test func hugeEmptyDiskIsWalkedAtOnce() throws {
        let disk = try device(try open(ImageBuilder(clusterBits: 16, size: 64 << 40).finished()))
        let start = ContinuousClock.now
        #expect(try extents(disk) == [Extent(.hole, count: 64 << 40)])
        // 100 ms is the budget of a release build.
        #expect(ContinuousClock.now - start < .milliseconds(500))
    }

    @Test func manyEntriesOfOneTableDoNotHang() throws {
        // Every L1 entry of a 2 TiB disk points to one L2 table, which is empty, all zero, or of mixed entries.
        for entry in [0, 1, nil] as [UInt64?] {
            var image = ImageBuilder(clusterBits: 12, size: 2 << 40)
            for index in 0..<512 { image.map(UInt64(index), entry ?? UInt64(index % 2)) }
            let table = image.tables[0] ?? 0
            for index in 0..<image.l1Count { image.put(table, at: image.l1Offset + index * 8) }
            let disk = try device(try open(image.finished()))
            let start = ContinuousClock.now
            var position: UInt64 = 0
            for _ in 0..<1000 where position < disk.byteCount {
                position += try disk.extent(at: GuestOffset(position), limit: .max).count
            }
            #expect(ContinuousClock.now - start < .seconds(5))
            if entry != nil { #expect(position == disk.byteCount) }
        }
    }

    @Test func tableOfTwoMebibytesIsPaged() throws {
        var image = ImageBuilder(clusterBits: 21, size: 512 << 30)
        image.data(200_000, pattern(4, 2 << 20))
        image.map(200_001, 1)
        let store = CountingStore(image.finished())
        let disk = try device(try openStore(store))
        let kinds = try extents(disk)
        #expect(kinds.map(\.kind) == [.hole, .data, .zero, .hole])
        #expect(kinds[0].count == 200_000 << 21)
        let start: UInt64 = 200_000 << 21
        #expect(try read(disk, start + 5..<start + 1000) == Array(pattern(4, 1000)[5...]))
    }
}
