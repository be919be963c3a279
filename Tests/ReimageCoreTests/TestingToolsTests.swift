import ReimageCore
import ReimageTesting
import Testing

/// The stores and helpers that other tests rely on.
@Suite struct TestingToolsTests {
    private let bytes = PatternDisk.bytes(count: 50_000)

    @Test func seededGenerator() {
        // The published first outputs for seed 1234567.
        var random = SeededGenerator(seed: 1_234_567)
        #expect(random.next() == 6_457_827_717_110_365_317)
        #expect(random.next() == 3_203_168_211_198_807_973)
    }

    @Test func patternDisk() {
        #expect(bytes == PatternDisk.bytes(count: 50_000))
        #expect(bytes != PatternDisk.bytes(count: 50_000, seed: 2))
        #expect(bytes.contains(0) && bytes.contains { $0 != 0 })
        #expect(PatternDisk.bytes(count: 0).isEmpty)
    }

    @Test func memoryStore() throws {
        let store = MemoryStore([1, 2, 3])
        #expect(try store.bytes(at: HostOffset(1), count: 2) == [2, 3])
        #expect(throws: ImageError.self) { try store.bytes(at: HostOffset(2), count: 2) }
        #expect(throws: ImageError.self) { try store.bytes(at: HostOffset(.max), count: 1) }
        try [UInt8](arrayLiteral: 9, 9).withBytes { (span) throws(ImageError) in
            try store.write(span, at: HostOffset(4))
        }
        #expect(store.bytes == [1, 2, 3, 0, 9, 9])
        try store.zero(HostRange(start: HostOffset(0), count: 2), mode: .sparse)
        try store.setByteCount(5)
        #expect(store.bytes == [0, 0, 3, 0, 9])
        try store.setByteCount(2)
        #expect(throws: ImageError.self) { try store.bytes(at: .zero, count: 3) }
    }

    @Test func unreliableStore() throws {
        let range = HostRange(start: HostOffset(10), count: 5)
        func write(_ store: UnreliableStore, at place: UInt64) throws {
            try [UInt8](arrayLiteral: 7, 7).withBytes { (span) throws(ImageError) in
                try store.write(span, at: HostOffset(place))
            }
        }
        let memory = MemoryStore([UInt8](repeating: 0, count: 20))
        let lying = UnreliableStore(memory, [.losesWrite(range)])
        try write(lying, at: 9)
        #expect(memory.bytes[9] == 0, "the first one is lost")
        try write(lying, at: 9)
        try write(lying, at: 15)
        #expect(memory.bytes[9...10] == [7, 7] && memory.bytes[15] == 7 && lying.changeCount == 3)
        let failing = UnreliableStore(memory, [.failsWrites(range), .failsReads(range)])
        #expect(throws: ImageError.self) { try write(failing, at: 14) }
        #expect(throws: ImageError.self) { try failing.bytes(at: HostOffset(9), count: 2) }
        #expect(try failing.bytes(at: HostOffset(15), count: 5).count == 5)
        let gone = UnreliableStore(memory, [.vanishes(afterChanges: 1)])
        try write(gone, at: 0)
        #expect(throws: ImageError.self) { try gone.zero(HostRange(start: .zero, count: 1), mode: .written) }
        #expect(throws: ImageError.self) { try gone.sync() }
        #expect(throws: ImageError.self) { try gone.bytes(at: .zero, count: 1) }
    }

    @Test func faultyStore() throws {
        let memory = MemoryStore(bytes)
        let late = FaultyStore(memory, .afterReads(2))
        #expect(throws: Never.self) { try late.bytes(at: .zero, count: 9) }
        #expect(throws: Never.self) { try late.bytes(at: .zero, count: 9) }
        for _ in 0..<2 { #expect(throws: ImageError.self) { try late.bytes(at: .zero, count: 9) } }
        #expect(late.readCount == 4)
        let once = FaultyStore(memory, .read(0), error: ImageError(.exhausted, "once"))
        #expect((#expect(throws: ImageError.self) { try once.bytes(at: .zero, count: 9) })?.code == .exhausted)
        #expect(throws: Never.self) { try once.bytes(at: .zero, count: 9) }
        let short = FaultyStore(memory, .touching(HostRange(start: HostOffset(100), count: 5)), isShort: true)
        #expect(throws: Never.self) { try short.bytes(at: .zero, count: 100) }
        #expect(throws: Never.self) { try short.bytes(at: HostOffset(105), count: 100) }
        var target = [UInt8](repeating: 0xEE, count: 60)
        #expect(throws: ImageError.self) {
            try target.withMutableBytes { (span) throws(ImageError) in try short.read(into: &span, at: HostOffset(50)) }
        }
        #expect(target == Array(bytes[50..<100]) + [UInt8](repeating: 0xEE, count: 10))
    }

