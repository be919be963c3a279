@testable import QCOW2Format
import ReimageCore
import ReimageTesting
import Testing

/// What `check` says of images made by hand.
@Suite struct CheckTests {
    private static func sound(clusterBits: Int = 9, extended: Bool = false) -> ImageBuilder {
        var image = ImageBuilder(clusterBits: clusterBits, size: UInt64(8 << clusterBits), extended: extended)
        for cluster in 0..<3 { image.data(UInt64(cluster), pattern(cluster, image.clusterSize)) }
        return image
    }

    @Test func aSoundImageIsClean() throws {
        let (summary, findings) = try check(Self.sound().finished())
        #expect(summary.isClean && findings.isEmpty)
        #expect(summary.totalClusters == 8 && summary.allocatedClusters == 3 && summary.fragmentedClusters == 0)
        #expect(summary.imageEndOffset.value == 8 * 512)
    }

    /// One fault in one entry, and the words that tell of it.
    static let faults: [(name: String, words: String, change: @Sendable (inout ImageBuilder) -> Void)] = [
        ("reserved", "reserved bits", { $0.map(5, 1 << 57) }),
        (
            "zero in version 2", "version 2",
            { image in
                image.version = 2
                image.map(5, 1)
            }
        ),
        ("past the end", "past the end", { $0.map(5, 1 << 30) }),
        ("COPIED", "COPIED is clear, but the refcount is 1", { $0.map(0, $0.plain[0] ?? 0) }),
        (
            "COPIED on compressed data", "COPIED is set on a compressed cluster",
            { image in
                let place = image.append(Stream.deflate(9, count: 512))
                image.map(5, image.compressedEntry(place, 20) | 1 << 63)
            }
        ),
        ("compressed in the header", "header", { $0.map(5, 1 << 62 | 8) }),
        ("L1 reserved", "reserved bits", { $0.put((($0.tables[0] ?? 0) | 1 << 63 | 1 << 58), at: $0.l1Offset) }),
        ("dirty", "dirty bit", { $0.incompatible |= 1 }),
        ("corrupt", "corrupt bit", { $0.incompatible |= 2 }),
    ]

    @Test(arguments: 0..<faults.count) func everyFaultIsNamed(index: Int) throws {
        let fault = Self.faults[index]
        var image = Self.sound()
        fault.change(&image)
        let (summary, findings) = try check(image.finished())
        let named = findings.filter { $0.message.contains(fault.words) }
        #expect(named.count == 1, "\(fault.name): \(findings)")
        #expect(named.first?.place != nil)
        #expect(summary.isClean == (named.first?.kind == .remark))
    }

    @Test(arguments: [
        (UInt64(1) << 32 | 1, "both stored and zero"), (UInt64(1), "no host offset"),
    ])
    func faultsOfSubclustersAreNamed(bitmap: UInt64, words: String) throws {
        var image = Self.sound(clusterBits: 14, extended: true)
        if bitmap == 1 { image.map(5, 0, bitmap: bitmap) } else { image.data(5, pattern(5, 16384), bitmap: bitmap) }
        let (summary, findings) = try check(image.finished())
        #expect(summary.corruptions == 1)
        #expect(findings.first?.message.contains(words) == true)
        #expect(findings.first?.guest == GuestRange(start: GuestOffset(5 << 14), count: 16384))
    }

    @Test func sharedDataIsSoundWhereItIsCounted() throws {
        var image = Self.sound()
        let place = image.plain[0] ?? 0
        image.map(0, place)
        image.map(6, place)
        var bytes = image.finished()
        setRefcount(2, ofClusterAt: Int(place), &bytes)
        #expect(try check(bytes).summary.isClean)
    }

