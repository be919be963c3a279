import RawFormat
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Synchronization
import Testing

/// Copies by shared blocks, with every range that cannot be shared.
@Suite struct BlockSharingTests {
    private func copy(
        _ disk: SharableDisk, to sink: SharingSink, grain: Int = 4096, threads: Int = 2, digest: Bool = false
    ) throws -> Bool {
        let writer = try RawFormat().makeWriter(
            WritePlan(byteCount: disk.byteCount, sink: sink.traits, sparseGrain: grain))
        var job = CopyJob(
            .random(disk), writer: writer, sink: sink, digest: digest, options: JobOptions(threadCount: threads))
        job.sharing = BlockSharing(disk, to: sink, writer.needs)
        _ = try job.run()
        return job.sharing != nil
    }

    @Test(arguments: [1, 4])
    func everyByteGetsThere(_ threads: Int) throws {
        var shared: UInt64 = 0
        for (index, count) in [4095, 4096, 1 << 20, (3 << 20) + 5, 7_654_321].enumerated() {
            for failing in [0, 1, 2] {
                let disk = SharableDisk(count, seed: UInt64(index + 1))
                let sink = SharingSink(disk.store, refusesEvery: failing)
                #expect(try copy(disk, to: sink, threads: threads))
                #expect(sink.memory.bytes == disk.bytes, "\(count) bytes, refusing \(failing)")
                if failing == 0 { shared += sink.sharedByteCount }
            }
        }
        #expect(shared > 1 << 20)
    }

    @Test func wholeUnitsAreSharedAndNotRead() throws {
        let disk = SharableDisk(runs: [(.data, 8 << 20), (.hole, 3 << 20), (.data, 4 << 20)])
        let sink = SharingSink(disk.store)
        #expect(try copy(disk, to: sink))
        #expect(sink.memory.bytes == disk.bytes)
        #expect(sink.sharedByteCount == 12 << 20)
        #expect(disk.store.reads == 0)
    }

    @Test func whatLiesOtherwiseIsRead() throws {
        // The second run lies 512 bytes off its place on the disk.
        let disk = SharableDisk(runs: [(.data, 2 << 20), (.data, 2 << 20)], shifts: [0, 512])
        let sink = SharingSink(disk.store)
        #expect(try copy(disk, to: sink))
        #expect(sink.memory.bytes == disk.bytes)
        #expect(sink.sharedByteCount == 2 << 20)
    }

    @Test func whoeverNeedsEveryByteReadsIt() throws {
        let disk = SharableDisk(runs: [(.data, 4 << 20)])
        for (digest, grain) in [(true, 4096), (false, 0)] {
            let sink = SharingSink(disk.store)
            #expect(try copy(disk, to: sink, grain: grain, digest: digest) == (grain != 0))
            #expect(sink.memory.bytes == disk.bytes)
            #expect(sink.sharedByteCount == 0)
        }
    }

    @Test func aFileThatCannotBeReadFailsTheCopy() throws {
        let disk = SharableDisk(runs: [(.data, 4 << 20)], badByte: 1 << 20)
        let sink = SharingSink(disk.store, refusesEvery: 1)
        let error = #expect(throws: ImageError.self) { try copy(disk, to: sink) }
        #expect(error?.code == .unreadable)
        #expect(error?.place == .host(HostOffset(1 << 20)))
    }
}

/// A disk whose data lies in one store, each run where the guest has it or shifted.
private final class SharableDisk: BlockDevice {
    let store: SharableStore
    let byteCount: UInt64
    let bytes: [UInt8]
    let sectorSize = 512
    var stores: [any ByteStore] { [store] }
    private let runs: [(kind: Extent.Kind, start: UInt64, count: UInt64, place: UInt64)]
    private let scripted: ScriptedDisk

    convenience init(_ count: Int, seed: UInt64) { self.init(runs: ScriptedDisk.mixed(count, seed: seed)) }

