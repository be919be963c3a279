import QCOW2Format
import ReimageCore
import ReimageTesting
import Synchronization
import Testing

/// Compressed clusters, from streams made by hand.
@Suite struct CompressedTests {
    private func deflateImage(clusterBits: Int = 12, count: Int = 8) -> ImageBuilder {
        var image = ImageBuilder(clusterBits: clusterBits, size: UInt64(count << clusterBits))
        for cluster in 0..<count {
            image.compressed(UInt64(cluster), Stream.deflate(UInt8(10 + cluster * 20), count: 1 << clusterBits))
        }
        return image
    }

    private func expected(clusterBits: Int = 12, count: Int = 8) -> [UInt8] {
        (0..<count).flatMap { [UInt8](repeating: UInt8(10 + $0 * 20), count: 1 << clusterBits) }
    }

    @Test(arguments: [9, 12, 16]) func packedClustersAreRead(clusterBits: Int) throws {
        let bytes = deflateImage(clusterBits: clusterBits).finished()
        let disk = try device(try open(bytes))
        #expect(try read(disk) == expected(clusterBits: clusterBits))
        let all = try extents(disk)
        #expect(all.count == 1)
        #expect(all[0].stored?.codec == .deflate)
    }

    @Test func oneFetchServesManyClustersAndOneDecodeManyReads() throws {
        let store = CountingStore(deflateImage().finished())
        let cursor = try device(try openStore(store)).makeCursor()
        let want = expected()
        _ = try read(cursor, 0..<1)
        let before = store.reads.load(ordering: .relaxed)
        for start in stride(from: 0, to: 4096, by: 100) {
            #expect(try read(cursor, UInt64(start)..<UInt64(start + 96)) == Array(want[start..<start + 96]))
        }
        #expect(store.reads.load(ordering: .relaxed) == before)
        let other = try device(try openStore(store)).makeCursor()
        let start = store.reads.load(ordering: .relaxed)
        #expect(try read(other, 0..<32768) == want)
        // L1, L2, and one run of compressed bytes.
        #expect(store.reads.load(ordering: .relaxed) - start == 3)
    }

    @Test func oddReadsAndTails() throws {
        var image = ImageBuilder(clusterBits: 12, size: 4096 * 3 - 1000)
        for cluster in 0..<3 { image.compressed(UInt64(cluster), Stream.stored(pattern(cluster, 4096))) }
        let want = Array((0..<3).flatMap { pattern($0, 4096) }.dropLast(1000))
        let disk = try device(try open(image.finished()))
        #expect(try read(disk) == want)
        let cursor = try disk.makeCursor()
        for start in stride(from: 0, to: want.count - 5000, by: 777) {
            #expect(try read(cursor, UInt64(start)..<UInt64(start + 5000)) == Array(want[start..<start + 5000]))
        }
    }

    @Test func zstdFramesAreRead() throws {
        var image = ImageBuilder(clusterBits: 12, size: 8192)
        image.headerLength = 112
        image.compressionType = 1
        image.incompatible = 8
        for cluster in 0..<2 { image.compressed(UInt64(cluster), Stream.zstd(pattern(cluster, 4096))) }
        let disk = try device(try open(image.finished()))
        #expect(try read(disk) == pattern(0, 4096) + pattern(1, 4096))
        #expect(try extents(disk).first?.stored?.codec == .zstd)
    }

    @Test func runMayPassTheEndOfTheFileAndBeFollowedByGarbage() throws {
        var image = ImageBuilder(clusterBits: 12, size: 4096)
        let stream = Stream.deflate(7, count: 4096)
        image.compressed(0, stream)
        #expect(image.bytes.count % 512 != 0)
        let want = [UInt8](repeating: 7, count: 4096)
        #expect(try contents(image.finished()) == want)
        image.bytes += pattern(1, 3000)
        #expect(try contents(image.finished()) == want)
    }

    @Test func twoEntriesMayShareAStream() throws {
        var image = ImageBuilder(clusterBits: 12, size: 8192)
        image.compressed(0, Stream.deflate(7, count: 4096))
        image.map(1, image.compressedEntry(UInt64(image.bytes.count - Stream.deflate(7, count: 4096).count), 10))
        #expect(try contents(image.finished()) == [UInt8](repeating: 7, count: 8192))
    }

    @Test func damagedStreamNamesBothPlaces() {
        var image = ImageBuilder(clusterBits: 12, size: 8192)
        image.compressed(1, Stream.deflate(7, count: 4000))
        expectError(.damaged, "guest offset 4096") { _ = try contents(image.finished()) }
        for garbage in [[0xFF, 0xFF], [], [0x78, 0x9C]] as [[UInt8]] {
            var image = ImageBuilder(clusterBits: 12, size: 4096)
            image.compressed(0, garbage + [UInt8](repeating: 0xFF, count: 64))
            expectError(.damaged, "compressed cluster") { _ = try contents(image.finished()) }
        }
        // A cut stream never becomes zeros.
        var cut = ImageBuilder(clusterBits: 12, size: 4096)
        cut.compressed(0, Stream.stored(pattern(3, 4096)))
        let whole = cut.finished()
        for missing in stride(from: 1, to: 4100, by: 41) {
            #expect(throws: ImageError.self, "\(missing) bytes less") { try contents(Array(whole.dropLast(missing))) }
        }
    }

    @Test func bitsAbove55AreAnError() {
        for clusterBits in [9, 12] {
            var image = ImageBuilder(clusterBits: clusterBits, size: 512)
            image.map(0, 1 << 62 | 1 << 56 | 0x2000)
            expectError(.damaged, "more than 56 bits") { _ = try contents(image.finished()) }
        }
    }

    @Test func largestRunOfTwoMebibyteClustersIsBounded() throws {
        var image = ImageBuilder(clusterBits: 21, size: 4 << 20)
        image.compressed(0, Stream.deflate(9, count: 2 << 20))
        image.map(1, image.compressedEntry(UInt64(image.bytes.count - 100), 1) | 0x1FFF << 49)
        let disk = try device(try open(image.finished()))
        #expect(try read(disk, 0..<4096) == [UInt8](repeating: 9, count: 4096))
        #expect(throws: ImageError.self) { try read(disk, (2 << 20)..<(2 << 20) + 1) }
    }
}
