internal import ReimageCodecs
internal import ReimageCore

/// What a writer must know of a chunk that was encoded: how it is stored, and its proofs.
struct ChunkFacts: Hashable, Sendable {
    var method: ChunkMethod
    /// The checksum of the stored bytes.
    var payloadCheck: UInt64
    /// The node of the chunk.
    var hash: Hash256

    /// The facts as ``ReimageCore/Chunk/facts`` carries them.
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 10 + Hash256.byteCount)
        bytes.withMutableBytes { span in
            span.storeLittle(method.codec.rawValue, at: 0)
            span.storeLittle(method.filter.rawValue, at: 1)
            span.storeLittle(payloadCheck, at: 2)
            hash.store(in: &span, at: 10)
        }
        return bytes
    }

    init(method: ChunkMethod, payloadCheck: UInt64, hash: Hash256) {
        self.method = method
        self.payloadCheck = payloadCheck
        self.hash = hash
    }

    init(decoding bytes: RawSpan) throws(ImageError) {
        method = try ChunkMethod(codec: bytes.little(at: 0), filter: bytes.little(at: 1), at: .zero)
        payloadCheck = try bytes.little(at: 2)
        hash = try Hash256(bytes.extracting(10..<bytes.byteCount))
    }
}

/// Hashes and encodes one chunk at a time.
///
/// - Source: archive specification 1.0, sections 6 and 7.1.
final class ArchiveEncoder: ChunkEncoder {
    private enum Engine {
        case store
        case deflate(DeflateEncoder)
        case zstd(ZstdEncoder)
        case lzma2(LZMA2Encoder, [LZMA2Filter])
    }

    private let geometry: Geometry
    private let isSizeLate: Bool
    private let engine: Engine
    private let probe: ZstdEncoder?
    /// Results of the chunk in hand: the shortest so far, and the one being made.
    private var best = AlignedBuffer(byteCount: 0)
    private var trial = AlignedBuffer(byteCount: 0)
    private(set) var facts: [UInt8] = []

    init(_ settings: WriterSettings, _ geometry: Geometry, isSizeLate: Bool) throws(ImageError) {
        self.geometry = geometry
        self.isSizeLate = isSizeLate
        let size = Int(geometry.chunkSize)
        engine =
            switch settings.coding {
            case .store: .store
            case .deflate(let level): .deflate(try DeflateEncoder(level: level))
            case .zstd(let level): .zstd(try ZstdEncoder(level: level, chunkSize: size))
            case .lzma2(let filters): .lzma2(try LZMA2Encoder(dictionarySize: size), filters)
            }
        probe = settings.probes ? try ZstdEncoder(level: 1, chunkSize: size) : nil
    }

