import RawFormat
import ReimageCore
import ReimageTesting
import Testing

@Suite struct RawFormatTests {
    private let format = RawFormat()

    @Test(arguments: [0, 1, 511, 512, 513, 4096, 100_001, 1 << 20, (1 << 20) + 1, 3_333_333])
    func conformance(count: Int) throws {
        let bytes = PatternDisk.bytes(count: count, seed: UInt64(count))
        var sample = FormatConformance.Sample("raw of \(count)", image: bytes, guest: bytes)
        sample.isRecognised = false
        sample.cutGivesShorterDisk = true
        try FormatConformance(format).run(sample)
    }

    @Test func holesOfTheHost() throws {
        let bytes = PatternDisk.bytes(count: 300_000)
        let store = MemoryStore(bytes, holeSize: 4096)
        guard case .random(let disk) = try format.open(ImageSource(store: store), OpenContext()).content() else {
            Issue.record("a store is no stream")
            return
        }
        let sample = FormatConformance.Sample("holes", image: bytes, guest: bytes)
        try FormatConformance(format).checkExtents(of: disk, sample)
        var kinds = Set<Extent.Kind>()
        var offset: UInt64 = 0
        while offset < disk.byteCount {
            let run = try disk.extent(at: GuestOffset(offset), limit: .max)
            kinds.insert(run.kind)
            offset += run.count
        }
        #expect(kinds == [.data, .zero], "there is no layer below that a hole could show")
        let asked = try store.extent(at: .zero, limit: .max)
        for detail in [ExtentDetail.tables, .storage] {
            let run = try disk.extent(at: .zero, limit: .max, layers: .top, detail: detail)
            #expect(run.kind == .data && run.count == asked.count)
            #expect(run.stored == StoredRun(store: store.id, offset: .zero, count: asked.count))
        }
    }

    @Test func infoAndSnapshot() throws {
        let source = ImageSource(store: MemoryStore([1, 2, 3]))
        let image = try format.open(source, OpenContext())
        #expect(image.format == .raw)
        #expect(try image.info().virtualSize == 3)
        let error = #expect(throws: ImageError.self) { try format.open(source, OpenContext(snapshot: "a")) }
        #expect(error?.code == .unsupported && error?.message.contains("'a'") == true)
    }

    @Test func aPipeOnce() throws {
        let bytes = PatternDisk.bytes(count: 10_000)
        let source = ImageSource(stream: StoreStream(MemoryStore(bytes, name: "pipe")))
        let image = try format.open(source, OpenContext())
        #expect(try image.info().virtualSize == nil)
        #expect(try image.content().allBytes(piece: 999) == bytes)
        let error = #expect(throws: ImageError.self) { try image.content() }
        #expect(error?.code == .unsupported && error?.file == "pipe")
    }
}
