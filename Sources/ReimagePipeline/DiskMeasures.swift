public import ReimageCore

extension BlockDevice {
    /// How many guest bytes are stored as data, from the extents alone: the most that a sparse copy can take.
    public func dataByteCount() throws(ImageError) -> UInt64 {
        var walker = ExtentWalker(self)
        var sum: UInt64 = 0
        while walker.position < walker.end {
            let extent = try walker.current()
            if extent.kind == .data { sum += extent.count }
            walker.advance(extent.count)
        }
        return sum
    }
}

/// The first bytes of a disk, as a disk of its own.
public struct DiskPrefix: BlockDevice {
    private let disk: any BlockDevice
    public let byteCount: UInt64

    /// The first `byteCount` bytes of `disk`, which has as many.
    public init(_ disk: any BlockDevice, byteCount: UInt64) {
        self.disk = disk
        self.byteCount = byteCount
    }

    public var sectorSize: Int { disk.sectorSize }
    public var stores: [any ByteStore] { disk.stores }
    public var readUnit: Int { disk.readUnit }

    public func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        try disk.extent(
            at: offset, limit: min(limit, byteCount - offset.value), layers: layers, detail: detail)
    }

    public func makeCursor() throws(ImageError) -> any DiskCursor { try disk.makeCursor() }
}

/// A disk that holds nothing.
public struct EmptyDisk: BlockDevice {
    public let byteCount: UInt64
    public let sectorSize = 512
    public let stores: [any ByteStore] = []

    public init(byteCount: UInt64) { self.byteCount = byteCount }

    public func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        Extent(.hole, count: min(limit, byteCount - offset.value))
    }

    public func makeCursor() throws(ImageError) -> any DiskCursor { Cursor() }

    private final class Cursor: DiskCursor {
        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) { buffer.zero() }
    }
}
