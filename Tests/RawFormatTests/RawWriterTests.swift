import RawFormat
import ReimageCore
import ReimageTesting
import Testing

@Suite struct RawWriterTests {
    private let suite = FormatConformance(RawFormat())

    @Test(arguments: [0, 1, 513, 4097, 1 << 20, 5_000_001], ["off", "falloc", "full"])
    func readsBack(count: Int, preallocation: String) throws {
        let guest = PatternDisk.bytes(count: count, seed: 3)
        let plan = WritePlan(byteCount: nil, options: ["preallocation": preallocation])
        try suite.checkWriter(guest, plan: plan)
        try suite.checkWriter(guest, plan: plan, mixes: [.init(tellsByteCount: false)])
    }

    @Test(arguments: [0, 512, 4096, 65536, 4 << 20])
    func grains(grain: Int) throws {
        let guest = PatternDisk.bytes(count: 3_000_000, grain: 512, seed: 4)
        try suite.checkWriter(guest, plan: WritePlan(byteCount: nil, sparseGrain: grain))
        let needs = try RawWriter(WritePlan(byteCount: 1, sparseGrain: grain)).needs
        #expect(needs.chunkSize == 1 << 20 && !needs.padsLastChunk && !needs.ascending)
        #expect(needs.grainSize == (grain == 0 ? 1 << 20 : min(grain, 1 << 20)))
    }

    @Test(arguments: [1, 256, 511, 513, 1000, 4097, -1, -512, Int.min])
    func noGrain(grain: Int) {
        let error = #expect(throws: ImageError.self) { try RawWriter(WritePlan(byteCount: 1, sparseGrain: grain)) }
        #expect(error?.code == .invalidArgument)
    }

    private func steps(
        _ plan: WritePlan, _ body: (RawWriter, inout Placement) throws -> Void
    ) throws -> [Placement.Step] {
        var placement = Placement()
        try body(try RawWriter(plan), &placement)
        return placement.steps
    }

    private let range = HostRange(start: HostOffset(4096), count: 8192)

    @Test(arguments: [
        ("off", 4096, ZeroMode.sparse), ("falloc", 4096, .allocated), ("full", 4096, .written), ("off", 0, .written),
    ])
    func zeroModes(preallocation: String, grain: Int, mode: ZeroMode) throws {
        let plan = WritePlan(byteCount: 1 << 20, options: ["preallocation": preallocation], sparseGrain: grain)
        for kind in [Extent.Kind.zero, .hole, .unreadable] {
            let steps = try steps(plan) { writer, placement in
                try writer.skip(kind, GuestRange(start: GuestOffset(4096), count: 8192), into: &placement)
            }
            #expect(steps == [.zero(range, mode)])
        }
    }

    @Test func oneChunk() throws {
        var map = GrainMap(grainSize: 4096, capacity: 1 << 20)
        map.reset(byteCount: 20_000, to: .data)
        map.set(.hole, in: 4096..<8192)
        map.set(.zero, in: 8192..<12288)
        map.set(.unreadable, in: 16384..<20_000)
        var placement = Placement()
        let chunk = Chunk(
            range: GuestRange(start: GuestOffset(1 << 20), count: 20_000), encoding: .plain, input: 0..<20_000)
        try RawWriter(WritePlan(byteCount: nil)).place(chunk, map: map, into: &placement)
        let start = HostOffset(1 << 20)
        #expect(
            placement.steps == [
                .write(.input(0..<4096), at: start),
                .zero(HostRange(start: start + 4096, count: 8192), .sparse),
                .write(.input(12288..<16384), at: start + 12288),
                .zero(HostRange(start: start + 16384, count: 3616), .sparse),
            ])
    }

    @Test func lengths() throws {
        let known = WritePlan(byteCount: 1001)
        #expect(try steps(known) { try $0.begin(into: &$1) } == [.setByteCount(1001)])
        #expect(try steps(known) { try $0.finish(WrittenDisk(byteCount: 1001), into: &$1) } == [.setByteCount(1001)])
        #expect(try steps(WritePlan(byteCount: nil)) { try $0.begin(into: &$1) } == [])
        let pipe = WritePlan(byteCount: 1001, sink: StoreTraits(abilities: .appendOnly))
        #expect(try steps(pipe) { try $0.begin(into: &$1) } == [])
        #expect(try steps(pipe) { try $0.finish(WrittenDisk(byteCount: 1001), into: &$1) } == [])
        #expect(try RawWriter(pipe).needs.ascending)
    }

    @Test func unknownOptions() {
        func refusal(_ options: [String: String]) -> ImageError? {
            #expect(throws: ImageError.self) {
                try RawFormat().makeWriter(WritePlan(byteCount: 1, options: options))
            }
        }
        let name = refusal(["size": "1", "preallocation": "off"])
        #expect(name?.code == .invalidArgument && name?.message.contains("'size'") == true)
        #expect(name?.advice?.contains("preallocation") == true)
        let value = refusal(["preallocation": "metadata"])
        #expect(value?.code == .invalidArgument && value?.message.contains("'metadata'") == true)
        #expect(value?.advice?.contains("off, falloc, full") == true)
    }
}
