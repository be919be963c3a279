internal import CLZMA
public import ReimageCore

/// Encodes whole buffers as raw LZMA2 with its end marker, and no `.xz` around it: liblzma's preset 6.
///
/// The stream is a function of dictionary, filter and source alone. An encoder holds about 11.5 times its dictionary;
/// make one a thread.
@safe
public final class LZMA2Encoder {
    // SAFETY (whole file): buffers are lent to the chain for the length of one call.
    private let chain: LZMA2Chain
    private var room = EncoderOutput()

    /// An encoder whose dictionary has `dictionarySize` bytes, 4 KiB to 1 GiB.
    /// - Throws: `.invalidArgument` for a size out of range.
    public init(dictionarySize: Int) throws(ImageError) { chain = try LZMA2Chain(dictionarySize: dictionarySize) }

    /// The version of liblzma that does the work, for instance `5.4.1`.
    public static var libraryVersion: String {
        // SAFETY: the library returns a constant string.
        unsafe String(cString: lzma_version_string())
    }

    /// What an encoder holds, in bytes; 0 for a dictionary out of range.
    public static func byteCount(dictionarySize: Int) -> Int {
        (try? LZMA2Chain(dictionarySize: dictionarySize))?.encoderByteCount ?? 0
    }

    /// Appends the stored form of `source` behind `filter` to `output` and gives `true`; `false`, and nothing is
    /// appended, where it is longer than the free capacity.
    /// - Throws: `.exhausted` where there is no memory, `.unsupported` for a filter that this liblzma lacks.
    public func encode(
        _ source: RawSpan, filter: LZMA2Filter = .none, into output: inout OutputRawSpan
    ) throws(ImageError) -> Bool {
        // What does not shrink is stored by pieces of up to 64 KiB, with three bytes before each.
        let bound = source.byteCount + source.byteCount / 256 + 256
        let result = unsafe source.withUnsafeBytes { input in
            Result { () throws(ImageError) in
                try unsafe room.append(atMost: bound, to: &output) { (target) throws(ImageError) in
                    try chain.start(filter, encoding: true)
                    let progress = unsafe chain.run(input, target)
                    switch progress.result {
                    case LZMA_STREAM_END: return progress.produced
                    case LZMA_OK: return 0
                    default: throw .noMemory(for: "LZMA2 encoder")
                    }
                }
            }
        }
        return try result.get()
    }
}
