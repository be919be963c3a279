public import ReimageCore

extension FormatConformance {
    /// How a disk is cut up for a writer.
    public struct ChunkMix: Hashable, Sendable, CustomStringConvertible {
        /// How many chunks go into one batch.
        public var chunksPerBatch: Int
        /// Whether runs of chunks that are zeros are skipped, not placed.
        public var skipsZeros: Bool
        /// Whether zeros inside chunks are marked in the grain map.
        public var marksZeros: Bool
        /// What zeros are called.
        public var zeroKind: Extent.Kind
        /// Whether batches come last to first, for writers that do not mind.
        public var isReversed: Bool
        /// Whether the writer is told the disk's length beforehand.
        public var tellsByteCount: Bool

        public init(
            chunksPerBatch: Int = 1, skipsZeros: Bool = true, marksZeros: Bool = true, zeroKind: Extent.Kind = .zero,
            isReversed: Bool = false, tellsByteCount: Bool = true
        ) {
            self.chunksPerBatch = chunksPerBatch
            self.skipsZeros = skipsZeros
            self.marksZeros = marksZeros
            self.zeroKind = zeroKind
            self.isReversed = isReversed
            self.tellsByteCount = tellsByteCount
        }

        /// The mixes that ``FormatConformance/checkWriter(_:plan:mixes:context:)`` goes through.
        public static let all = [
            ChunkMix(), ChunkMix(chunksPerBatch: 4), ChunkMix(skipsZeros: false, zeroKind: .hole),
            ChunkMix(skipsZeros: false, marksZeros: false), ChunkMix(chunksPerBatch: 3, zeroKind: .hole),
            ChunkMix(chunksPerBatch: 2, zeroKind: .unreadable), ChunkMix(chunksPerBatch: 2, isReversed: true),
        ]

        public var description: String {
            "\(chunksPerBatch) chunks a batch, zeros \(skipsZeros ? "skipped" : "placed") as \(zeroKind)"
                + "\(marksZeros ? "" : ", not marked")\(isReversed ? ", last to first" : "")"
                + "\(tellsByteCount ? "" : ", length unknown")"
        }
    }

    /// What the format writes of `guest` it reads back as the same, for every mix; steps between barriers never overlap.
    ///
    /// - Parameter plan: the options and the target's traits; the disk's length is filled in.
    public func checkWriter(
        _ guest: [UInt8], plan: WritePlan = WritePlan(byteCount: nil), mixes: [ChunkMix] = ChunkMix.all,
        context: OpenContext = OpenContext()
    ) throws {
        for mix in mixes {
            var sample = Sample("written with \(mix)", image: [], guest: guest, context: context)
            sample.image = try write(guest, plan: plan, mix: mix)
            try compare(try content(of: sample).allBytes(), guest[...], "reading back", sample)
        }
    }

    /// The image that the format's writer makes of `guest`.
    public func write(
        _ guest: [UInt8], plan: WritePlan = WritePlan(byteCount: nil), mix: ChunkMix = ChunkMix()
    ) throws -> [UInt8] {
        var plan = plan
        plan.byteCount = mix.tellsByteCount ? UInt64(guest.count) : nil
        let run = try WriterRun(guest, format.makeWriter(plan), mix, MemoryStore([], traits: plan.sink))
        do { return try run.image() } catch let problem as WriterRun.Problem {
            throw failure("\(problem.text) (\(mix))", Sample("written", image: [], guest: guest))
        }
    }
}

/// One disk on its way through a writer into memory.
final class WriterRun {
    struct Problem: Error { let text: String }

    private let guest: [UInt8]
    private let writer: any ImageWriter
    private let encoder: (any ChunkEncoder)?
    private let mix: FormatConformance.ChunkMix
    private let target: MemoryStore
    /// What was touched since the last barrier.
    private var touched: [HostRange] = []

    init(_ guest: [UInt8], _ writer: any ImageWriter, _ mix: FormatConformance.ChunkMix, _ target: MemoryStore) throws {
        self.guest = guest
        self.writer = writer
        encoder = try writer.makeEncoder()
        self.mix = mix
        self.target = target
    }

    func image() throws -> [UInt8] {
        let needs = writer.needs
        guard needs.chunkSize > 0, needs.chunkSize & (needs.chunkSize - 1) == 0,
            needs.grainSize > 0, needs.grainSize & (needs.grainSize - 1) == 0, needs.grainSize <= needs.chunkSize
        else { throw Problem(text: "chunks of \(needs.chunkSize) with grains of \(needs.grainSize) bytes") }
        var placement = Placement()
        try writer.begin(into: &placement)
        try carryOut(placement, input: [], encoded: [])
        let batchSize = needs.chunkSize * mix.chunksPerBatch
        var starts = Array(stride(from: 0, to: guest.count, by: batchSize))
        if mix.isReversed, !needs.ascending { starts.reverse() }
        for start in starts {
            let end = min(start + batchSize, guest.count)
            if end == guest.count, !mix.tellsByteCount { try writer.diskEnds(at: GuestOffset(UInt64(end))) }
            try writeBatch(start..<end)
        }
        placement.removeAll()
        try writer.finish(WrittenDisk(byteCount: UInt64(guest.count)), into: &placement)
        try carryOut(placement, input: [], encoded: [])
        return target.bytes
    }