    func encode(_ chunk: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Encoding {
        facts = []
        guard !chunk.isZero else { return .zero }
        // Of a short chunk of a disk whose length is not known, the writer knows where it lies, and raises the node.
        let height = isSizeLate ? min(geometry.chunkHeight, DigestTree.height(ofDisk: UInt64(chunk.byteCount))) : nil
        let hash = Geometry.node(ofChunk: chunk, height: height ?? geometry.chunkHeight)
        guard let (method, count) = try shrink(chunk) else {
            facts = ChunkFacts(method: ChunkMethod(.store), payloadCheck: XXH3.hash64(chunk), hash: hash).bytes
            return .plain
        }
        best.withBytes(0..<count) { payload in
            facts = ChunkFacts(method: method, payloadCheck: XXH3.hash64(payload), hash: hash).bytes
            output.append(contentsOf: payload)
        }
        return .coded(Codec("\(method.codec)"))
    }

    /// Takes chunks of the codec in use, whatever its level, and what another archive found not to shrink.
    func adopt(_ stored: RawSpan, _ form: StoredForm, of chunk: RawSpan) throws(ImageError) -> Encoding? {
        guard !isSizeLate, let method = method(named: form.codec) else { return nil }
        switch method.codec {
        case .zstd:
            guard ZstdDecoder.isSingleFrame(stored, of: chunk.byteCount, windowLogMax: geometry.chunkLog2) else {
                return nil
            }
        case .store, .deflate, .lzma2: break
        }
        let isStored = method.codec == .store
        guard isStored || 1...chunk.byteCount ~= stored.byteCount else { return nil }
        let hash = try form.node?.withBytes { (bytes) throws(ImageError) in try Hash256(bytes) }
        facts =
            ChunkFacts(
                method: method, payloadCheck: XXH3.hash64(isStored ? chunk : stored),
                hash: hash ?? Geometry.node(ofChunk: chunk, height: geometry.chunkHeight)
            ).bytes
        return isStored ? .plain : .coded(form.codec)
    }

    /// The method called `name`, where the archive's header allows it.
    private func method(named name: Codec) -> ChunkMethod? {
        var known = [ChunkMethod(.store)]
        switch engine {
        case .store: break
        case .deflate: known.append(ChunkMethod(.deflate))
        case .zstd: known.append(ChunkMethod(.zstd))
        case .lzma2(_, let filters): known += filters.map { ChunkMethod(.lzma2, filter: $0) }
        }
        return known.first { $0.name == name }
    }

    /// Whether `stored` bytes are worth it, for a chunk of `raw`.
    private static func saves(_ stored: Int, of raw: Int) -> Bool { stored + raw / 64 < raw }

    /// Puts the shortest form of `chunk` into `best`; `nil` where it is better stored as it is.
    private func shrink(_ chunk: RawSpan) throws(ImageError) -> (ChunkMethod, Int)? {
        if case .store = engine { return nil }
        if best.byteCount == 0 {
            best = AlignedBuffer(byteCount: Int(geometry.chunkSize))
            trial = AlignedBuffer(byteCount: Int(geometry.chunkSize))
        }
        if let probe, chunk.byteCount >= 32768 {
            let start = chunk.extracting(0..<max(4096, chunk.byteCount / 8))
            let count = try attempt(start) { (source, output) throws(ImageError) in
                try probe.encode(source, into: &output)
            }
            guard let count, Self.saves(count, of: start.byteCount) else { return nil }
        }
        var found: (method: ChunkMethod, count: Int)?
        switch engine {
        case .store: return nil
        case .deflate(let encoder):
            try keep(ChunkMethod(.deflate), of: chunk, if: &found) { (source, output) throws(ImageError) in
                try encoder.encode(source, into: &output)
            }
        case .zstd(let encoder):
            try keep(ChunkMethod(.zstd), of: chunk, if: &found) { (source, output) throws(ImageError) in
                try encoder.encode(source, into: &output)
            }
        case .lzma2(let encoder, let filters):
            for filter in filters {
                try keep(ChunkMethod(.lzma2, filter: filter), of: chunk, if: &found) {
                    (source, output) throws(ImageError) in
                    try encoder.encode(source, filter: filter, into: &output)
                }
            }
        }
        guard let found, Self.saves(found.count, of: chunk.byteCount) else { return nil }
        return (found.method, found.count)
    }

    private typealias Encode = (RawSpan, inout OutputRawSpan) throws(ImageError) -> Bool

    /// Encodes `chunk` into `trial`; `nil` where it does not get shorter.
    private func attempt(_ chunk: RawSpan, _ encode: Encode) throws(ImageError) -> Int? {
        var fits = false
        let count = try trial.fill(0..<chunk.byteCount) { (output) throws(ImageError) in
            fits = try encode(chunk, &output)
        }
        return fits ? count : nil
    }

    /// Encodes `chunk`, and keeps the result where it is shorter than what was `found` before.
    private func keep(
        _ method: ChunkMethod, of chunk: RawSpan, if found: inout (method: ChunkMethod, count: Int)?, _ encode: Encode
    ) throws(ImageError) {
        guard let count = try attempt(chunk, encode), count < found?.count ?? .max else { return }
        swap(&best, &trial)
        found = (method, count)
    }
}
