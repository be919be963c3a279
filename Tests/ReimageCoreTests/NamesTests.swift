import ReimageCore
import ReimageTesting
import Testing

@Suite struct PrintableTests {
    @Test(arguments: [
        ("disk.qcow2", "disk.qcow2"), ("zwölf 😀", "zwölf 😀"), ("a\u{1B}[31mb", "a\\u{1B}[31mb"),
        ("a\nb\tc", "a\\nb\\tc"), ("\u{202E}x", "\\u{202E}x"), ("\u{2028}", "\\u{2028}"), ("\u{7F}", "\\u{7F}"),
    ])
    func controls(text: String, shown: String) { #expect(text.printable == shown) }

    @Test func errors() {
        let error = ImageError.damaged("bad \u{7}table", at: HostOffset(7), advice: "Try\nthis.").inFile("a\rb")
        #expect(error.description == "a\\rb: bad \\u{07}table (at byte 7 of the file)\nTry\\nthis.")
        #expect(error.inFile("other") == error)
        #expect(error.at(.guest(GuestOffset(1))) == error)
        #expect("\(ImageError(.refused, "no").at(.guest(GuestOffset(9))))" == "no (at byte 9 of the disk)")
    }
}

@Suite struct FormatRegistryTests {
    private struct Marked: ImageFormat {
        let name: FormatName
        let aliases: [FormatName]
        let mark: UInt8
        let summary = ""

        func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult {
            let ends = [try? head.big(UInt8.self, at: 0), try? tail.big(UInt8.self, at: tail.byteCount - 1)]
            return ends.contains(mark) ? .yes : .no
        }

        func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
            throw ImageError(.unsupported, "a test")
        }
    }

    private let registry = FormatRegistry([
        Marked(name: "one", aliases: ["uno"], mark: 1), Marked(name: "two", aliases: [], mark: 2),
    ])

    @Test func names() throws {
        #expect(try registry.format(named: "ONE").name == "one")
        #expect(try registry.format(named: "uno").name == "one")
        let error = #expect(throws: ImageError.self) { try registry.format(named: "three") }
        #expect(error?.code == .invalidArgument && error?.advice == "Known formats: one, two.")
    }

    @Test func probing() throws {
        func found(_ bytes: [UInt8]) throws -> FormatName? { try registry.probe(MemoryStore(bytes))?.format.name }
        #expect(try found([1, 0, 0]) == "one")
        #expect(try found([0, 0, 2]) == "two")
        #expect(try found([2, 0, 1]) == "one")
        #expect(try found([0]) == nil)
        #expect(try found([]) == nil)
        #expect(try found([0] + [UInt8](repeating: 3, count: 10_000) + [2]) == "two")
    }

    @Test func adding() throws {
        let more = registry.adding(Marked(name: "two", aliases: [], mark: 1))
        #expect(more.formats.map(\.name) == ["two", "one"])
        #expect(try more.probe(MemoryStore([1]))?.format.name == "two")
    }
}

@Suite struct StreamTests {
    private let bytes = PatternDisk.bytes(count: 10_000)

    @Test(arguments: [1, 4095, 4096, 4097, 10_000, 20_000])
    func storeStream(piece: Int) throws {
        #expect(try StoreStream(MemoryStore(bytes)).allBytes(piece: piece) == bytes)
        #expect(try StoreStream(MemoryStore([])).allBytes(piece: piece) == [])
    }

    @Test(arguments: [0, 1, 4096, 10_000, 20_000], [1, 4096, 5000])
    func peekedStream(count: Int, piece: Int) throws {
        let peeked = try PeekedStream(StoreStream(MemoryStore(bytes, name: "n")), count: count)
        #expect(peeked.head == Array(bytes.prefix(count)) && peeked.name == "n")
        #expect(try peeked.allBytes(piece: piece) == bytes)
        #expect(try peeked.allBytes() == [])
    }

    @Test func faults() {
        let store = FaultyStore(MemoryStore(bytes), .touching(HostRange(start: HostOffset(6000), count: 1)))
        #expect(throws: ImageError.self) { try StoreStream(store).allBytes(piece: 1000) }
        #expect(throws: Never.self) { try PeekedStream(StoreStream(store), count: 4096) }
        #expect(throws: ImageError.self) { try PeekedStream(StoreStream(store), count: 8192) }
    }

    @Test func appendingToASpan() throws {
        var buffer = AlignedBuffer(byteCount: 8)
        let count = try buffer.fill(0..<8) { (output) throws(ImageError) in
            output.append(count: 3) { $0.storeBytes(of: 7, toByteOffset: 2, as: UInt8.self) }
            let result = Result { () throws(ImageError) in
                try output.append(count: 3) { (_) throws(ImageError) in throw .damaged("no") }
            }
            #expect(throws: ImageError.self) { try result.get() }
            output.append(count: 1) { $0.storeBytes(of: 9, toByteOffset: 0, as: UInt8.self) }
        }
        #expect(count == 4)
        #expect(try buffer.withBytes(0..<4) { (span) throws(ImageError) in try span.bytes(0..<4) } == [0, 0, 7, 9])
    }
}
