internal import CDeflate
internal import CIGZip
public import ReimageCore

/// Encodes whole buffers as raw deflate streams: no zlib or gzip header, the final block set, any window up to 32 KiB.
///
/// The stream is a function of level and source alone, on one kind of processor: ISA-L searches as its vector
/// instructions allow. An encoder holds its scratch memory; make one a thread.
@safe
public final class DeflateEncoder {
    /// 1 to 3 are ISA-L's, made for speed; 4 to 12 are libdeflate's, up to a near-optimal search.
    public static let levels = 1...12
    private static let fastLevels = 1...3
    /// What ISA-L may begin before it sees that a block is better stored.
    private static let spare = 512

    // SAFETY (whole file): the context is made in init and freed in deinit by the library that `isFast` names, and has no
    // owner but this object. Buffers are lent to the libraries for the length of one call.
    private let context: OpaquePointer
    private let isFast: Bool
    private var room = EncoderOutput()

    /// - Throws: `.invalidArgument` for a level that is none, `.exhausted` where there is no memory.
    public init(level: Int) throws(ImageError) {
        try ImageError.checkLevel(level, in: Self.levels, of: "deflate")
        isFast = Self.fastLevels.contains(level)
        let made = isFast ? unsafe reimage_igzip_make(Int32(level)) : unsafe libdeflate_alloc_compressor(Int32(level))
        guard let made = unsafe made else { throw .noMemory(for: "deflate encoder") }
        unsafe context = made
    }

    deinit { if isFast { unsafe reimage_igzip_free(context) } else { unsafe libdeflate_free_compressor(context) } }

    /// Appends the stored form of `source` to `output` and gives `true`; `false`, and nothing is appended, where it is
    /// longer than the free capacity.
    public func encode(_ source: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Bool {
        // libdeflate's bound for any level; its blocks are shorter than the 65535 bytes that ISA-L stores at a time.
        let bound = libdeflate_deflate_compress_bound(nil, source.byteCount) + Self.spare
        return unsafe source.withUnsafeBytes { input in
            unsafe room.append(atMost: bound, to: &output) { target in
                isFast
                    ? unsafe reimage_igzip_encode(
                        context, input.baseAddress, input.count, target.baseAddress, target.count)
                    : unsafe libdeflate_deflate_compress(
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
