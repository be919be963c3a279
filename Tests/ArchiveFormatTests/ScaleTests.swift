import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// A disk of 64 TiB with little on it, as group 9 of the specification's test vectors has it.
@Suite struct ScaleTests {
    private static let tebibyte: UInt64 = 1 << 40

    /// Data at the start, on both sides of 2 TiB, at 16 TiB, at the end, and here and there between.
    private static let large = SparseDisk(
        byteCount: 64 * tebibyte,
        pieces: [0, 2 * tebibyte - 2048, 16 * tebibyte, 64 * tebibyte - 4096] + (1..<16).map { $0 << 42 + 9 << 30 })

    // INTEGRATOR: (18, 9) took > 14 min in debug and starved the machine; keep this file under 10 s in debug or drop it.
    @Test func theIndexIsReadWhereItIsNeeded() throws {
        let settings = try settings { ($0.chunkLog2, $0.leafLog2) = (22, 12) }
        let image = try write(Self.large, settings, threads: 3)
        #expect(SHA256Hasher.hash(try write(Self.large, settings, threads: 1)) == SHA256Hasher.hash(image))
        let store = CountingStore(MemoryStore(image))
        let index = try ArchiveIndex(store, header: ArchiveImage.header(store))
        // A ROOT record that the last 64 KiB do not hold.
        #expect(index.root.count > 1000 && index.footer.rootByteCount > 64 << 10)
        #expect(store.counts.reads <= 3)
        let digest = try DiskContent.random(Self.large).digest(JobOptions(threadCount: 2))
        #expect(index.digest == digest)

        let found = try disk(image)
        #expect(found.byteCount == Self.large.byteCount)
        let cursor = try Self.large.makeCursor()
        for place in Self.large.pieces + [1, 2 * Self.tebibyte - 1, 2 * Self.tebibyte, 16 * Self.tebibyte + 65536] {
            let count = Int(min(9000, found.byteCount - place))
            var expected = [UInt8](repeating: 0, count: count)
            try expected.withMutableBytes { (span) throws(ImageError) in
                try cursor.read(into: &span, at: GuestOffset(place))
            }
            #expect(try found.bytes(at: GuestOffset(place), count: count) == expected, "at \(place)")
        }
    }

    @Test func theChunkSizeDoesNotShow() throws {
        let few = SparseDisk(byteCount: Self.large.byteCount, pieces: Array(Self.large.pieces.prefix(4)))
        var digests: Set<String> = []
        for chunkLog2 in [16, 18, 20, 22] {
            let image = try write(few, settings { $0.chunkLog2 = chunkLog2 })
            #expect(image.count < 1 << 20)
            digests.insert(try ArchiveFormat.indexDigest(of: source(image)).description)
            // Front to back, the runs pass by as runs.
            let stream = try stream(image)
            var position: UInt64 = 0
            while let extent = try stream.advance() {
                position += extent.count
                stream.release(before: GuestOffset(position))
            }
            #expect(position == few.byteCount)
        }
        #expect(digests.count == 1)
    }
}

/// A disk that holds something of its own in the 4096 bytes from each of some places on; the rest is holes and zeros, in turns
/// of 32 GiB.
private final class SparseDisk: BlockDevice, DiskCursor, Sendable {
    static let pieceSize: UInt64 = 4096
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore] = []
    let pieces: [UInt64]
    private let sorted: [UInt64]

    init(byteCount: UInt64, pieces: [UInt64]) {
        (self.byteCount, self.pieces, sorted) = (byteCount, pieces, pieces.sorted())
    }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        let next = sorted.first { $0 + Self.pieceSize > offset.value } ?? byteCount
        let isData = next <= offset.value
        if isData { return Extent(.data, count: min(limit, next + Self.pieceSize - offset.value)) }
        let turn = offset.value >> 35
        return Extent(turn % 2 == 0 ? .hole : .zero, count: min(limit, min(next, (turn + 1) << 35) - offset.value))
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { self }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        buffer.zero()
        let end = offset.value + UInt64(buffer.byteCount)
        for piece in sorted where piece < end && piece + Self.pieceSize > offset.value {
            for place in max(piece, offset.value)..<min(piece + Self.pieceSize, end) {
                let value = UInt8(truncatingIfNeeded: (place - piece) &* 31 &+ piece >> 37 &+ 1)
                buffer.storeLittle(value, at: Int(place - offset.value))
            }
        }
    }
}
