public import ReimageCore

extension DiskContent {
    /// All bytes of the disk, read front to back in requests of `piece` bytes.
    public func allBytes(piece: Int = 65536) throws(ImageError) -> [UInt8] {
        switch self {
        case .random(let disk): try disk.bytes(at: .zero, count: Int(disk.byteCount), piece: piece)
        case .stream(let stream): try stream.allBytes(piece: piece)
        }
    }
}

extension ByteStream {
    /// All bytes that are left, read in requests of `piece` bytes.
    public func allBytes(piece: Int = 65536) throws(ImageError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = AlignedBuffer(byteCount: piece)
        while true {
            let count = try buffer.fill(0..<piece) { (output) throws(ImageError) in try read(into: &output) }
            bytes += try buffer.withBytes(0..<count) { (span) throws(ImageError) in try span.bytes(0..<count) }
            if count < piece { return bytes }
        }
    }
}

extension BlockDevice {
    /// The `count` bytes from `offset`, read by a new cursor in requests of `piece` bytes.
    public func bytes(at offset: GuestOffset, count: Int, piece: Int = 65536) throws(ImageError) -> [UInt8] {
        let cursor = try makeCursor()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            bytes += try cursor.bytes(at: offset + UInt64(bytes.count), count: min(piece, count - bytes.count))
        }
        return bytes
    }
}

extension DiskCursor {
    /// The `count` bytes from `offset`, in one request.
    public func bytes(at offset: GuestOffset, count: Int) throws(ImageError) -> [UInt8] {
        // Neither zeros nor likely data: what a reader leaves out shows.
        var bytes = [UInt8](repeating: 0xEE, count: count)
        try bytes.withMutableBytes { (span) throws(ImageError) in try read(into: &span, at: offset) }
        return bytes
    }
}
