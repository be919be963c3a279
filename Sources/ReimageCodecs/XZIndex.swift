internal import CLZMA
internal import ReimageCore

/// Reads the indexes at the ends of an xz file's streams.
enum XZIndex {
    private static let bufferSize = 64 << 10
    /// The most pieces that are read: a file of countless tiny streams is not worth the answer.
    private static let readLimit = 512

    /// The sum of what the indexes say; `nil` where they are damaged, or take more than `memoryLimit` bytes of memory.
    static func decodedByteCount(of store: any ByteStore, memoryLimit: UInt64) throws(ImageError) -> UInt64? {
        // SAFETY (whole function): context and index belong to this call alone and are freed at its end; each buffer
        // outlives the library's call that it is lent to.
        var context = unsafe lzma_stream()
        var index: OpaquePointer?
        guard unsafe lzma_file_info_decoder(&context, &index, max(memoryLimit, 1), store.byteCount) == LZMA_OK else {
            throw .noMemory(for: "xz decoder")
        }
        defer {
            unsafe lzma_index_end(index, nil)
            unsafe lzma_end(&context)
        }
        var position: UInt64 = 0
        for _ in 0..<readLimit {
            let count = Int(min(UInt64(bufferSize), store.byteCount - position))
            let bytes = try store.bytes(at: HostOffset(position), count: count)
            position += UInt64(count)
            var result = LZMA_OK
            unsafe bytes.withUnsafeBufferPointer { bytes in
                unsafe context.next_in = bytes.baseAddress
                unsafe context.avail_in = bytes.count
                repeat {
                    result = unsafe lzma_code(&context, LZMA_RUN)
                } while unsafe result == LZMA_OK && context.avail_in > 0
            }
            switch result {
            case LZMA_STREAM_END: return unsafe lzma_index_uncompressed_size(index)
            case LZMA_SEEK_NEEDED:
                guard unsafe context.seek_pos <= store.byteCount else { return nil }
                position = unsafe context.seek_pos
            case LZMA_OK where count > 0: continue
            default: return nil
            }
        }
        return nil
    }
}
