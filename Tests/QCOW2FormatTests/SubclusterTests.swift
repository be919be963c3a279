import ReimageCore
import Testing

/// Extended L2 entries.
@Suite struct SubclusterTests {
    private static let cluster = 16384

    private func image(size: UInt64 = 65536, _ build: (inout ImageBuilder) -> Void) -> [UInt8] {
        var image = ImageBuilder(clusterBits: 14, size: size, extended: true)
        build(&image)
        return image.finished()
    }

    @Test func everyKindInOneCluster() throws {
        // Subclusters 0 to 3 stored, 4 to 7 zero, 8 absent, 9 stored, the rest absent, 31 zero.
        let stored: UInt64 = 0b10_0000_1111
        let zero: UInt64 = 0b1111_0000 | 1 << 31
        let bytes = image { $0.data(1, pattern(1, Self.cluster), bitmap: zero << 32 | stored) }
        let disk = try device(try open(bytes))
        var expected = [UInt8](repeating: 0, count: 65536)
        let data = pattern(1, Self.cluster)
        expected.replaceSubrange(16384..<16384 + 2048, with: data[..<2048])
        expected.replaceSubrange(16384 + 9 * 512..<16384 + 10 * 512, with: data[9 * 512..<10 * 512])
        #expect(try read(disk) == expected)
        let kinds = try extents(disk).map { "\($0.kind) \($0.count)" }
        #expect(
            kinds == [
                "hole 16384", "data 2048", "zero 2048", "hole 512", "data 512", "hole 10752", "zero 512", "hole 32768",
            ])
        let cursor = try disk.makeCursor()
        for start in stride(from: 15000, to: 34000, by: 333) {
            #expect(try read(cursor, UInt64(start)..<UInt64(start + 700)) == Array(expected[start..<start + 700]))
        }
    }

    @Test func reservedSpaceStaysAbsent() throws {
        let bytes = image { $0.map(0, 1 << 63 | 0x40000, bitmap: 0) }
        #expect(try extents(try device(try open(bytes))) == [Extent(.hole, count: 65536)])
    }

    @Test func zerosNeedNoSpace() throws {
        let bytes = image { $0.map(0, 0, bitmap: 0xFFFF_FFFF << 32) }
        #expect(try extents(try device(try open(bytes))).map(\.kind) == [.zero, .hole])
    }

    @Test func fullClustersJoin() throws {
        let bytes = image { image in for index in 0..<3 { image.data(UInt64(index), pattern(index, Self.cluster)) } }
        #expect(try extents(try device(try open(bytes))).map(\.count) == [49152, 16384])
    }

    @Test func brokenBitmapsAreErrors() {
        expectError(.damaged, "both stored and zero") {
            _ = try contents(image { $0.data(1, pattern(1, Self.cluster), bitmap: 1 << 32 | 1) })
        }
        expectError(.damaged, "no offset") { _ = try contents(image { $0.map(1, 0, bitmap: 2) }) }
        expectError(.damaged, "reserved bits") { _ = try contents(image { $0.map(1, 1, bitmap: 0) }) }
        expectError(.damaged, "not cluster aligned") { _ = try contents(image { $0.map(1, 0x10200, bitmap: 1) }) }
        expectError(.damaged, "past the end") { _ = try contents(image { $0.map(1, 1 << 40, bitmap: 1) }) }
        expectError(.damaged, "has subclusters") {
            _ = try contents(image { $0.map(1, 1 << 62 | 0x10000, bitmap: 1) })
        }
    }

    @Test func storedSubclusterBehindTheEndIsAnError() throws {
        let whole = image { $0.data(0, pattern(1, Self.cluster), bitmap: 0b11) }
        let place = whole.count - Self.cluster
        var expected = [UInt8](repeating: 0, count: 65536)
        expected.replaceSubrange(..<513, with: pattern(1, 513))
        #expect(try contents(Array(whole[..<(place + 513)])) == expected)
        expectError(.damaged, "past the end") { _ = try contents(Array(whole[..<(place + 512)])) }
    }
}
