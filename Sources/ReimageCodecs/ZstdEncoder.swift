internal import CZstd
public import ReimageCore

/// Encodes whole buffers as one zstd frame each: the content size in the header, no checksum, no dictionary.
///
/// The frame is a function of level and source alone. An encoder holds its scratch memory; make one a thread and keep
/// it.
@safe
public final class ZstdEncoder {
    /// The levels there are, from the fastest to the smallest; they are libzstd's.
    public static let levels = 1...22

    // SAFETY (whole file): the context is made in init and freed in deinit, and has no owner but this object. Buffers
    // are lent to the library for the length of one call.
    private let context: OpaquePointer
    private var room = EncoderOutput()

    /// An encoder of one of `levels`.
    /// - Throws: `.invalidArgument` for a level that is none, `.exhausted` where there is no memory for it.
    public init(level: Int) throws(ImageError) {
        try ImageError.checkLevel(level, in: Self.levels, of: "zstd")
        guard let context = unsafe ZSTD_createCCtx() else { throw .noMemory(for: "zstd encoder") }
        unsafe self.context = context
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, Int32(level))
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 1)
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 0)
    }

    deinit { unsafe ZSTD_freeCCtx(context) }

    /// Appends the frame of `source` to `output` and gives `true`; `false`, and nothing is appended, where it is longer
    /// than the free capacity.
    /// - Throws: `.exhausted` where there is no memory for the level's tables, which grow with the source.
    public func encode(_ source: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Bool {
        let bound = ZSTD_compressBound(source.byteCount)
        let result = unsafe source.withUnsafeBytes { input in
            Result { () throws(ImageError) in
                try unsafe room.append(atMost: bound, to: &output) { (target) throws(ImageError) in
                    let count = unsafe ZSTD_compress2(
                        context, target.baseAddress, target.count, input.baseAddress, input.count)
                    // No room and no memory are the library's only failures, and the bound rules out the first.
                    guard ZSTD_isError(count) == 0 else { throw .noMemory(for: "zstd encoder") }
                    return count
                }
            }
        }
        return try result.get()
    }
}