    @Test func anOverlapIsCorruptionEvenWhereRefcountsAgree() throws {
        var image = Self.sound()
        let table = image.tables[0] ?? 0
        image.map(6, table)
        image.put(table, at: image.l1Offset)
        var bytes = image.finished()
        setRefcount(2, ofClusterAt: Int(table), &bytes)
        let (summary, findings) = try check(bytes)
        #expect(summary.corruptions == 1 && summary.leaks == 0)
        #expect(
            findings.map(\.message) == [
                "the cluster at \(table) is used as an L2 table and as data, which must not share it"
            ])
    }

    @Test func theDataFileIsNotCounted() throws {
        var image = ImageBuilder(size: 4096)
        image.incompatible = 4
        image.extensions = [(0x4441_5441, Array("data".utf8))]
        image.map(0, 1 << 63)
        image.map(1, 1 << 63 | 512)
        #expect(try check(image.finished()).summary.isClean)
        image.map(2, 1 << 63 | 512)
        let (summary, findings) = try check(image.finished())
        #expect(summary.corruptions == 1)
        #expect(findings.first?.message.contains("data file") == true)
    }

    /// Memory for counts is bounded by walking more often; the outcome is the same.
    @Test func fewPagesOfCountsGiveTheSameFindings() throws {
        var image = ImageBuilder(clusterBits: 9, size: 4 << 20, l1Count: 128)
        var random = SeededGenerator(seed: 4)
        for cluster in 0..<3000 {
            image.data(UInt64(cluster * 2), pattern(cluster, 512))
            if cluster % 500 == 0 { image.map(UInt64(cluster * 2 + 1), image.plain[random.next() % 100 * 2] ?? 0) }
        }
        let bytes = image.finished()
        let whole = try check(bytes)
        #expect(whole.summary.corruptions > 3000)
        for pages in [1, 2, 3] {
            let few = try check(bytes, mostPages: pages)
            #expect(few.summary == whole.summary)
            #expect(Set(few.findings) == Set(whole.findings))
        }
    }

    /// A file of 2^50 bytes with a table at either end.
    @Test func aHugeSparseFileTakesNoLongerThanItsReferences() throws {
        var image = Self.sound(clusterBits: 16)
        let far = (UInt64(1) << 50) - (1 << 16)
        image.map(6, far | 1 << 63)
        let store = SparseStore(image.finished(), byteCount: far + (1 << 16))
        let started = ContinuousClock.now
        let log = FindingLog { _ in }
        var checker = try Checker(store, log: log)
        try checker.run()
        #expect(log.summary.corruptions == 2)
        #expect(log.summary.imageEndOffset.value == far + (1 << 16))
        #expect(ContinuousClock.now - started < .seconds(5))
    }

    /// One L2 table behind every entry of a long L1 table is not walked for each.
    @Test func aTableReachedManyTimesIsWalkedFewTimes() throws {
        var image = ImageBuilder(clusterBits: 16, size: 1 << 20, l1Count: 1 << 16)
        for cluster in 0..<16 { image.map(UInt64(cluster), 0) }
        let table = image.tables[0] ?? 0
        for entry in 0..<8192 { image.put(UInt64(1 << 40), at: Int(table) + entry * 8) }
        for entry in 0..<1 << 16 { image.put(table, at: image.l1Offset + entry * 8) }
        var bytes = image.finished()
        setRefcount(2, ofClusterAt: Int(table), bits: 16, &bytes)
        let started = ContinuousClock.now
        let summary = try check(bytes).summary
        // 8192 entries a walk, a walk for 8192 entries of the L1 table, and the table's refcount.
        #expect(summary.corruptions == 8192 * 8 + 1)
        #expect(ContinuousClock.now - started < .seconds(30))
    }

    @Test func whatCannotBeOpenedIsNotChecked() throws {
        expectError(.damaged, "magic") { _ = try check([UInt8](repeating: 0, count: 4096)) }
        var bytes = Self.sound().finished()
        bytes.removeLast(bytes.count - 1500)
        expectError(.damaged, "L1 table") { _ = try check(bytes) }
    }

    /// Every field of the damage tests, broken in every way: no trap, and no endless walk.
    @Test(arguments: DamageTests.Sample.all) func noFieldStopsACheck(sample: DamageTests.Sample) throws {
        var random = SeededGenerator(seed: 11)
        for field in sample.fields {
            let old = DamageTests.value(sample.bytes, field)
            let mask: UInt64 = field.width == 8 ? .max : (1 << UInt64(field.width * 8)) - 1
            for value in [0, 1, mask, mask >> 1, old &+ 1 & mask, old ^ 0x8000 & mask, random.next() & mask] {
                var bytes = sample.bytes
                DamageTests.put(value, field, &bytes)
                do throws(ImageError) {
                    let before = try check(bytes).summary
                    let store = MemoryStore(bytes)
                    let after = try repair(store, .all).summary
                    #expect(after.corruptions <= before.corruptions, "\(sample.name), \(field.name) = \(value)")
                    #expect(try check(store.bytes).summary.corruptions == after.corruptions)
                } catch {
                    #expect(error.code != .mismatch)
                }
            }
        }
    }
}
