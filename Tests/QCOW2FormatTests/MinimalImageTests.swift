import QCOW2Format
import ReimageCore
import Testing

/// The smallest valid images, byte by byte as outside tools accept them.
@Suite struct MinimalImageTests {
    /// `bytes` at places in an empty file.
    private func file(_ count: Int, _ parts: [(Int, [UInt8])]) -> [UInt8] {
        parts.reduce(into: [UInt8](repeating: 0, count: count)) { file, part in
            file.replaceSubrange(part.0..<part.0 + part.1.count, with: part.1)
        }
    }

    private func usual(version: UInt8) -> [UInt8] {
        var parts: [(Int, [UInt8])] = [
            (0, [0x51, 0x46, 0x49, 0xFB, 0, 0, 0, version]), (20, [0, 0, 0, 0x10]),
            (24, [0, 0, 0, 0, 0, 0x10, 0, 0]), (36, [0, 0, 0, 1]), (40, [0, 0, 0, 0, 0, 3, 0, 0]),
            (48, [0, 0, 0, 0, 0, 1, 0, 0]), (56, [0, 0, 0, 1]), (0x10000, [0, 0, 0, 0, 0, 2, 0, 0]),
            (0x20000, [0, 1, 0, 1, 0, 1, 0, 1]),
        ]
        if version == 3 { parts += [(96, [0, 0, 0, 4]), (100, [0, 0, 0, 0x68])] }
        return file(196616, parts)
    }

    @Test(arguments: [2, 3] as [UInt8]) func emptyDiskOfUsualClusters(version: UInt8) throws {
        let image = try open(usual(version: version))
        let info = try image.info()
        #expect(info.virtualSize == 1 << 20)
        #expect(info.clusterSize == 65536)
        #expect(info.specific.first == InfoField("compat", .text(version == 2 ? "0.10" : "1.1")))
        let disk = try device(image)
        #expect(try extents(disk) == [Extent(.hole, count: 1 << 20)])
        #expect(try read(disk) == [UInt8](repeating: 0, count: 1 << 20))
    }

    @Test func smallestFile() throws {
        let bytes = file(
            1544,
            [
                (0, [0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 3]),
                (0x10, [0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 2, 0]),
                (0x20, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 6, 0]),
                (0x30, [0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
                (0x60, [0, 0, 0, 4, 0, 0, 0, 0x68]), (0x200, [0, 0, 0, 0, 0, 0, 4, 0]),
                (0x400, [0, 1, 0, 1, 0, 1, 0, 1]),
            ])
        let image = try open(bytes)
        #expect(try image.info().clusterSize == 512)
        #expect(try read(try device(image)) == [UInt8](repeating: 0, count: 512))
        for count in stride(from: 0, to: 1544, by: 8) {
            #expect(throws: ImageError.self, "cut at \(count)") { try contents(Array(bytes[..<count])) }
        }
    }

    @Test func diskWithoutBytes() throws {
        let image = try open(ImageBuilder(size: 0, l1Count: 0).finished())
        #expect(try device(image).byteCount == 0)
        #expect(try read(try device(image)).isEmpty)
    }

    @Test func magicIsProbedWhateverTheVersion() {
        let format = QCOW2Format()
        for (bytes, expected) in [
            ([0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 3], ProbeResult.yes), ([0x51, 0x46, 0x49, 0xFB, 0, 0, 0, 1], .yes),
            ([0x51, 0x46, 0x49, 0xFB], .no), ([0x51, 0x46, 0x49, 0xFA, 0, 0, 0, 3], .no), ([], .no),
        ] as [([UInt8], ProbeResult)] {
            let result = bytes.withBytes { format.probe(head: $0, tail: $0, byteCount: UInt64($0.byteCount)) }
            #expect(result == expected)
        }
    }

    @Test func olderFormatIsRefusedByName() {
        var bytes = usual(version: 1)
        expectError(.unsupported, "qcow") { _ = try open(bytes) }
        for version in [0, 4, 255] as [UInt8] {
            bytes[7] = version
            expectError(.unsupported, "version \(version)") { _ = try open(bytes) }
        }
    }
}
