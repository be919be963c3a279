import ReimageCore
import ReimageTesting
import Synchronization

/// A disk whose extents and bytes are laid down by the test.
final class ScriptedDisk: BlockDevice, DiskCursor {
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore] = []
    let bytes: [UInt8]
    private let runs: [(Extent.Kind, Int)]
    /// The guest byte whose reading fails.
    private let badByte: Int?
    private let readCount = Mutex(0)

    /// A prime length, so that no two places at round offsets are alike.
    private static let pattern = (0..<65_521).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) | 1 }

    /// A disk of these runs; data is a pattern that depends on the place and on `seed`.
    init(_ runs: [(Extent.Kind, Int)], seed: Int = 0, badByte: Int? = nil) {
        self.runs = runs
        self.badByte = badByte
        var bytes: [UInt8] = []
        for (kind, count) in runs {
            let end = bytes.count + count
            while bytes.count < end {
                guard kind == .data else {
                    bytes += [UInt8](repeating: 0, count: end - bytes.count)
                    continue
                }
                let start = (bytes.count + seed) % Self.pattern.count
                bytes += Self.pattern[start..<min(Self.pattern.count, start + end - bytes.count)]
            }
        }
        self.bytes = bytes
        byteCount = UInt64(bytes.count)
    }

    /// Runs of every kind and odd lengths, `count` bytes in all.
    static func mixed(_ count: Int, seed: UInt64) -> [(Extent.Kind, Int)] {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        var runs: [(Extent.Kind, Int)] = []
        var left = count
        while left > 0 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let sizes = [512, 1000, 4096, 65536, 300_000, 1 << 20, 3 << 20]
            let size = min(left, sizes[Int(state >> 33) % sizes.count])
            runs.append(([.data, .hole, .zero, .data, .data][Int(state >> 40) % 5], size))
            left -= size
        }
        return runs
    }

    /// How many reads were made.
    var reads: Int { readCount.withLock { $0 } }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        var start: UInt64 = 0
        for (kind, count) in runs {
            let end = start + UInt64(count)
            if offset.value < end { return Extent(kind, count: min(limit, end - offset.value)) }
            start = end
        }
        throw ImageError(.damaged, "the extent query lies past the end", at: .guest(offset))
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { self }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        readCount.withLock { $0 += 1 }
        let start = Int(offset.value)
        if let badByte, (start..<start + buffer.byteCount).contains(badByte) {
            throw ImageError(.unreadable, "a bad place", at: .guest(GuestOffset(UInt64(badByte))))
        }
        bytes.withBytes { buffer.copy(from: $0.extracting(start..<start + buffer.byteCount)) }
    }
}

/// A stream of bytes in memory that may say a length.
final class ScriptedStream: DiskStream {
    let name = "stream"
    let byteCount: UInt64?
    private let state: Mutex<ArraySlice<UInt8>>

    init(_ bytes: [UInt8], saying byteCount: UInt64?) {
        self.byteCount = byteCount
        state = Mutex(bytes[...])
    }

    func read(into buffer: inout OutputRawSpan) throws(ImageError) {
        let part = state.withLock { left in
            let part = Array(left.prefix(buffer.freeCapacity))
            left = left.dropFirst(part.count)
            return part
        }
        part.withBytes { buffer.append(contentsOf: $0) }
    }
}
