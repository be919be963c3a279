import ReimageCore

/// Bytes in memory as a disk.
final class MemoryDisk: BlockDevice, DiskCursor, Sendable {
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore] = []
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        byteCount = UInt64(bytes.count)
    }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent { Extent(.data, count: min(limit, byteCount - offset.value)) }

    func makeCursor() throws(ImageError) -> any DiskCursor { self }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        let start = Int(offset.value)
        let count = buffer.byteCount
        bytes.withBytes { buffer.copy(from: $0.extracting(start..<start + count)) }
    }
}
