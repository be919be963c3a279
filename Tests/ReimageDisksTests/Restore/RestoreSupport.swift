import ReimageCodecs
import ReimageCore
import ReimageDisks
import ReimagePipeline
import ReimageTesting

/// A disk of bytes in memory; runs of whole zero pages are holes.
struct MemoryDisk: BlockDevice {
    let store: MemoryStore
    var readUnit = 512

    init(_ bytes: [UInt8]) { store = MemoryStore(bytes, holeSize: 4096) }

    var byteCount: UInt64 { store.byteCount }
    var sectorSize: Int { 512 }
    var stores: [any ByteStore] { [store] }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent { try store.extent(at: HostOffset(offset.value), limit: limit) }

    func makeCursor() throws(ImageError) -> any DiskCursor { Cursor(store: store) }

    private final class Cursor: DiskCursor {
        let store: MemoryStore
        init(store: MemoryStore) { self.store = store }
        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            try store.read(into: &buffer, at: HostOffset(offset.value))
        }
    }
}

/// A disk that knows its nodes, and counts the reads that it could not avoid.
struct DigestedMemoryDisk: DigestedDisk {
    let disk: MemoryDisk
    let nodeByteCount: UInt64
    let reads: CountingStore

    init(_ bytes: [UInt8], node: UInt64) {
        disk = MemoryDisk(bytes)
        nodeByteCount = node
        reads = CountingStore(disk.store)
    }

    var byteCount: UInt64 { disk.byteCount }
    var sectorSize: Int { 512 }
    var stores: [any ByteStore] { [disk.store] }
    var readUnit: Int { Int(nodeByteCount) }

    var contentDigest: ContentDigest {
        var tree = DigestTree()
        disk.store.bytes.withBytes { tree.append(leavesOf: $0) }
        return tree.digest(byteCount: byteCount)
    }

    func digestNode(at offset: GuestOffset) throws(ImageError) -> Hash256 {
        let bytes = disk.store.bytes[Int(offset.value)...].prefix(Int(nodeByteCount))
        var tree = DigestTree()
        Array(bytes).withBytes { tree.append(leavesOf: $0) }
        let height = nodeByteCount.trailingZeroBitCount - 16
        return tree.root(height: min(height, DigestTree.height(ofDisk: byteCount)))
    }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent { Extent(.data, count: min(limit, byteCount - offset.value)) }

    func makeCursor() throws(ImageError) -> any DiskCursor { Cursor(store: reads) }

    private final class Cursor: DiskCursor {
        let store: CountingStore
        init(store: CountingStore) { self.store = store }
        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            try store.read(into: &buffer, at: HostOffset(offset.value))
        }
    }
}

/// A disk that comes front to back.
final class MemoryStream: DiskStream {
    let stream: StoreStream
    let byteCount: UInt64?
    var name: String { "stream" }

    init(_ bytes: [UInt8], tellsLength: Bool = false) {
        stream = StoreStream(MemoryStore(bytes))
        byteCount = tellsLength ? UInt64(bytes.count) : nil
    }

    func read(into buffer: inout OutputRawSpan) throws(ImageError) { try stream.read(into: &buffer) }
}

/// The bytes of a disk: blocks that all differ, some of zeros, and three MiB of zeros where there is room; `count` in bytes.
func image(_ count: Int, seed: UInt64 = 7) -> [UInt8] {
    let block = 64 << 10
    let noise = PatternDisk.bytes(count: block, grain: 4096, seed: seed)
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count + block)
    while bytes.count < count {
        let number = bytes.count / block
        let isZero = number % 5 == 3 || (count > 8 << 20 && 64..<112 ~= number)
        bytes += isZero ? [UInt8](repeating: 0, count: block) : noise
        if !isZero {
            for index in 0..<4 { bytes[bytes.count - block + index] = UInt8(number >> (8 * index) & 255) + 1 }
        }
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

/// An old disk: no byte of it is zero, so what was not written shows.
func oldDisk(_ count: Int) -> [UInt8] { [UInt8](repeating: 0xEE, count: count) }

extension [UInt8] {
    /// Whether there is nothing but `byte`.
    func holdsOnly(_ byte: UInt8) -> Bool { self == [UInt8](repeating: byte, count: count) }
}

extension ArraySlice<UInt8> {
    func holdsOnly(_ byte: UInt8) -> Bool { Array(self).holdsOnly(byte) }
}

/// The digest of `bytes` as a disk.
func digest(_ bytes: [UInt8]) -> ContentDigest {
    var tree = DigestTree()
    bytes.withBytes { tree.append(leavesOf: $0) }
    return tree.digest(byteCount: UInt64(bytes.count))
}

let mebibyte = 1 << 20

/// Whether both hold the same bytes. `#expect(a == b)` would look for every difference of megabytes.
func same(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> Bool { Array(left) == Array(right) }