    init(runs script: [(Extent.Kind, Int)], shifts: [UInt64] = [], badByte: UInt64? = nil) {
        scripted = ScriptedDisk(script)
        bytes = scripted.bytes
        byteCount = UInt64(bytes.count)
        var runs: [(Extent.Kind, UInt64, UInt64, UInt64)] = []
        var stored = bytes + [UInt8](repeating: 0xEE, count: 4096)
        var start: UInt64 = 0
        for (index, (kind, count)) in script.enumerated() {
            let shift = index < shifts.count ? shifts[index] : 0
            let place = Int(start + shift)
            if shift != 0 {
                stored.replaceSubrange(place..<place + count, with: bytes[Int(start)..<Int(start) + count])
            }
            runs.append((kind, start, UInt64(count), start + shift))
            start += UInt64(count)
        }
        self.runs = runs
        store = SharableStore(MemoryStore(stored), badByte: badByte)
    }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        var extent = try scripted.extent(at: offset, limit: limit, layers: layers, detail: detail)
        guard extent.kind == .data, let run = runs.last(where: { $0.start <= offset.value }) else { return extent }
        extent.stored = StoredRun(
            store: store.id, offset: HostOffset(run.place + offset.value - run.start), count: extent.count)
        return extent
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { scripted }
}

/// A store that pretends to be a file of which blocks can be shared.
private final class SharableStore: ByteStore {
    let memory: MemoryStore
    let blockSource: BlockSource? = BlockSource(descriptor: 7)
    private let badByte: UInt64?
    private let count = Mutex(0)

    init(_ memory: MemoryStore, badByte: UInt64?) {
        self.memory = memory
        self.badByte = badByte
    }

    var id: StoreID { memory.id }
    var name: String { memory.name }
    var identity: StoreIdentity? { nil }
    var byteCount: UInt64 { memory.byteCount }
    var traits: StoreTraits { memory.traits }
    var reads: Int { count.withLock { $0 } }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        count.withLock { $0 += 1 }
        if let badByte, (offset.value..<offset.value + UInt64(buffer.byteCount)).contains(badByte) {
            throw ImageError(.unreadable, "a bad place", at: .host(HostOffset(badByte)))
        }
        try memory.read(into: &buffer, at: offset)
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try memory.extent(at: offset, limit: limit)
    }
}

/// A target that shares whole blocks of 4 KiB with one store, and refuses some.
private final class SharingSink: ByteSink {
    let name = "sharing"
    let traits = StoreTraits(abilities: .startsZeroed)
    let memory = MemoryStore([])
    private let store: SharableStore
    private let period: Int
    private let state = Mutex((calls: 0, shared: UInt64(0)))

    /// - Parameter period: every how many calls is refused; 0 refuses none.
    init(_ store: SharableStore, refusesEvery period: Int = 0) {
        self.store = store
        self.period = period
    }

    var sharedByteCount: UInt64 { state.withLock { $0.shared } }

    func sharedBlockSize(with source: BlockSource) -> Int? { source == store.blockSource ? 4096 : nil }

    func shareBlocks(of source: BlockSource, _ range: HostRange, at offset: HostOffset) -> Bool {
        #expect(source == store.blockSource)
        #expect(range.start.value % 4096 == 0 && range.count % 4096 == 0 && offset.value % 4096 == 0 && range.count > 0)
        let isRefused = state.withLock { state in
            state.calls += 1
            return period != 0 && state.calls % period == 0
        }
        if isRefused { return false }
        state.withLock { $0.shared += range.count }
        let bytes = store.memory.bytes[Int(range.start.value)..<Int(range.end.value)]
        return (try? Array(bytes).withBytes { (span) throws(ImageError) in try memory.write(span, at: offset) }) != nil
    }

    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) { try memory.write(bytes, at: offset) }
    // It starts zeroed: a run of zeros must not be written over what others put there.
    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {}
    func setByteCount(_ count: UInt64) throws(ImageError) { try memory.setByteCount(count) }
    func sync() throws(ImageError) {}
}
