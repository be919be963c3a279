import RawFormat
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Synchronization
import Testing

@Suite struct CopyTests {
    private func copyRaw(
        _ source: DiskContent, to sink: any ByteSink, threads: Int, digest: Bool = false
    ) throws -> CopySummary {
        var count: UInt64?
        if case .random(let disk) = source { count = disk.byteCount }
        let writer = try RawFormat().makeWriter(WritePlan(byteCount: count, sink: sink.traits))
        return try CopyJob(
            source, writer: writer, sink: sink, digest: digest, options: JobOptions(threadCount: threads)
        ).run()
    }

    @Test(arguments: [1, 2, 8])
    func rawTargetEqualsTheDisk(_ threads: Int) throws {
        for (index, count) in [0, 1, 511, 4097, 1 << 20, 9_999_999].enumerated() {
            let disk = ScriptedDisk(ScriptedDisk.mixed(count, seed: UInt64(index)))
            for digest in [false, true] {
                let target = MemoryStore([])
                let summary = try copyRaw(.random(disk), to: target, threads: threads, digest: digest)
                #expect(target.bytes == disk.bytes)
                #expect(summary.byteCount == UInt64(count))
                #expect((summary.digest != nil) == digest)
            }
        }
    }

    @Test func holesAreNotRead() throws {
        let disk = ScriptedDisk([(.hole, 64 << 20), (.data, 4096), (.zero, 64 << 20)])
        let target = MemoryStore([])
        _ = try copyRaw(.random(disk), to: target, threads: 2, digest: true)
        #expect(disk.reads == 1)
        #expect(target.bytes == disk.bytes)
    }

    @Test(arguments: [1, 2, 8])
    func anAppendOnlyTargetGetsBytesInOrder(_ threads: Int) throws {
        let disk = ScriptedDisk(ScriptedDisk.mixed(7_654_321, seed: 7))
        let sink = AppendingSink()
        _ = try copyRaw(.random(disk), to: sink, threads: threads)
        #expect(sink.bytes == disk.bytes)
    }

    @Test func aStreamIsCopiedToItsEnd() throws {
        let disk = ScriptedDisk(ScriptedDisk.mixed(3_000_001, seed: 3))
        for saying in [nil, UInt64(3_000_001)] {
            let target = MemoryStore([])
            let summary = try copyRaw(.stream(ScriptedStream(disk.bytes, saying: saying)), to: target, threads: 4)
            #expect(target.bytes == disk.bytes)
            #expect(summary.byteCount == 3_000_001)
        }
    }

    @Test func aStreamThatBreaksItsWordIsDamaged() throws {
        for saying in [UInt64(2_999_999), 3_000_002] {
            let error = #expect(throws: ImageError.self) {
                let stream = ScriptedStream([UInt8](repeating: 1, count: 3_000_001), saying: saying)
                _ = try copyRaw(.stream(stream), to: MemoryStore([]), threads: 4)
            }
            #expect(error?.code == .damaged)
        }
    }

    @Test(arguments: [1, 2, 8])
    func theFirstErrorStopsAll(_ threads: Int) throws {
        let disk = ScriptedDisk([(.data, 64 << 20)], badByte: 5_000_000)
        let error = #expect(throws: ImageError.self) {
            _ = try copyRaw(.random(disk), to: MemoryStore([]), threads: threads, digest: true)
        }
        #expect(error?.code == .unreadable)
        #expect(error?.place == .guest(GuestOffset(5_000_000)))
        #expect(disk.reads < 40, "the other threads went on although one had failed")
    }

    @Test func aFailingTargetStopsAll() throws {
        let disk = ScriptedDisk([(.data, 32 << 20)])
        let error = #expect(throws: ImageError.self) {
            _ = try copyRaw(.random(disk), to: AppendingSink(capacity: 3 << 20), threads: 4)
        }
        #expect(error?.code == .targetFailed)
    }

    @Test func cancellingEndsTheWork() throws {
        let options = JobOptions(threadCount: 4)
        options.cancellation.cancel()
        let disk = ScriptedDisk([(.data, 8 << 20)])
        let error = #expect(throws: ImageError.self) { try DiskContent.random(disk).digest(options) }
        #expect(error?.code == .cancelled)
    }

    @Test func unreadableBytesAreCounted() throws {
        let disk = ScriptedDisk([(.data, 1 << 20), (.unreadable, 4096), (.data, 4096), (.unreadable, 3 << 20)])
        let summary = try copyRaw(.random(disk), to: MemoryStore([]), threads: 2)
        #expect(summary.unreadableByteCount == 4096 + 3 << 20)
    }

    /// A writer that packs encoded chunks: places depend on the order, so any disorder changes the bytes.
    @Test(arguments: [1, 2, 8])
    func packedChunksComeInOrder(_ threads: Int) throws {
        let disk = ScriptedDisk(ScriptedDisk.mixed(11_111_111, seed: 5))
        func pack(_ threads: Int, barriers: Bool) throws -> [UInt8] {
            let sink = MemoryStore([])
            let job = CopyJob(
                .random(disk), writer: PackingWriter(barriers: barriers), sink: sink,
                options: JobOptions(threadCount: threads))
            _ = try job.run()
            return sink.bytes
        }
        let expected = try pack(1, barriers: false)
        #expect(try pack(threads, barriers: false) == expected)
        #expect(try pack(threads, barriers: true) == expected)
    }
}

