import RawFormat
import ReimageCodecs
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

@Suite struct WrappedRawFormatTests {
    private func format(_ wrapper: Wrapper) -> WrappedRawFormat {
        WrappedRawFormat(wrapper) { head in
            (try? head.big(UInt32.self, at: 0)) == 0x5146_49FB ? "qcow2" : nil
        }
    }

    private func wrap(_ bytes: [UInt8], _ wrapper: Wrapper, _ options: String...) -> [UInt8]? {
        Tool.output([wrapper.rawValue, "-q", "-c"] + options, input: bytes)
    }

    @Test(arguments: Wrapper.allCases, [0, 1, 1001, 700_001])
    func conformance(wrapper: Wrapper, count: Int) throws {
        let guest = PatternDisk.bytes(count: count, seed: 5)
        guard let image = wrap(guest, wrapper) else { return }
        try FormatConformance(format(wrapper)).run(.init("\(wrapper) of \(count)", image: image, guest: guest))
    }

    @Test(arguments: Wrapper.allCases)
    func severalMembers(wrapper: Wrapper) throws {
        let parts = [PatternDisk.bytes(count: 70_000), PatternDisk.bytes(count: 12_345, seed: 2)]
        let images = parts.compactMap { wrap($0, wrapper) }
        guard images.count == 2 else { return }
        var sample = FormatConformance.Sample(
            "two", image: Array(images.joined()), guest: Array(parts.joined()))
        // Between the members the cut leaves a whole file.
        sample.harmlessCuts = images[0].count..<images[0].count + 1
        try FormatConformance(format(wrapper)).run(sample)
    }

    @Test func namesAreDistinct() {
        let all = WrappedRawFormat.all { _ in nil }
        #expect(all.map(\.name.text) == ["raw.gz", "raw.xz", "raw.zst"])
        #expect(all.allSatisfy { $0.writerOptions == nil })
        #expect(throws: ImageError.self) { try all[0].makeWriter(WritePlan(byteCount: 1)) }
    }

    @Test(arguments: Wrapper.allCases)
    func sizesAndInfo(wrapper: Wrapper) throws {
        let guest = PatternDisk.bytes(count: 200_000)
        let options = wrapper == .zstd ? ["--stream-size=200000"] : []
        guard let image = Tool.output([wrapper.rawValue, "-q", "-c"] + options, input: guest) else { return }
        let opened = try format(wrapper).open(ImageSource(store: MemoryStore(image)), OpenContext())
        let size = try opened.info().virtualSize
        #expect(size == (wrapper == .gzip ? nil : 200_000))
        #expect(try opened.info().remarks.isEmpty == (size != nil))
        #expect(try opened.info().specific == [InfoField("compression-type", .text(wrapper.rawValue))])
        // Again and again, from the start.
        #expect(try opened.content().allBytes() == guest)
        #expect(try opened.content().allBytes(piece: 3) == guest)
    }

    @Test(arguments: Wrapper.allCases)
    func fromAPipe(wrapper: Wrapper) throws {
        let guest = PatternDisk.bytes(count: 200_000)
        guard let image = wrap(guest, wrapper) else { return }
        let peeked = try PeekedStream(StoreStream(MemoryStore(image)))
        #expect(peeked.head == Array(image.prefix(FormatRegistry.probeByteCount)))
        let opened = try format(wrapper).open(ImageSource(stream: peeked), OpenContext())
        #expect(try opened.info().virtualSize == nil)
        #expect(try opened.content().allBytes() == guest)
        #expect(throws: ImageError.self) { try opened.content() }
    }

    @Test(arguments: Wrapper.allCases)
    func otherFormatsAreRefused(wrapper: Wrapper) throws {
        let inner: [UInt8] = [0x51, 0x46, 0x49, 0xFB] + PatternDisk.bytes(count: 100_000)
        guard let image = wrap(inner, wrapper) else { return }
        for source in [
            ImageSource(store: MemoryStore(image, name: "a.gz")),
            ImageSource(stream: StoreStream(MemoryStore(image, name: "a.gz"))),
        ] {
            let error = #expect(throws: ImageError.self) { try format(wrapper).open(source, OpenContext()) }
            #expect(error?.code == .unsupported && error?.file == "a.gz")
            #expect(error?.message.contains("qcow2") == true && error?.advice?.contains("Unpack") == true)
        }
    }

    @Test func limitsAndSnapshots() throws {
        guard let image = wrap(PatternDisk.bytes(count: 100_000), .xz, "-9") else { return }
        let source = ImageSource(store: MemoryStore(image))
        let error = #expect(throws: ImageError.self) {
            try format(.xz).open(source, OpenContext(decoderMemoryLimit: 1 << 20))
        }
        #expect(error?.code == .unsupported && error?.advice?.contains("--memory-limit") == true)
        #expect(throws: ImageError.self) { try format(.xz).open(source, OpenContext(snapshot: "1")) }
    }

    @Test func aWrongPromiseIsNoticed() throws {
        let options = ["--no-check", "--stream-size=5000"]
        guard var image = Tool.output(["zstd", "-q", "-c"] + options, input: PatternDisk.bytes(count: 5000)) else {
            return
        }
        // A single segment with a content size of two bytes, as the command writes it for this length.
        try #require(image[4] & 0xE0 == 0x60)
        image[5] &+= 1
        let opened = Result { () throws(ImageError) in
            try format(.zstd).open(ImageSource(store: MemoryStore(image)), OpenContext()).content().allBytes()
        }
        #expect(throws: ImageError.self) { try opened.get() }
    }
}
