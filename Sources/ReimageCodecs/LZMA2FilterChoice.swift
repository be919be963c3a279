internal import CLZMA
public import ReimageCore

/// Tells which filter lets LZMA2 make a source shortest, by encoding some of it with little effort.
///
/// The answer follows from the source alone: each filter is tried on the same pieces, with liblzma's preset 0. It is that
/// of trying them all in earnest for nearly every chunk, and within some thousandths of the length for the others. Make
/// one a thread.
@safe
public final class LZMA2FilterChoice {
    /// Of sources longer than `stride`, one piece of `piece` bytes is tried in each stride; others are tried whole.
    static let piece = 64 << 10
    static let stride = 512 << 10

    // SAFETY (whole file): buffers are lent to the chain for the length of one call.
    private let chain: LZMA2Chain
    private var output = [UInt8](repeating: 0, count: 64 << 10)

    public init() throws(ImageError) { chain = try Self.makeChain() }

    private static func makeChain() throws(ImageError) -> LZMA2Chain {
        try LZMA2Chain(dictionarySize: 256 << 10, preset: 0)
    }

    /// What a choice holds, in bytes.
    public static var byteCount: Int { (try? makeChain().encoderByteCount) ?? 0 }

    /// The one of `filters` that makes `source` shortest, as far as its pieces tell; of equals the first.
    /// - Throws: `.exhausted` where there is no memory, `.unsupported` for a filter that this liblzma lacks.
    public func best(of filters: [LZMA2Filter], for source: RawSpan) throws(ImageError) -> LZMA2Filter {
        guard var best = filters.first, filters.count > 1 else { return filters.first ?? .none }
        var least = Int.max
        for filter in filters {
            let count = try encodedByteCount(source, filter)
            if count < least { (best, least) = (filter, count) }
        }
        return best
    }

    private func encodedByteCount(_ source: RawSpan, _ filter: LZMA2Filter) throws(ImageError) -> Int {
        let isWhole = source.byteCount <= Self.stride
        var count = 0
        for start in Swift.stride(from: 0, to: source.byteCount, by: Self.stride) {
            let end = isWhole ? source.byteCount : min(start + Self.piece, source.byteCount)
            try chain.start(filter, encoding: true)
            let result = unsafe source.extracting(start..<end).withUnsafeBytes { piece in
                Result { () throws(ImageError) in try unsafe encodedByteCount(piece) }
            }
            count += try result.get()
        }
        return count
    }

    /// How much comes out of the chain for `piece`.
    private func encodedByteCount(_ piece: UnsafeRawBufferPointer) throws(ImageError) -> Int {
        var (consumed, produced) = (0, 0)
        while true {
            let rest = unsafe UnsafeRawBufferPointer(rebasing: piece[consumed...])
            let progress = unsafe output.withUnsafeMutableBytes { unsafe chain.run(rest, $0) }
            consumed += progress.consumed
            produced += progress.produced
            switch progress.result {
            case LZMA_STREAM_END: return produced
            case LZMA_OK: continue
            default: throw .noMemory(for: "LZMA2 encoder")
            }
        }
    }
}