/// A target that takes bytes only at its end, and no more than it has room for.
private final class AppendingSink: ByteSink {
    let name = "pipe"
    let traits = StoreTraits(abilities: .appendOnly)
    private let contents = Mutex<[UInt8]>([])
    private let capacity: Int

    init(capacity: Int = .max) { self.capacity = capacity }

    var bytes: [UInt8] { contents.withLock { $0 } }

    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let copy = try bytes.bytes(0..<bytes.byteCount)
        let failure: String? = contents.withLock { contents in
            if UInt64(contents.count) != offset.value { return "out of order" }
            if contents.count + copy.count > capacity { return "full" }
            contents += copy
            return nil
        }
        if let failure { throw ImageError(.targetFailed, failure) }
    }

    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        let zeros = [UInt8](repeating: 0, count: Int(range.count))
        try zeros.withBytes { (span) throws(ImageError) in try write(span, at: range.start) }
    }

    func setByteCount(_ count: UInt64) throws(ImageError) {}
    func sync() throws(ImageError) {}
}

/// Stores of every 64 KiB chunk its first bytes, as many as its last byte says, one behind the other.
private final class PackingWriter: ImageWriter {
    let needs = WriterNeeds(chunkSize: 65536, grainSize: 4096, padsLastChunk: true, encodedBound: 300)
    private var end: UInt64 = 0
    private var placed = 0
    private let barriers: Bool

    init(barriers: Bool) { self.barriers = barriers }

    func makeEncoder() throws(ImageError) -> (any ChunkEncoder)? { Encoder() }

    func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 { byteCount }

    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
        placement.append(.write(.metadata(Array("skip \(range);".utf8)), at: HostOffset(end)))
        end += UInt64("skip \(range);".utf8.count)
    }

    func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError) {
        placed += 1
        if barriers, placed.isMultiple(of: 5) { placement.append(.barrier) }
        guard case .coded = chunk.encoding else { return }
        placement.append(.write(.encoded(chunk.encoded), at: HostOffset(end)))
        end += UInt64(chunk.encoded.count)
    }

    func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
        placement.append(.write(.metadata(Array("end \(disk.byteCount)".utf8)), at: HostOffset(end)))
    }

    private final class Encoder: ChunkEncoder {
        func encode(_ chunk: RawSpan, into output: inout OutputRawSpan) throws(ImageError) -> Encoding {
            if chunk.isZero { return .zero }
            let count = Int(try chunk.big(UInt8.self, at: 65535)) + 1
            output.append(contentsOf: chunk.extracting(0..<count))
            return .coded(Codec("first bytes"))
        }
    }
}
