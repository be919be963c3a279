import ArchiveFormat
import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

/// One byte wrong, anywhere it matters: noticed, or without effect; never a trap, never other bytes.
@Suite struct DamageTests {
    private static let sample = "short-last"

    private enum Part: String, CaseIterable {
        case header, metadata, records, leaf, root, footer, tail

        func range(_ forgery: Forgery, _ golden: Golden) -> Range<Int> {
            let end = forgery.bytes.count
            switch self {
            case .header: return 0..<4096
            case .metadata: return 4096..<4176
            case .records: return 4176..<golden.leaves[0]
            case .leaf: return golden.leaves[0]..<golden.leaves[0] + 160 + 8 + 48
            case .root: return forgery.root..<forgery.footer
            case .footer: return forgery.footer..<end - 64
            case .tail: return end - 64..<end
            }
        }
    }

    /// Damage that leaves all bytes readable: what is there twice, and what only tells of the archive.
    private static let harmless: Set<Part> = [.header, .metadata]

    @Test(arguments: Part.allCases)
    private func everyByteFlipped(_ part: Part) throws {
        let golden = try Golden.named(Self.sample)
        let expected = sum(try contents(golden.bytes))
        var random = SeededGenerator(seed: 11)
        var noticed = 0
        for place in part.range(Forgery(golden), golden) {
            var bytes = golden.bytes
            bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            switch Result(catching: { () throws(ImageError) in try contents(bytes) }) {
            case .success(let found): #expect(sum(found) == expected, "byte \(place)")
            case .failure(let error):
                noticed += 1
                #expect([.damaged, .unsupported].contains(error.code), "byte \(place): \(error)")
                #expect(error.place != nil, "byte \(place): \(error)")
            }
        }
        if Self.harmless.contains(part) { #expect(noticed == 0) } else { #expect(noticed > 0) }
    }

    /// Comparing arrays takes longer than reading an archive in a debug build.
    private func sum(_ bytes: [UInt8]) -> UInt64 { bytes.withBytes { XXH3.hash64($0) } &+ UInt64(bytes.count) }

    /// The header of a chunk's record may be lost: its LEAF record says the same.
    @Test func aChunkIsReadWithoutItsHeader() throws {
        for golden in Golden.small where golden.counts[0] > 0 {
            let right = try contents(golden.bytes)
            var bytes = golden.bytes
            // The first record behind the metadata is a chunk's in all of them.
            var first = 4096 + 64 + Int(Forgery(golden).number(at: 4096 + 16))
            first += -first & 7
            for place in first..<first + 128 { bytes[place] = 0 }
            #expect(try contents(bytes) == right, "\(golden.name)")
        }
    }

    /// A damaged payload costs that chunk and its duplicates, and nothing else.
    @Test func aDamagedChunkIsNamed() throws {
        let golden = try Golden.named("kinds")
        let right = try contents(golden.bytes)
        var bytes = golden.bytes
        let first = 4096 + 64 + Int(Forgery(golden).number(at: 4096 + 16))
        bytes[first + (-first & 7) + 128 + 40] ^= 4
        let disk = try disk(bytes)
        let cursor = try disk.makeCursor()
        for slot in 0..<15 {
            let start = slot * 65536
            let count = min(65536, right.count - start)
            let result = Result { () throws(ImageError) in
                try cursor.bytes(at: GuestOffset(UInt64(start)), count: count)
            }
            switch result {
            case .success(let found): #expect(found == Array(right[start..<start + count]), "slot \(slot)")
            case .failure(let error):
                #expect([0, 11].contains(slot), "slot \(slot): \(error)")
                #expect(error.code == .damaged)
                #expect(error.place != nil && error.file != nil)
            }
            #expect((try? result.get()) == nil || ![0, 11].contains(slot), "slot \(slot) is damaged")
        }
    }

    @Test func anArchiveThatEndsEarlyIsDescribed() throws {
        let golden = try Golden.named("late")
        for count in [4096, 4100, 5000, golden.bytes.count - 65, golden.bytes.count - 1] {
            let image = try ArchiveFormat().open(source(Array(golden.bytes.prefix(count))), OpenContext())
            let info = try image.info()
            #expect(info.isDirty)
            #expect(info.remarks.contains { $0.contains("no valid end") })
            let error = #expect(throws: ImageError.self) { try image.content() }
            #expect(error?.code == .damaged)
            #expect(error?.advice != nil)
        }
        for count in [0, 8, 4095] {
            let error = #expect(throws: ImageError.self) {
                try ArchiveFormat().open(source(Array(golden.bytes.prefix(count))), OpenContext())
            }
            #expect(error?.code == .damaged)
        }
    }
}
