internal import CLZMA
public import ReimageCore

/// Decodes raw LZMA2 streams with their end marker, one whole stream a call.
///
/// A decoder takes no more memory than its dictionary and little besides, whatever the stream asks for. Make one a
/// thread and keep it.
@safe
public final class LZMA2Decoder {
    // SAFETY (whole file): buffers are lent to the chain for the length of one call.
    private let chain: LZMA2Chain

    /// A decoder whose dictionary has `dictionarySize` bytes, 4 KiB to 1 GiB.
    /// - Throws: `.invalidArgument` for a size out of range.
    public init(dictionarySize: Int) throws(ImageError) { chain = try LZMA2Chain(dictionarySize: dictionarySize) }

    /// Fills `target` with what `source`, all of it, decodes to.
    /// - Throws: `.damaged` where the stream is invalid, cut short, ends before `source` does, or gives more or fewer
    ///   bytes; `target` then holds anything. `.exhausted` where there is no memory, `.unsupported` for a filter that
    ///   this liblzma lacks.
    public func decode(
        _ source: RawSpan, filter: LZMA2Filter = .none, into target: inout MutableRawSpan
    ) throws(ImageError) {
        try chain.start(filter, encoding: false)
        let result = unsafe source.withUnsafeBytes { input in
            unsafe target.withUnsafeMutableBytes { output in
                Result { () throws(ImageError) in try unsafe decode(input, into: output) }
            }
        }
        try result.get()
    }

    private func decode(
        _ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(ImageError) {
        var progress = unsafe chain.run(input, output)
        if progress.result == LZMA_OK {
            // All of the target is filled: only the end marker may follow, and gives nothing.
            var spare: UInt8 = 0
            let rest = unsafe UnsafeRawBufferPointer(rebasing: input[progress.consumed...])
            let last = unsafe withUnsafeMutableBytes(of: &spare) { unsafe chain.run(rest, $0) }
            guard last.produced == 0 else { throw .damaged("an LZMA2 stream gives more than \(output.count) bytes") }
            progress.result = last.result
            progress.consumed += last.consumed
        }
        switch progress.result {
        case LZMA_STREAM_END: break
        case LZMA_MEM_ERROR: throw .noMemory(for: "LZMA2 decoder")
        case LZMA_BUF_ERROR:
            throw .damaged("an LZMA2 stream is cut short: it gave \(progress.produced) of \(output.count) bytes")
        default: throw .damaged("an LZMA2 stream is invalid after \(progress.produced) of \(output.count) bytes")
        }
        guard progress.produced == output.count else {
            throw .damaged("an LZMA2 stream ends after \(progress.produced) of \(output.count) bytes")
        }
        guard progress.consumed == input.count else {
            throw .damaged("\(input.count - progress.consumed) bytes follow the end of an LZMA2 stream")
        }
    }
}
