import Foundation
import ReimageCore
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

@testable import ReimageDisks

/// Damaged and hostile tables: an error with its place or a problem, never a trap, a hang or a wrong partition.
@Suite struct DamagedTableTests {
    private let scratch = Scratch()

    private func gptBytes() throws -> [UInt8]? {
        let script = "label: gpt\nstart=40, size=200, name=one\nstart=240, size=100, name=two\n"
        guard let made = try MadeTable(script, size: 256 << 10, sector: 512, in: scratch) else { return nil }
        return try FileStore(path: made.path).bytes(at: .zero, count: 256 << 10)
    }

    /// The fields of a header at `base`.
    private func fields(_ base: Int) -> [Damage.Field] {
        [
            ("signature", 0, 8), ("revision", 8, 4), ("size", 12, 4), ("checksum", 16, 4), ("own", 24, 8),
            ("other", 32, 8), ("first usable", 40, 8), ("last usable", 48, 8), ("array", 72, 8), ("count", 80, 4),
            ("stride", 84, 4), ("array checksum", 88, 4),
        ].map { Damage.Field($0.0, at: base + $0.1, size: $0.2) }
    }

    @Test func everyFieldOfEitherHeader() throws {
        guard let whole = try gptBytes() else { return }
        let good = try #require(try PartitionTable.read(whole)).entries
        let last = whole.count - 512
        for base in [512, last] {
            for damage in Damage.all(of: fields(base), randomCount: 2) where !damage.description.hasPrefix("cut") {
                let bytes = damage.applied(to: whole)
                guard bytes != whole else { continue }
                let table = try #require(try PartitionTable.read(bytes), "\(damage)")
                #expect(table.entries == good, "\(damage)")
                #expect(table.problems.map(\.code) == [.damaged], "\(damage)")
                // With the other copy gone too, nothing is left.
                let both = Damage.set([0], at: base == 512 ? last : 512).applied(to: bytes)
                let error = #expect(throws: ImageError.self) { try PartitionTable.read(both) }
                #expect(error?.code == .damaged && error?.place != nil && error?.advice != nil, "\(damage)")
            }
        }
    }

    /// The same values, in headers whose checksums say that they are meant.
    @Test func everyFieldWithARightChecksum() throws {
        guard let whole = try gptBytes() else { return }
        let good = try #require(try PartitionTable.read(whole)?.asGPT)
        var refused = 0
        for damage in Damage.all(of: fields(512), randomCount: 2) where !damage.description.hasPrefix("cut") {
            var bytes = damage.applied(to: whole)
            let size = bytes[524..<528].reversed().reduce(0) { $0 << 8 | Int($1) }
            if (92...512).contains(size) { seal(&bytes, size: size) }
            // Whatever is said, the backup stands, and the primary copy is right, wrong, or different.
            let table = try #require(try PartitionTable.read(bytes)?.asGPT, "\(damage)")
            if case .failure(let error) = table.primary {
                refused += 1
                #expect(error.code == .damaged && error.place != nil, "\(damage): \(error)")
                #expect(table.gpt.partitions == good.gpt.partitions)
            }
        }
        #expect(refused > 300)
    }

    private func seal(_ bytes: inout [UInt8], size: Int) {
        for index in 528..<532 { bytes[index] = 0 }
        // An independent CRC-32, bit by bit.
        var crc: UInt32 = ~0
        for byte in bytes[512..<512 + size] {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
        }
        crc = ~crc
        for index in 0..<4 { bytes[528 + index] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(index))) }
    }

    @Test func entries() throws {
        guard let whole = try gptBytes() else { return }
        // One byte anywhere in the array is noticed.
        for place in [1024, 1024 + 40, 1024 + 128 * 127] {
            let table = try #require(try PartitionTable.read(Damage.flip(bit: 3, at: place).applied(to: whole)))
            #expect(table.problems.first?.message.contains("checksum of the GPT's entries") == true)
        }
        // Entries that contradict themselves behind right checksums.
        let table = try #require(try PartitionTable.read(whole)?.asGPT)
        for (first, last, words) in [
            (100, 50, "starts in sector"), (0, 100, "starts in sector"), (40, .max, "past the end"),
            (.max, .max, "past the end"), (300, 310, "overlap"), (20, 30, "outside the sectors"),
        ] as [(UInt64, UInt64, String)] {
            var gpt = table.gpt
            var part = try #require(gpt.partitions.first)
            part.entry.firstLBA = first
            part.entry.lastLBA = last
            gpt.replace([part])
            var bytes = whole
            bytes.replaceSubrange(1024..<1024 + gpt.array.count, with: gpt.array)
            bytes.replaceSubrange(512..<1024, with: gpt.header.encoded(sectorSize: 512))
            let read = try #require(try PartitionTable.read(bytes))
            #expect(read.problems.contains { $0.message.contains(words) }, "\(first)-\(last): \(read.problems)")
            #expect(read.entries.contains { $0.number == 2 })
        }
    }

    @Test func cutAndEnlargedDisks() throws {
        guard let whole = try gptBytes() else { return }
        let cut = try #require(try PartitionTable.read(Array(whole.prefix(180 << 10))))
        #expect(cut.entries.count == 2 && cut.problems.first?.code == .damaged)
        let table = try #require(try PartitionTable.read(whole + [UInt8](repeating: 0, count: 1 << 20))?.asGPT)
        #expect(try table.backup.get().header.ownLBA == UInt64(whole.count / 512 - 1))
        let readError = ImageError(.unreadable, "injected")
        let faulty = FaultyStore(
            MemoryStore(whole), .touching(HostRange(start: HostOffset(512), count: 512)), error: readError)
        let backup = try #require(try PartitionTable.read(faulty, sectorSize: 512))
        #expect(backup.entries.count == 2 && backup.problems.first?.code == .unreadable)
        let first = FaultyStore(MemoryStore(whole), .touching(HostRange(start: .zero, count: 1)), error: readError)
        let error = #expect(throws: ImageError.self) { try PartitionTable.read(first, sectorSize: 512) }
        #expect(error?.code == .unreadable && error?.place == .host(.zero))
        for size in [0, 256, 513, 768, 8192, -512] {
            #expect(throws: ImageError.self) { try PartitionTable.read(MemoryStore(whole), sectorSize: size) }
        }
    }
}
