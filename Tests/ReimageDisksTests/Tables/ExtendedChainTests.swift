import ReimageCore
import ReimageTesting
import Testing

@testable import ReimageDisks

/// Chains of extended boot records that lead nowhere, in circles, or on without an end.
@Suite struct ExtendedChainTests {
    /// A record at sector `lba` of `bytes`, with these entries of type, start and count.
    private func put(_ entries: [(UInt8, UInt32, UInt32)], at lba: Int, of bytes: inout [UInt8]) {
        bytes[lba * 512 + 510] = 0x55
        bytes[lba * 512 + 511] = 0xAA
        guard var record = MBR(Array(bytes[lba * 512..<lba * 512 + 512])) else { return }
        for (index, (type, start, count)) in entries.enumerated() {
            var entry = MBREntry([UInt8](repeating: 0, count: 16)[...])
            entry.type = type
            entry.move(start: start, count: count, absoluteStart: UInt64(start))
            record[index] = entry
        }
        bytes.replaceSubrange(lba * 512..<lba * 512 + 512, with: record.bytes)
    }

    private func disk(extended: (UInt32, UInt32) = (100, 900)) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1000 * 512)
        put([(0x83, 10, 50), (0x0F, extended.0, extended.1)], at: 0, of: &bytes)
        return bytes
    }

    private func read(_ bytes: [UInt8]) throws -> (numbers: [Int], problems: [String]) {
        let table = try #require(try PartitionTable.read(bytes))
        return (table.entries.map(\.number), table.problems.map(\.message))
    }

    @Test func circles() throws {
        var itself = disk()
        put([(0x83, 10, 50), (0x05, 0, 100)], at: 100, of: &itself)
        #expect(try read(itself).numbers == [1, 5])
        #expect(try read(itself).problems == ["the chain of extended boot records runs in a circle"])
        var two = disk()
        put([(0x83, 10, 50), (0x05, 100, 100)], at: 100, of: &two)
        put([(0x83, 10, 50), (0x05, 0, 100)], at: 200, of: &two)
        #expect(try read(two).numbers == [1, 5, 6])
        #expect(try read(two).problems == ["the chain of extended boot records runs in a circle"])
    }

    @Test func backwardsIsNoCircle() throws {
        var bytes = disk()
        put([(0x83, 10, 50), (0x05, 200, 100)], at: 100, of: &bytes)
        put([(0x83, 10, 50), (0x05, 100, 100)], at: 300, of: &bytes)
        put([(0x83, 10, 50)], at: 200, of: &bytes)
        #expect(try read(bytes).numbers == [1, 5, 6, 7] && read(bytes).problems.isEmpty)
    }

    @Test func outside() throws {
        for start in [900, 0x7FFF_FFFF, .max] as [UInt32] {
            var bytes = disk()
            put([(0x83, 10, 50), (0x05, start, 100)], at: 100, of: &bytes)
            #expect(try read(bytes).problems == ["an extended boot record would lie outside its partition"])
        }
        for extended in [(0, 900), (5000, 100), (.max, .max)] as [(UInt32, UInt32)] {
            let found = try read(disk(extended: extended))
            #expect(found.numbers == [1])
            #expect(found.problems == ["an extended boot record would lie outside its partition"])
        }
        var far = disk()
        put([(0x83, .max, .max)], at: 100, of: &far)
        #expect(try read(far).problems == ["partition 5 reaches outside the extended one"])
    }

    @Test func withoutSignature() throws {
        #expect(try read(disk()).problems == ["an extended boot record has no signature"])
    }

    @Test func endless() throws {
        var bytes = [UInt8](repeating: 0, count: 1000 * 512)
        put([(0x05, 100, 900)], at: 0, of: &bytes)
        for index in 0..<300 { put([(0x83, 1, 1), (0x05, UInt32(index * 2 + 2), 2)], at: 100 + index * 2, of: &bytes) }
        let found = try read(bytes)
        #expect(found.numbers == Array(5..<133))
        #expect(found.problems == ["there are more than 128 extended boot records"])
    }

    /// The first record of a chain may be empty, and the link may stand first.
    @Test func emptyAndTurnedRecords() throws {
        var bytes = disk()
        put([(0, 0, 0), (0x05, 100, 100)], at: 100, of: &bytes)
        put([(0x05, 200, 100), (0x83, 10, 50)], at: 200, of: &bytes)
        put([(0x83, 10, 50), (0, 0, 0), (0xAA, 0x1234_5678, 99)], at: 300, of: &bytes)
        let found = try read(bytes)
        #expect(found.numbers == [1, 5, 6] && found.problems.isEmpty)
        var two = disk()
        put([(0x05, 100, 400), (0x0F, 500, 100)], at: 0, of: &two)
        put([(0x83, 10, 50)], at: 100, of: &two)
        #expect(try read(two).problems == ["there is more than one extended partition; the first one counts"])
    }

    /// Reads stay few whatever the records say.
    @Test func randomRecords() throws {
        var random = SeededGenerator(seed: 5)
        for _ in 0..<500 {
            var bytes = disk()
            for lba in stride(from: 100, to: 200, by: 10) {
                put(
                    (0..<4).map { _ in
                        (
                            [0x05, 0x83, 0x0F, 0][Int(random.next() % 4)], UInt32(random.next() % 1200),
                            UInt32(random.next() % 1200)
                        )
                    }, at: lba, of: &bytes)
            }
            let store = CountingStore(MemoryStore(bytes))
            let table = try #require(try PartitionTable.read(store, sectorSize: 512))
            #expect(table.entries.count <= 4 + 4 * 128)
            #expect(store.counts.reads <= 130)
        }
    }
}
