internal import CDeflate
internal import CZlib
public import ReimageCore

/// Decodes raw deflate streams, one whole stream a call: no zlib or gzip header, any window up to 32 KiB.
///
/// A decoder holds its scratch memory; make one a thread and keep it.
@safe
public final class DeflateDecoder {
    // SAFETY (whole file): the contexts are made in init and freed in deinit, and have no owner but this object. Buffers
    // are lent to the libraries for the length of one call, which the libraries' contracts promise to be enough.
    private let fast: OpaquePointer
    private let tolerant: UnsafeMutablePointer<z_stream>

    /// A decoder.
    /// - Throws: `.exhausted` where there is no memory for it.
    public init() throws(ImageError) {
        guard let fast = unsafe libdeflate_alloc_decompressor() else { throw .noMemory(for: "deflate decoder") }
        unsafe self.fast = fast
        unsafe tolerant = .allocate(capacity: 1)
        unsafe tolerant.initialize(to: z_stream())
        // Negative window bits mean raw deflate.
        let made = unsafe inflateInit2_(tolerant, -15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size))
        guard made == Z_OK else { throw .noMemory(for: "deflate decoder") }
    }

    deinit {
        unsafe libdeflate_free_decompressor(fast)
        unsafe inflateEnd(tolerant)
        unsafe tolerant.deallocate()
    }

    /// Fills `target` with the first bytes that `source` decodes to.
    ///
    /// Output past the end of `target` and bytes past the end of the stream are ignored, as every reader of compressed
    /// clusters ignores them.
    /// - Throws: `.damaged` where the stream is invalid, cut short, or gives fewer bytes; `target` then holds anything.
    public func decode(_ source: RawSpan, into target: inout MutableRawSpan) throws(ImageError) {
        _ = try decodeMeasured(source, into: &target)
    }

    /// Does what ``decode(_:into:)`` does, and tells the length of the stream in bytes, where it has an end and gives no
    /// more than `target`; else `nil`.
    public func decodeMeasured(_ source: RawSpan, into target: inout MutableRawSpan) throws(ImageError) -> Int? {
        guard !target.isEmpty else { return nil }
        let result = unsafe source.withUnsafeBytes { input in
            unsafe target.withUnsafeMutableBytes { output in unsafe decode(input, into: output) }
        }
        return try result.get()
    }

    /// Fills `target` with what `source`, all of it, decodes to.
    /// - Throws: `.damaged` where the stream is invalid, cut short, ends before `source` does, or gives more or fewer
    ///   bytes; `target` then holds anything.
    public func decodeWhole(_ source: RawSpan, into target: inout MutableRawSpan) throws(ImageError) {
        var consumed = 0
        var produced = 0
        let result = unsafe source.withUnsafeBytes { input in
            unsafe target.withUnsafeMutableBytes { output in
                unsafe libdeflate_deflate_decompress_ex(
                    fast, input.baseAddress, input.count, output.baseAddress, output.count, &consumed, &produced)
            }
        }
        switch result {
        case LIBDEFLATE_SUCCESS: break
        case LIBDEFLATE_INSUFFICIENT_SPACE:
            throw .damaged("a deflate stream gives more than \(target.byteCount) bytes")
        default: throw .damaged("a deflate stream is invalid or cut short")
        }
        guard produced == target.byteCount else {
            throw .damaged("a deflate stream ends after \(produced) of \(target.byteCount) bytes")
        }
        guard consumed == source.byteCount else {
            throw .damaged("\(source.byteCount - consumed) bytes follow the end of a deflate stream")
        }
    }

    private func decode(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) -> Result<Int?, ImageError> {
        var consumed = 0
        var produced = 0
        let result = unsafe libdeflate_deflate_decompress_ex(
            fast, input.baseAddress, input.count, output.baseAddress, output.count, &consumed, &produced)
        if result == LIBDEFLATE_SUCCESS && produced == output.count { return .success(consumed) }
        // libdeflate wants the whole stream to fit and to have an end. zlib stops where it is told to.
        return Result { () throws(ImageError) in
            try unsafe decodeTolerantly(input, into: output)
            return nil
        }
    }

    private func decodeTolerantly(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(ImageError) {
        unsafe inflateReset(tolerant)
        var consumed = 0
        var produced = 0
        while true {
            // zlib counts in 32 bits: both buffers are lent piece by piece.
            let inputPiece = min(input.count - consumed, Int(UInt32.max))
            let outputPiece = min(output.count - produced, Int(UInt32.max))
            unsafe tolerant.pointee.lend(
                UnsafeRawBufferPointer(rebasing: input[consumed..<consumed + inputPiece]),
                UnsafeMutableRawBufferPointer(rebasing: output[produced..<produced + outputPiece]))
            let result = unsafe inflate(tolerant, Z_NO_FLUSH)
            let read = unsafe inputPiece - Int(tolerant.pointee.avail_in)
            let written = unsafe outputPiece - Int(tolerant.pointee.avail_out)
            consumed += read
            produced += written
            if produced == output.count { return }
            switch result {
            case Z_OK where read + written > 0: continue
            case Z_OK, Z_BUF_ERROR:
                throw .damaged("a deflate stream is cut short: it gave \(produced) of \(output.count) bytes")
            case Z_STREAM_END:
                throw .damaged("a deflate stream ends after \(produced) of \(output.count) bytes")
            case Z_MEM_ERROR: throw .noMemory(for: "deflate decoder")
            default:
                throw .damaged("a deflate stream is invalid after \(produced) of \(output.count) bytes")
            }
        }
    }
}

extension ImageError {
    static func noMemory(for what: String) -> ImageError {
        ImageError(.exhausted, "there is no memory for a \(what)")
    }
}
