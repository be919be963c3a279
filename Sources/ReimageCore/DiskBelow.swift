/// The disk below a layer, which decides where the layer stores nothing; there may be none.
public struct DiskBelow: Sendable {
    private let device: (any BlockDevice)?

    public init(_ device: (any BlockDevice)?) { self.device = device }

    /// Its length in bytes; 0 where there is none.
    public var byteCount: UInt64 { device?.byteCount ?? 0 }

    /// What is said of `count` bytes from `offset` on that the layer does not store: what the disk below says, up to its
    /// end; behind that, nothing is stored in this layer or below it.
    public func extent(
        at offset: GuestOffset, count: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        guard layers == .flattened, let device, offset.value < device.byteCount else {
            return Extent(.hole, count: count)
        }
        let limit = min(count, device.byteCount - offset.value)
        var extent = try device.extent(at: offset, limit: limit, layers: layers, detail: detail)
        extent.depth += 1
        return extent
    }

    /// A reader for one thread.
    public func makeCursor() -> Cursor { Cursor(device: device) }

    /// One thread's reader; the disk's own is made when it is first needed.
    public final class Cursor {
        private let device: (any BlockDevice)?
        private var cursor: (any DiskCursor)?

        fileprivate init(device: (any BlockDevice)?) { self.device = device }

        /// Fills `buffer` with the bytes from `offset`; zeros behind the disk's end.
        public func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            var filled = 0
            if let device, offset.value < device.byteCount {
                filled = Int(min(UInt64(buffer.byteCount), device.byteCount - offset.value))
                let cursor = try opened(device)
                try buffer.withSlice(0..<filled) { (part) throws(ImageError) in
                    try cursor.read(into: &part, at: offset)
                }
            }
            buffer.zero(filled..<buffer.byteCount)
        }

        private func opened(_ device: any BlockDevice) throws(ImageError) -> any DiskCursor {
            if let cursor { return cursor }
            let made = try device.makeCursor()
            cursor = made
            return made
        }
    }
}
