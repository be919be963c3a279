import Reimage
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

/// Archives of large chunks are decoded once, however many threads work.
@Suite struct LargeChunkTests {
    private static let bytes: [UInt8] = {
        let piece = PatternDisk.bytes(count: 1 << 18, seed: 7)
        return (0..<68).flatMap { _ in piece }
    }()

    private func open() throws -> (disk: any BlockDevice, store: CountingStore) {
        let format = try FormatRegistry.standard.writableFormat(named: "rimg")
        let target = MemoryStore([])
        let plan = WritePlan(
            byteCount: UInt64(Self.bytes.count), options: ["profile": "store", "chunk_size": "4M", "dedup": "off"])
        _ = try CopyJob(.random(MemoryDisk(Self.bytes)), writer: try format.makeWriter(plan), sink: target).run()
        let store = CountingStore(MemoryStore(target.bytes))
        guard case .random(let disk) = try format.open(ImageSource(store: store), OpenContext()).content() else {
            throw ImageError(.unsupported, "no disk")
        }
        store.reset()
        return (disk, store)
    }

    /// No chunk is fetched twice; the index is little.
    private func expectOnce(_ store: CountingStore) {
        #expect(store.counts.bytes > 16 << 20 && store.counts.bytes < 18 << 20, "\(store.counts)")
    }

    @Test(arguments: [1, 2, 8]) func aCopyDecodesOnce(_ threads: Int) throws {
        let (disk, store) = try open()
        let target = MemoryStore([])
        let raw = try FormatRegistry.standard.writableFormat(named: "raw")
        let writer = try raw.makeWriter(WritePlan(byteCount: disk.byteCount))
        _ = try CopyJob(
            .random(disk), writer: writer, sink: target, options: JobOptions(threadCount: threads)
        ).run()
        let isSame = target.bytes == Self.bytes
        #expect(isSame)
        expectOnce(store)
    }

    @Test(arguments: [1, 2, 8]) func aComparisonDecodesOnce(_ threads: Int) throws {
        let (disk, store) = try open()
        let job = CompareJob(disk, MemoryDisk(Self.bytes), options: JobOptions(threadCount: threads))
        #expect(try job.run() == .identical)
        expectOnce(store)
        var changed = Self.bytes
        changed[9_000_000] ^= 1
        changed[16 << 20] ^= 1
        let other = CompareJob(disk, MemoryDisk(changed), options: JobOptions(threadCount: threads))
        #expect(try other.run() == .differs(at: GuestOffset(9_000_000)))
    }
}
