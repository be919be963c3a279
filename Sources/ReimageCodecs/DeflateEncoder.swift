internal import CDeflate
internal import CIGZip
public import ReimageCore

/// Encodes whole buffers as raw deflate streams: no zlib or gzip header, the final block set, any window up to 32 KiB.
///
/// The result depends on the level and the input alone. An encoder holds its scratch memory; make one a thread.
@safe
public final class DeflateEncoder {
    /// 1 to 3 are ISA-L's, made for speed; 4 to 12 are libdeflate's, up to a near-optimal search.
    public static let levels = 1...12
    private static let fastLevels = 1...3

    // SAFETY (whole file): the context is made in init and freed in deinit by the library that `isFast` names, and has no
    // owner but this object. Buffers are lent to the libraries for the length of one call.
    private let context: OpaquePointer
    private let isFast: Bool

    /// - Throws: `.invalidArgument` for a level that is none, `.exhausted` where there is no memory.
    public init(level: Int) throws(ImageError) {
        guard Self.levels.contains(level) else {
            throw ImageError(.invalidArgument, "deflate has the levels 1 to 12, not \(level)")
        }
        isFast = Self.fastLevels.contains(level)
        let made = isFast ? unsafe reimage_igzip_make(Int32(level)) : unsafe libdeflate_alloc_compressor(Int32(level))
        guard let made = unsafe made else { throw .noMemory(for: "deflate encoder") }
        unsafe context = made
    }

    deinit { if isFast { unsafe reimage_igzip_free(context) } else { unsafe libdeflate_free_compressor(context) } }

    /// Appends the stream of `source` to `output`.
    /// - Returns: whether it fits the free capacity; where not, nothing is appended.
    public func encode(_ source: RawSpan, into output: inout OutputRawSpan) -> Bool {
        let room = output.freeCapacity
        return unsafe source.withUnsafeBytes { input in
            unsafe output.withUnsafeMutableBytes { target, filled in
                guard let start = unsafe target.baseAddress?.advanced(by: filled) else { return false }
                let count =
                    isFast
                    ? unsafe reimage_igzip_encode(context, input.baseAddress, input.count, start, room)
                    : unsafe libdeflate_deflate_compress(context, input.baseAddress, input.count, start, room)
                filled += count
                return count > 0
            }
        }
    }
}
