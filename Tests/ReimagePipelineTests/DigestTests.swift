import ReimageCodecs
import ReimageCore
import ReimagePipeline
import Testing

/// The vectors of the archive specification, section 14, and the definition taken literally.
@Suite struct DigestTests {
    private func digest(_ runs: [(Extent.Kind, Int)], threads: Int = 3) throws -> String {
        try DiskContent.random(ScriptedDisk(runs)).digest(JobOptions(threadCount: threads)).description
    }

    private func digest(of bytes: [UInt8]) throws -> String {
        try DiskContent.stream(ScriptedStream(bytes, saying: nil)).digest(JobOptions(threadCount: 2)).description
    }

    @Test(arguments: [
        (0, "3050c592d3309392e673f8f50590265e641e708630e7a33a03896ed33acfe3d3"),
        (1, "eb41fdec80a392f55eade9e7fcf8077f4f547b3faadda3fbbd2ef901139ab275"),
        (512, "f352b20cfba294aebbb45da96254784a66844f1e5b01b5c473d9f894c9b2f900"),
        (65536, "6d043da4e3a1abcac73052d4474a514b52eee8150e7c4b7c3d44482e50b3caa9"),
        (65537, "5dd8160874efcfc2135a712b35bae5fc2f998b56ef935a7a8faf2e630d76b697"),
    ])
    func zeros(_ count: Int, _ expected: String) throws {
        #expect(try digest(count == 0 ? [] : [(.hole, count)]) == "rdd1:" + expected)
        #expect(try digest(of: [UInt8](repeating: 0, count: count)) == "rdd1:" + expected)
    }

    @Test(arguments: [
        (UInt64(1) << 30, "084d3a4002d4b71631e2a2ff6b46d0973c6c46ac49541ac943799faa971a9c0d"),
        (1 << 40, "17fb078a14857425665ab7a8b9cbb37f2f2d67130bb6c32118102876fa43f776"),
        (64 << 40, "de1fded3d69646814d75ea262366317ae341411fc4ce5c5885557a733aff52be"),
    ])
    func largeZeros(_ count: UInt64, _ expected: String) throws {
        #expect(try DiskContent.random(EmptyDisk(byteCount: count)).digest().description == "rdd1:" + expected)
    }

    @Test func data() throws {
        func pat(_ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: 31 &* $0 &+ 17 &* ($0 >> 8) &+ ($0 >> 16)) }
        }
        let vectors: [([UInt8], String)] = [
            (Array("a".utf8), "85832da2bc3296e343279b3295b5abcc71797f8a30af55713ac0d1885afd5f7b"),
            (
                [UInt8](repeating: 0xFF, count: 65536),
                "49f47821fe390e3f2614a7e5d14b5db0f1ecb0eaa5e084c7a0b4facddfa362f5"
            ),
            (pat(200_000), "a7d3dd0851987a448698f639e1da3c6938db90a7f47439eba0579e521dbab0c1"),
            (pat(1 << 20), "0d0db83ce41689d556ac07aa8da94c7a4d5c2c2b8ef4afd528b395fd709ebf86"),
        ]
        for (bytes, expected) in vectors { #expect(try digest(of: bytes) == "rdd1:" + expected) }
    }

    /// The definition, leaf by leaf and level by level, with nothing skipped.
    private func literalDigest(_ bytes: [UInt8]) -> String {
        let leaves = max(1, (bytes.count + 65535) / 65536)
        var width = 1
        while width < leaves { width *= 2 }
        var level: [Hash256] = (0..<width).map { index in
            var leaf: [UInt8] = [0]
            leaf += bytes[min(index * 65536, bytes.count)..<min((index + 1) * 65536, bytes.count)]
            leaf += [UInt8](repeating: 0, count: 65537 - leaf.count)
            return SHA256Hasher.hash(leaf)
        }
        while level.count > 1 {
            level = stride(from: 0, to: level.count, by: 2).map {
                SHA256Hasher.hash([1] + level[$0].bytes + level[$0 + 1].bytes)
            }
        }
        let size = (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) }
        return "rdd1:" + SHA256Hasher.hash(Array("RIMG-RDD1-SHA256".utf8) + size + level[0].bytes).description
    }

    @Test(arguments: [1, 2, 8])
    func agreesWithTheDefinition(_ threads: Int) throws {
        for (index, count) in [65535, 65537, 1 << 20, (1 << 20) + 1, 5_000_000, 7 << 20].enumerated() {
            let runs = ScriptedDisk.mixed(count, seed: UInt64(index + 1))
            #expect(try digest(runs, threads: threads) == literalDigest(ScriptedDisk(runs).bytes))
        }
    }

    @Test func parsesWhatItPrints() throws {
        let digest = try DiskContent.random(EmptyDisk(byteCount: 5)).digest()
        #expect(ContentDigest(digest.description) == digest)
        #expect(ContentDigest("rdd1:12") == nil)
        #expect(ContentDigest("sha256:" + digest.description.dropFirst(5)) == nil)
    }
}

/// A disk of one hole.
struct EmptyDisk: BlockDevice {
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore] = []

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent { Extent(.hole, count: min(limit, byteCount - offset.value)) }

    func makeCursor() throws(ImageError) -> any DiskCursor { ScriptedDisk([]) }
}