    @Test func countingAndSlowStores() throws {
        let store = CountingStore(SlowStore(MemoryStore(bytes), microseconds: 100))
        _ = try store.bytes(at: .zero, count: 10)
        _ = try store.bytes(at: .zero, count: 30)
        _ = try store.extent(at: .zero, limit: 1)
        #expect(store.counts.reads == 2 && store.counts.bytes == 40)
        #expect(store.counts.longestRead == 30 && store.counts.extents == 1)
        store.reset()
        #expect(store.counts == CountingStore.Counts())
    }

    @Test func damage() {
        let image = [UInt8](0..<10)
        let field = Damage.Field("size", at: 4, size: 4)
        #expect(Damage.cut(at: 3).applied(to: image) == [0, 1, 2])
        #expect(Damage.cut(at: 30).applied(to: image) == image)
        #expect(Damage.flip(bit: 7, at: 1).applied(to: image)[1] == 0x81)
        #expect(Damage.set(field, to: 0x0102_0304).applied(to: image) == [0, 1, 2, 3, 1, 2, 3, 4, 8, 9])
        #expect(Damage.clear(field).applied(to: image) == [0, 1, 2, 3, 0, 0, 0, 0, 8, 9])
        #expect(Damage.fill(field).applied(to: image) == [0, 1, 2, 3, 255, 255, 255, 255, 8, 9])
        #expect(Damage.set([7, 7, 7], at: 8).applied(to: image) == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7])
        let all = Damage.all(of: [field])
        #expect(all == Damage.all(of: [field]) && Set(all.map(\.description)).count == all.count)
        #expect(all.count == 4 + 4 + 32 + 4)
        #expect(all.allSatisfy { $0.description.contains("size") || !$0.description.contains("set") })
    }

    /// A format that is wrong in one way each, which the suite must find.
    private struct Wrong: ImageFormat, DiskImage, BlockDevice {
        enum Fault: CaseIterable { case none, probe, size, extent, zero, tail, silent }
        final class Cursor: DiskCursor {
            let disk: Wrong
            init(_ disk: Wrong) { self.disk = disk }
            func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
                buffer.zero()
                let end = offset.value + UInt64(buffer.byteCount)
                if disk.fault == .tail, end == disk.byteCount, offset.value > 0 { return }
                do { try disk.store.read(into: &buffer, at: HostOffset(offset.value + 1)) } catch {
                    if disk.fault != .silent { throw error }
                }
            }
        }

        let fault: Fault
        var store: any ByteStore = MemoryStore([])
        let name: FormatName = "wrong"
        let summary = ""
        let sectorSize = 512
        var format: FormatName { name }
        var byteCount: UInt64 { store.byteCount - 1 + (fault == .size ? 1 : 0) }
        var stores: [any ByteStore] { [store] }

        func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult {
            fault == .probe || (try? head.big(UInt8.self, at: 0)) == 0x77 && head.byteCount > 4000 ? .yes : .no
        }
        func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
            var copy = self
            copy.store = try source.randomAccess(for: name)
            guard copy.store.byteCount == 50_001 || fault == .silent else { throw .damaged("cut") }
            return copy
        }
        func content() throws(ImageError) -> DiskContent { .random(self) }
        func info() throws(ImageError) -> ImageInfo { ImageInfo(virtualSize: byteCount) }
        func makeCursor() throws(ImageError) -> any DiskCursor { Cursor(self) }
        func extent(
            at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
        ) throws(ImageError) -> Extent {
            let room = min(limit, byteCount - offset.value)
            return Extent(fault == .zero ? .zero : .data, count: fault == .extent ? room + 1 : room)
        }
    }

    @Test func conformanceFindsFaults() throws {
        let sample = FormatConformance.Sample("sample", image: [0x77] + bytes, guest: bytes)
        try FormatConformance(Wrong(fault: .none)).run(sample)
        for fault in Wrong.Fault.allCases where fault != .none {
            #expect(throws: FormatConformance.Failure.self, "\(fault)") {
                try FormatConformance(Wrong(fault: fault)).run(sample)
            }
        }
    }
}
