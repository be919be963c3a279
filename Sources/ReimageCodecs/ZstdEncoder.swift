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

    /// An encoder of one of `levels`, whose every parameter is the one that the library has for sources of `chunkSize`
    /// bytes, however short a source is; the window is `chunkSize` at the most. One thread, no long-distance search.
    /// - Throws: `.invalidArgument` for a level that is none, `.exhausted` where there is no memory for it.
    public convenience init(level: Int, chunkSize: Int) throws(ImageError) {
        try self.init(level: level)
        let chosen = Self.parameters(level: level, chunkSize: chunkSize)
        // What is left at 0 falls back to the library's own choice, so nothing of the level must stay behind.
        unsafe ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_defaultCLevel())
        let values: [(ZSTD_cParameter, Int32)] = [
            (ZSTD_c_windowLog, Int32(chosen.windowLog)), (ZSTD_c_chainLog, Int32(chosen.chainLog)),
            (ZSTD_c_hashLog, Int32(chosen.hashLog)), (ZSTD_c_searchLog, Int32(chosen.searchLog)),
            (ZSTD_c_minMatch, Int32(chosen.minMatch)), (ZSTD_c_targetLength, Int32(chosen.targetLength)),
            (ZSTD_c_strategy, Int32(chosen.strategy.rawValue)), (ZSTD_c_dictIDFlag, 0),
        ]
        for (parameter, value) in values {
            guard ZSTD_isError(unsafe ZSTD_CCtx_setParameter(context, parameter, value)) == 0 else {
                throw ImageError(.invalidArgument, "libzstd takes no chunks of \(chunkSize) bytes")
            }
        }
    }

    /// What an encoder of ``init(level:chunkSize:)`` holds, in bytes.
    public static func byteCount(level: Int, chunkSize: Int) -> Int {
        ZSTD_estimateCCtxSize_usingCParams(parameters(level: level, chunkSize: chunkSize))
    }

    private static func parameters(level: Int, chunkSize: Int) -> ZSTD_compressionParameters {
        var chosen = ZSTD_getCParams(Int32(level), UInt64(chunkSize), 0)
        chosen.windowLog = min(chosen.windowLog, UInt32(max(chunkSize, 1).trailingZeroBitCount))
        return chosen
    }

    /// The version of libzstd that does the work, for instance `1.5.4`.
    public static var libraryVersion: String {
        // SAFETY: the library returns a constant string.
        unsafe String(cString: ZSTD_versionString())
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
