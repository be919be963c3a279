import Reimage
import ReimageCore
import ReimagePipeline
import ReimageSystem
import TestSupport
import Testing

/// What a program that embeds the library calls.
@Suite struct LibraryTests {
    private let scratch = Scratch()

    @Test func convertsFromAsyncCode() async throws {
        let bytes = pattern(2_345_678)
        scratch.write(bytes, to: "in.raw")
        let source = try ImageOpener().open(scratch.file("in.raw"), format: .raw)
        let summary = try await Conversion(to: scratch.file("out.raw"), format: .raw, verifies: true).runAsync(source)
        #expect(summary.byteCount == UInt64(bytes.count))
        #expect(try source.image.content().digest() == summary.digest)
        #expect(scratch.read("out.raw") == bytes)
    }

    @Test func cancellingTheTaskLeavesNothing() async throws {
        scratch.write([UInt8](repeating: 7, count: 4 << 20), to: "in.raw")
        let source = try ImageOpener().open(scratch.file("in.raw"), format: .raw)
        // The second batch would be due in days: however late this test gets its turn, the conversion still runs.
        let conversion = Conversion(
            to: scratch.file("out.raw"), format: .raw, options: JobOptions(threadCount: 2, bytesPerSecond: 1))
        let task = Task { try await conversion.runAsync(source) }
        while conversion.options.progress.done == 0 { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        let error = await #expect(throws: ImageError.self) { try await task.value }
        #expect(error?.code == .cancelled)
        #expect(scratch.names == ["in.raw"])
    }

    @Test func aRegistryTakesAnotherFormat() throws {
        let registry = FormatRegistry.standard.adding(Reversed())
        #expect(try registry.format(named: "reversed").name == "reversed")
        #expect(try registry.format(named: "raw").name == .raw)
        scratch.write(Array("REVERSED".utf8) + pattern(5000), to: "in.rev")
        let opened = try ImageOpener(registry: registry).open(scratch.file("in.rev"))
        #expect(opened.image.format == "reversed")
        let error = #expect(throws: ImageError.self) { try registry.format(named: "none") }
        #expect(error?.code == .invalidArgument)
        #expect(error?.advice?.contains("reversed") == true)
    }

    @Test func aMediumThatLiesIsFoundOut() throws {
        scratch.write(pattern(3 << 20), to: "in.raw")
        let source = try ImageOpener().open(scratch.file("in.raw"), format: .raw)
        let registry = FormatRegistry.standard.adding(LyingRaw())
        let error = #expect(throws: ImageError.self) {
            try Conversion(to: scratch.file("out.raw"), format: .raw, verifies: true, registry: registry).run(source)
        }
        #expect(error?.code == .mismatch)
        #expect(scratch.names == ["in.raw"])
    }
}

/// A format of a third party.
private struct Reversed: ImageFormat {
    let name: FormatName = "reversed"
    let summary = "for tests"

    func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult {
        (try? head.text(0..<8)) == "REVERSED" ? .yes : .no
    }

    func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage { Image() }

    private struct Image: DiskImage {
        let format: FormatName = "reversed"
        func content() throws(ImageError) -> DiskContent { .random(EmptyDisk(byteCount: 512)) }
        func info() throws(ImageError) -> ImageInfo { ImageInfo(virtualSize: 512) }
    }
}

/// Raw, but what is written has one bit turned: as a medium would do it.
private struct LyingRaw: ImageFormat {
    let name = FormatName.raw
    let summary = "for tests"
    let writerOptions: [WriterOption]? = []

    func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult { .no }

    func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
        try FormatRegistry.standard.format(named: .raw).open(source, context)
    }

    func makeWriter(_ plan: WritePlan) throws(ImageError) -> any ImageWriter {
        Writer(try FormatRegistry.standard.format(named: .raw).makeWriter(plan))
    }

    private final class Writer: ImageWriter {
        private let raw: any ImageWriter
        init(_ raw: any ImageWriter) { self.raw = raw }
        var needs: WriterNeeds { raw.needs }

        func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 { byteCount }

        func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
            try raw.skip(kind, range, into: &placement)
        }

        func place(
            _ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement
        ) throws(ImageError) {
            try raw.place(chunk, map: map, into: &placement)
        }

        func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
            try raw.finish(disk, into: &placement)
            placement.append(.write(.metadata([0x55]), at: HostOffset(1_234_567)))
        }
    }
}
