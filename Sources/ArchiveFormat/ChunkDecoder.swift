internal import ReimageCodecs
internal import ReimageCore

/// Decodes chunks by every method of 1.0; one a thread. Decoders are made when they are first needed.
final class ChunkDecoder {
    private let chunkLog2: Int
    private var deflate: DeflateDecoder?
    private var zstd: ZstdDecoder?
    private var lzma2: LZMA2Decoder?

    init(chunkLog2: Int) { self.chunkLog2 = chunkLog2 }

    /// Fills `target`, which has the chunk's length, with what `payload`, all of it, decodes to.
    /// - Throws: `.damaged` where it does not, `.exhausted` where there is no memory.
    func decode(
        _ payload: RawSpan, _ method: ChunkMethod, into target: inout MutableRawSpan
    ) throws(ImageError) {
        switch method.codec {
        case .store:
            guard payload.byteCount == target.byteCount else {
                throw .damaged("a stored chunk has \(payload.byteCount) of \(target.byteCount) bytes")
            }
            target.copy(from: payload)
        case .deflate:
            let decoder = try Self.ready(&deflate) { () throws(ImageError) in try DeflateDecoder() }
            try decoder.decodeWhole(payload, into: &target)
        case .zstd:
            let windowLog = chunkLog2
            let decoder = try Self.ready(&zstd) { () throws(ImageError) in try ZstdDecoder(windowLogMax: windowLog) }
            try decoder.decodeSingleFrame(payload, into: &target)
        case .lzma2:
            let size = 1 << chunkLog2
            let decoder = try Self.ready(&lzma2) { () throws(ImageError) in
                try LZMA2Decoder(dictionarySize: size)
            }
            try decoder.decode(payload, filter: method.filter, into: &target)
        }
    }

    private static func ready<Decoder>(
        _ decoder: inout Decoder?, _ make: () throws(ImageError) -> Decoder
    ) throws(ImageError) -> Decoder {
        if let decoder { return decoder }
        let made = try make()
        decoder = made
        return made
    }
}
