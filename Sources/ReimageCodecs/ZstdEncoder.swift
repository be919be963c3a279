internal import CZstd
public import ReimageCore

/// Encodes whole buffers as single zstd frames: with their content size, without checksum or dictionary.
///
/// The result depends on the level and the input alone. An encoder holds its scratch memory; make one a thread.
@safe
public final class ZstdEncoder {
    public static let levels = 1...22

    // SAFETY (whole file): the context is made in init and freed in deinit, and has no owner but this object. Buffers
    // are lent to the library for the length of one call.
    private let context: OpaquePointer
    private let level: Int32

    /// - Throws: `.invalidArgument` for a level that is none, `.exhausted` where there is no memory.
    public init(level: Int) throws(ImageError) {
        guard Self.levels.contains(level) else {
            throw ImageError(.invalidArgument, "zstd has the levels 1 to 22, not \(level)")
        }
        guard let context = unsafe ZSTD_createCCtx() else { throw .noMemory(for: "zstd encoder") }
        unsafe self.context = context
        self.level = Int32(level)
    }

    deinit { unsafe ZSTD_freeCCtx(context) }

    /// Appends the frame of `source` to `output`.
    /// - Returns: whether it fits the free capacity; where not, nothing is appended.
    public func encode(_ source: RawSpan, into output: inout OutputRawSpan) -> Bool {
        let room = output.freeCapacity
        return unsafe source.withUnsafeBytes { input in
            unsafe output.withUnsafeMutableBytes { target, filled in
                guard let start = unsafe target.baseAddress?.advanced(by: filled) else { return false }
                let count = unsafe ZSTD_compressCCtx(context, start, room, input.baseAddress, input.count, level)
                guard ZSTD_isError(count) == 0 else { return false }
                filled += count
                return true
            }
        }
    }
}
