internal import ReimageCodecs
internal import ReimageCore

/// Compresses one cluster at a time.
final class ClusterEncoder: ChunkEncoder {
    private enum Method {
        case deflate(DeflateEncoder)
        case zstd(ZstdEncoder)
    }

    private let method: Method

    /// The fastest levels whose images of a real system are not larger than those of `qemu-img convert -c`.
    static func defaultLevel(_ type: CompressionType) -> Int {
        switch type {
        case .zlib: 1
        case .zstd: 3
        }
    }

    /// - Throws: `.invalidArgument` for a level that the method does not have.
    init(_ type: CompressionType, level: Int) throws(ImageError) {
        switch type {
        case .zlib: method = .deflate(try DeflateEncoder(level: level))
        case .zstd: method = .zstd(try ZstdEncoder(level: level))
        }
    }

    /// The output has room for one byte less than a cluster: what does not shrink is stored as it is.
    func encode(_ chunk: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Encoding {
        switch method {
        case .deflate(let encoder): try encoder.encode(chunk, into: &output) ? .coded(.deflate) : .plain
        case .zstd(let encoder): try encoder.encode(chunk, into: &output) ? .coded(.zstd) : .plain
        }
    }

    /// Any stream of the image's method will do, as readers take every window and level.
    func adopt(_ stored: RawSpan, _ form: StoredForm, of chunk: RawSpan) throws(ImageError) -> Encoding? {
        let codec: Codec =
            switch method {
            case .deflate: .deflate
            case .zstd: .zstd
            }
        return form.codec == codec && stored.byteCount < chunk.byteCount ? .coded(codec) : nil
    }
}
