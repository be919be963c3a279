import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// Which LEAF records count.
@Suite struct RecordChainTests {
    private func leaves(_ bytes: [UInt8]) throws -> (counted: [UInt64], other: [UInt64], end: UInt64) {
        let store = MemoryStore(bytes)
        let header = try bytes.withBytes { try FileHeader(decoding: $0, at: .zero) }
        var chain = RecordChain(store, tag: header.tag)
        var found: (counted: [UInt64], other: [UInt64]) = ([], [])
        while let link = try chain.next() {
            #expect(link.record.place < link.end && link.end == chain.place)
            guard link.record.header.type == .leaf else { continue }
            if link.isCountedLeaf {
                found.counted.append(link.record.place.value)
                #expect(chain.lastLeaf == link.record.place.value)
            } else {
                found.other.append(link.record.place.value)
            }
        }
        return (found.counted, found.other, chain.place.value)
    }

    @Test(arguments: Golden.all)
    func followsAnArchiveToItsTail(_ golden: Golden) throws {
        let found = try leaves(golden.bytes)
        #expect(found.counted.prefix(golden.leaves.count).map { Int($0) } == golden.leaves)
        #expect(found.other.isEmpty)
        #expect(found.end == UInt64(golden.bytes.count - 64))
    }

    /// The chain ends at the record that was cut, and before one whose header is wrong.
    @Test func endsWhereARecordDoes() throws {
        let golden = try Golden.named("tiny")
        // The specification's own list of the records.
        let places = [4096, 4176, 69840, 135_504, 135_608, 135_712, 136_032, 136_672, 136_888, 137_208, 141_624]
        for (start, end) in zip(places, places.dropFirst()) {
            for count in [start + 1, end - 1] {
                #expect(try leaves(Array(golden.bytes.prefix(count))).end == UInt64(start))
            }
            var bytes = golden.bytes
            bytes[start + 40] ^= 1
            #expect(try leaves(bytes).end == UInt64(start))
        }
    }

    /// A LEAF record that names another predecessor than the one passed does not count, nor does what builds on it.
    @Test func aLeafMustNameTheOneBeforeIt() throws {
        let golden = try Golden.named("tiny")
        for previous: UInt64 in [0, 4096, 135_704, 136_672] {
            var forgery = Forgery(golden)
            forgery.store(previous, at: 136_672 + 80)
            forgery.sealRecord(at: 136_672)
            let found = try leaves(forgery.bytes)
            #expect(found.counted == [135_712])
            #expect(found.other == [136_672])
        }
    }
}
