internal import CDeflate
public import ReimageCore

/// Encodes whole buffers as raw deflate streams: no zlib or gzip header, the final block set, any window up to 32 KiB.
///
/// The stream is a function of level and source alone, on every processor. An encoder holds its scratch memory; make one
/// a thread.
@safe
public final class DeflateEncoder {
    /// libdeflate's, from a greedy search to a near-optimal one.
    public static let levels = 1...12

    // SAFETY (whole file): the context is made in init and freed in deinit, and has no owner but this object. Buffers are
    // lent to the library for the length of one call.
    private let context: OpaquePointer
    private var room = EncoderOutput()

    /// - Throws: `.invalidArgument` for a level that is none, `.exhausted` where there is no memory.
    public init(level: Int) throws(ImageError) {
        try ImageError.checkLevel(level, in: Self.levels, of: "deflate")
        guard let made = unsafe libdeflate_alloc_compressor(Int32(level)) else {
            throw .noMemory(for: "deflate encoder")
        }
        unsafe context = made
    }

    deinit { unsafe libdeflate_free_compressor(context) }

    /// Appends the stored form of `source` to `output` and gives `true`; `false`, and nothing is appended, where it is
    /// longer than the free capacity.
    public func encode(_ source: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Bool {
        let bound = libdeflate_deflate_compress_bound(nil, source.byteCount)
        return unsafe source.withUnsafeBytes { input in
            unsafe room.append(atMost: bound, to: &output) { target in
                unsafe libdeflate_deflate_compress(
                    context, input.baseAddress, input.count, target.baseAddress, target.count)
            }
        }
    }
}

extension ImageError {
    /// Refuses a level that `codec` does not have.
    static func checkLevel(_ level: Int, in levels: ClosedRange<Int>, of codec: String) throws(ImageError) {
        guard levels.contains(level) else {
            throw ImageError(
                .invalidArgument, "\(codec) has no level \(level)",
                advice: "The levels are \(levels.lowerBound) to \(levels.upperBound).")
        }
    }
}
