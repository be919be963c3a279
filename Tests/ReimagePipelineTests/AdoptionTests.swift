import Reimage
import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Synchronization
import Testing

/// How often chunks are encoded, and how often they are taken over.
@Suite struct AdoptionTests {
    private static let clusterSize = 65_536

    /// 40 clusters: of text, but every fifth is noise and every seventh zeros.
    private static let bytes: [UInt8] = {
        var random = SeededGenerator(seed: 5)
        return (0..<40).flatMap { cluster -> [UInt8] in
            if cluster % 7 == 6 { return [UInt8](repeating: 0, count: clusterSize) }
            if cluster % 5 == 4 { return (0..<clusterSize).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
            return (0..<clusterSize).map { UInt8(truncatingIfNeeded: ($0 / 64 &+ cluster) ^ $0 % 7) }
        }
    }()

    private func plan(_ options: [String: String], recompresses: Bool = false, level: Int? = nil) -> WritePlan {
        var plan = WritePlan(
            byteCount: UInt64(Self.bytes.count), options: options, compression: CompressionRequest(level: level))
        plan.recompresses = recompresses
        return plan
    }

    private func write(
        _ disk: any BlockDevice, _ plan: WritePlan, base: (any BlockDevice)? = nil
    ) throws -> (image: [UInt8], counts: Counts) {
        let counts = Counts()
        let format = try FormatRegistry.standard.writableFormat(named: "qcow2")
        let sink = MemoryStore([])
        let writer = CountingWriter(try format.makeWriter(plan), counts)
        var job = CopyJob(.random(disk), writer: writer, sink: sink, options: JobOptions(threadCount: 2))
        job.base = base
        _ = try job.run()
        return (sink.bytes, counts)
    }

    private func open(_ image: [UInt8]) throws -> any BlockDevice {
        let format = try FormatRegistry.standard.format(named: "qcow2")
        let source = ImageSource(store: MemoryStore(image))
        guard case .random(let disk) = try format.open(source, OpenContext()).content() else {
            throw ImageError(.unsupported, "no disk")
        }
        return disk
    }

    @Test(arguments: ["zlib", "zstd"])
    func whatWasCompressedIsNotEncodedAgain(_ codec: String) throws {
        let plan = plan(["compression_type": codec])
        let first = try write(MemoryDisk(Self.bytes), plan)
        // Zeros are never encoded; noise is tried, and stored as it is.
        #expect(first.counts.adopted == 0 && first.counts.encoded == 35)
        let noise = (0..<40).count { $0 % 5 == 4 && $0 % 7 != 6 }
        let second = try write(open(first.image), plan)
        #expect(second.counts.adopted == 35 - noise && second.counts.encoded == noise)
        #expect(second.image == first.image)
        for other in [
            self.plan(["compression_type": codec], recompresses: true),
            self.plan(["compression_type": codec], level: 2),
            self.plan(["compression_type": codec == "zlib" ? "zstd" : "zlib"]),
            self.plan(["compression_type": codec, "cluster_size": "128k"]),
        ] {
            #expect(try write(open(first.image), other).counts.adopted == 0)
        }
        let compared = try write(open(first.image), plan, base: MemoryDisk(Self.bytes))
        #expect(compared.counts.adopted == 0)
    }

    /// The tally of one copy.
    private final class Counts: Sendable {
        private let state = Mutex((encoded: 0, adopted: 0))
        var encoded: Int { state.withLock { $0.encoded } }
        var adopted: Int { state.withLock { $0.adopted } }
        func encode() { state.withLock { $0.encoded += 1 } }
        func adopt() { state.withLock { $0.adopted += 1 } }
    }

    /// A writer that is `writer`, and counts what its encoders do.
    private final class CountingWriter: ImageWriter {
        private let writer: any ImageWriter
        private let counts: Counts

        init(_ writer: any ImageWriter, _ counts: Counts) {
            self.writer = writer
            self.counts = counts
        }

        var needs: WriterNeeds { writer.needs }

        func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 {
            try writer.mostBytes(forDisk: byteCount)
        }
        func makeEncoder() throws(ImageError) -> (any ChunkEncoder)? {
            guard let encoder = try writer.makeEncoder() else { return nil }
            return CountingEncoder(encoder, counts)
        }
        func begin(into placement: inout Placement) throws(ImageError) { try writer.begin(into: &placement) }
        func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
            try writer.skip(kind, range, into: &placement)
        }
        func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError) {
            try writer.place(chunk, map: map, into: &placement)
        }
        func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
            try writer.finish(disk, into: &placement)
        }
    }

    private final class CountingEncoder: ChunkEncoder {
        private let encoder: any ChunkEncoder
        private let counts: Counts

        init(_ encoder: any ChunkEncoder, _ counts: Counts) {
            self.encoder = encoder
            self.counts = counts
        }

        var facts: [UInt8] { encoder.facts }

        func encode(_ chunk: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Encoding {
            counts.encode()
            return try encoder.encode(chunk, into: &output)
        }

        func adopt(_ stored: RawSpan, _ form: StoredForm, of chunk: RawSpan) throws(ImageError) -> Encoding? {
            let encoding = try encoder.adopt(stored, form, of: chunk)
            if encoding != nil { counts.adopt() }
            return encoding
        }
    }
}
