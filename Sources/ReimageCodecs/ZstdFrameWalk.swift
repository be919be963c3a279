internal import ReimageCore

/// Goes from block to block of a zstd file without decoding them: RFC 8878, sections 3.1.1.2 and 3.1.1.3.
enum ZstdFrameWalk {
    /// The most blocks that are looked at: one read each, and 128 KiB of content at the most.
    private static let blockLimit = 8192

    /// The content size of the one frame that `store` is made of; `nil` where the header does not tell, or where the
    /// frame is not provably all there is.
    static func decodedByteCount(of store: any ByteStore) throws(ImageError) -> UInt64? {
        let head = try store.bytes(at: .zero, count: Int(min(store.byteCount, UInt64(ZstdFrameHeader.largestSize))))
        guard let header = head.withBytes({ try? ZstdFrameHeader(decoding: $0) }),
            header.kind == .data, let size = header.contentSize
        else { return nil }
        var offset = UInt64(header.byteCount)
        for _ in 0..<blockLimit {
            guard offset + 3 <= store.byteCount else { return nil }
            let bytes = try store.bytes(at: HostOffset(offset), count: 3)
            let block = UInt64(bytes[0]) | UInt64(bytes[1]) << 8 | UInt64(bytes[2]) << 16
            // A block of type 1 is one byte, repeated.
            offset += 3 + (block >> 1 & 3 == 1 ? 1 : block >> 3)
            guard block & 1 == 1 else { continue }
            return offset + (header.hasChecksum ? 4 : 0) == store.byteCount ? size : nil
        }
        return nil
    }
}
