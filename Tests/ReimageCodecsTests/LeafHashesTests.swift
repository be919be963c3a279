import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

/// Many leaves at once against one at a time, which swift-crypto hashes.
@Suite struct LeafHashesTests {
    @Test(arguments: [0, 1, 4, 5, 15, 16, 17, 31, 32, 33])
    func areThoseOfEachLeaf(count: Int) {
        let size = DigestTree.leafSize
        var random = SeededGenerator(seed: UInt64(count))
        var bytes = [UInt8](repeating: 0, count: count * size)
        for leaf in 0..<count where leaf % 7 != 3 {
            for offset in leaf * size..<(leaf + 1) * size { bytes[offset] = UInt8.random(in: 0...255, using: &random) }
        }
        // One that is all zeros but for its last byte.
        if let last = bytes.indices.last { bytes[last] = 1 }
        let expected = bytes.withBytes { span in
            (0..<count).map { SHA256Hasher.hash(prefix: 0, span.extracting($0 * size..<($0 + 1) * size)) }
        }
        #expect(bytes.withBytes { DigestTree.leaves(of: $0) } == expected)
    }
}