    private func writeBatch(_ range: Range<Int>) throws {
        let needs = writer.needs
        var input = Array(guest[range])
        if needs.padsLastChunk {
            let rest = input.count % needs.chunkSize
            if rest > 0 { input += [UInt8](repeating: 0, count: needs.chunkSize - rest) }
        }
        var map = GrainMap(grainSize: needs.grainSize, capacity: input.count)
        map.reset(byteCount: input.count, to: .data)
        if mix.marksZeros { markZeros(of: input, grain: needs.grainSize, in: &map) }
        var placement = Placement()
        var encoded: [UInt8] = []
        var start = 0
        while start < input.count {
            var end = min(start + needs.chunkSize, input.count)
            let place = GuestOffset(UInt64(range.lowerBound + start))
            if mix.skipsZeros, input[start..<end].isZero {
                while end < input.count, input[end..<min(end + needs.chunkSize, input.count)].isZero {
                    end = min(end + needs.chunkSize, input.count)
                }
                // A run ends with the disk, whatever the padding.
                let used = min(end, range.count) - start
                try writer.skip(mix.zeroKind, GuestRange(start: place, count: UInt64(used)), into: &placement)
            } else {
                // The range ends with the disk, the input with the padding.
                let used = min(end, range.count) - start
                var chunk = Chunk(
                    range: GuestRange(start: place, count: UInt64(used)), encoding: .plain, input: start..<end)
                if map.hasData(in: start..<end) {
                    try encode(Array(input[start..<end]), &chunk, into: &encoded)
                } else if encoder != nil {
                    chunk.encoding = .zero
                }
                try writer.place(chunk, map: map, into: &placement)
            }
            start = end
        }
        try carryOut(placement, input: input, encoded: encoded)
    }

    private func markZeros(of input: [UInt8], grain: Int, in map: inout GrainMap) {
        for start in stride(from: 0, to: input.count, by: grain) {
            let range = start..<min(start + grain, input.count)
            if input[range].isZero { map.set(mix.zeroKind, in: range) }
        }
    }

    private func encode(_ bytes: [UInt8], _ chunk: inout Chunk, into encoded: inout [UInt8]) throws {
        guard let encoder else { return }
        let bound = writer.needs.encodedBound
        var buffer = AlignedBuffer(byteCount: max(bound, 1))
        var encoding = Encoding.plain
        let count = try buffer.fill(0..<bound) { (output) throws(ImageError) in
            try bytes.withBytes { (chunk) throws(ImageError) in encoding = try encoder.encode(chunk, into: &output) }
        }
        chunk.encoding = encoding
        chunk.facts = encoder.facts
        guard case .coded = encoding else { return }
        chunk.encoded = encoded.count..<encoded.count + count
        encoded += try buffer.withBytes(0..<count) { (span) throws(ImageError) in try span.bytes(0..<count) }
    }

    private func carryOut(_ placement: Placement, input: [UInt8], encoded: [UInt8]) throws {
        for step in placement.steps {
            switch step {
            case .write(let source, let place, .image):
                let bytes: [UInt8] =
                    switch source {
                    case .input(let range): Array(input[range])
                    case .encoded(let range): Array(encoded[range])
                    case .metadata(let bytes): bytes
                    }
                try touch(HostRange(start: place, count: UInt64(bytes.count)))
                try bytes.withBytes { (span) throws(ImageError) in try target.write(span, at: place) }
            case .zero(let range, let mode, .image):
                try touch(range)
                try target.zero(range, mode: mode)
            case .setByteCount(let count, .image): try target.setByteCount(count)
            case .write, .zero, .setByteCount: throw Problem(text: "a step for a second file")
            case .barrier: touched.removeAll()
            case .checkpoint: break
            }
        }
    }

    private func touch(_ range: HostRange) throws {
        if range.isEmpty { throw Problem(text: "an empty step at \(range.start)") }
        if let other = touched.first(where: { $0.start < range.end && range.start < $0.end }) {
            throw Problem(text: "steps overlap: \(other) and \(range)")
        }
        if let last = touched.last, last.end == range.start {
            touched[touched.count - 1] = HostRange(from: last.start, to: range.end)
        } else {
            touched.append(range)
        }
    }
}
