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
        case lzma2(LZMA2Encoder, LZMA2FilterChoice, [LZMA2Filter])
    }

    private let geometry: Geometry
    private let isSizeLate: Bool
    private let engine: Engine
    private let probe: ZstdEncoder?
    /// What the probe gives.
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
            case .lzma2(let filters):
                .lzma2(try LZMA2Encoder(dictionarySize: size), try LZMA2FilterChoice(), filters)
            }
        probe = settings.probes ? try ZstdEncoder(level: 1, chunkSize: size) : nil
    }

    func encode(_ chunk: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Encoding {
        facts = []
        guard !chunk.isZero else { return .zero }
        // Of a short chunk of a disk whose length is not known, the writer knows where it lies, and raises the node.
        let height = isSizeLate ? min(geometry.chunkHeight, DigestTree.height(ofDisk: UInt64(chunk.byteCount))) : nil
        let hash = Geometry.node(ofChunk: chunk, height: height ?? geometry.chunkHeight)
        let start = output.byteCount
        guard let method = try shrink(chunk, into: &output) else {
            facts = ChunkFacts(method: ChunkMethod(.store), payloadCheck: XXH3.hash64(chunk), hash: hash).bytes
            return .plain
        }
        let check = XXH3.hash64(output.bytes.extracting(start..<output.byteCount))
        facts = ChunkFacts(method: method, payloadCheck: check, hash: hash).bytes
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
        case .lzma2(_, _, let filters): known += filters.map { ChunkMethod(.lzma2, filter: $0) }
        }
        return known.first { $0.name == name }
    }

    /// Whether `stored` bytes are worth it, for a chunk of `raw`.
    private static func saves(_ stored: Int, of raw: Int) -> Bool { stored + raw / 64 < raw }

    /// Appends the shortest form of `chunk` to `output`; gives `nil`, and appends nothing, where the chunk is better
    /// stored as it is.
    private func shrink(_ chunk: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> ChunkMethod? {
        guard try passesProbe(chunk) else { return nil }
        let start = output.byteCount
        var found: ChunkMethod?
        switch engine {
        case .store: break
        case .deflate(let encoder):
            if try encoder.encode(chunk, into: &output) { found = ChunkMethod(.deflate) }
        case .zstd(let encoder):
            if try encoder.encode(chunk, into: &output) { found = ChunkMethod(.zstd) }
        case .lzma2(let encoder, let choice, let filters):
            let filter = try choice.best(of: filters, for: chunk)
            if try encoder.encode(chunk, filter: filter, into: &output) {
                found = ChunkMethod(.lzma2, filter: filter)
            }
        }
        let count = output.byteCount - start
        if found != nil, Self.saves(count, of: chunk.byteCount) { return found }
        output.removeLast(count)
        return nil
    }

    /// Whether the start of `chunk` gets shorter by the fastest means, where that is asked first.
    private func passesProbe(_ chunk: RawSpan) throws(ImageError) -> Bool {
        guard let probe, chunk.byteCount >= 32768 else { return true }
        let start = chunk.extracting(0..<max(4096, chunk.byteCount / 8))
        let bound = Self.bound(ofChunk: start.byteCount)
        if trial.byteCount < bound { trial = AlignedBuffer(byteCount: bound) }
        var fits = false
        let count = try trial.fill(0..<bound) { (output) throws(ImageError) in
            fits = try probe.encode(start, into: &output)
        }
        return fits && Self.saves(count, of: start.byteCount)
    }

    /// The room in which every library encodes a chunk of `byteCount` bytes without a detour, whatever it holds.
    static func bound(ofChunk byteCount: Int) -> Int { byteCount + byteCount / 128 + 1024 }
}
