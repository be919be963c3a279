import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ReimageDisks

/// Media that fail, lie or go away, and sources that do: what is found, and what is left on the disk.
@Suite struct RestoreFaultTests {
    private let bytes = image(9 * mebibyte)

    private func range(_ start: Int, _ count: Int) -> HostRange {
        HostRange(start: HostOffset(UInt64(start)), count: UInt64(count))
    }

    private func run(
        _ media: [any UpdatableStore], _ content: DiskContent? = nil, isDelta: Bool = false
    ) throws -> [RestoreResult] {
        var job = RestoreJob(
            content ?? .random(MemoryDisk(bytes)), to: media.map { RestoreTarget($0) },
            options: JobOptions(threadCount: 3))
        job.isDelta = isDelta
        return try job.run().results
    }

    /// Whether the medium looks neither like the old disk nor like the new.
    private func looksLikeNothing(_ medium: MemoryStore) -> Bool {
        let bytes = medium.bytes
        return bytes.prefix(mebibyte).holdsOnly(0) && bytes.suffix(mebibyte).holdsOnly(0)
    }

    /// A write that gets lost is found, wherever it was; the range that differs is named.
    @Test(arguments: [2 * mebibyte + 8192, 3 * mebibyte - 4096, 7 * mebibyte])
    func findsALostWrite(_ place: Int) throws {
        let store = MemoryStore(oldDisk(9 * mebibyte))
        let result = try run([UnreliableStore(store, [.losesWrite(range(place, 512))])])[0]
        #expect(result.error?.code == .mismatch)
        guard case .differs(let ranges, _) = result.verification else {
            Issue.record("no difference was found")
            return
        }
        #expect(ranges.contains { $0.start.value <= UInt64(place) && UInt64(place) < $0.end.value })
        #expect(result.error?.place == ranges.first.map { .host($0.start) })
        #expect(looksLikeNothing(store), "a disk that is wrong must not be taken for one")
    }

    @Test func findsALostEnd() throws {
        for place in [0, 9 * mebibyte - 512] {
            let store = MemoryStore(oldDisk(9 * mebibyte))
            // The first write to an end makes it zeros; were that one lost, the last one would put it right.
            let result = try run([LosesSecondWrite(store, at: range(place, 1))])[0]
            #expect(result.error?.code == .mismatch, "at \(place)")
        }
    }

    @Test func aBadSectorEndsOneTargetAlone() throws {
        let stores = (0..<4).map { _ in MemoryStore(oldDisk(9 * mebibyte)) }
        let media: [any UpdatableStore] = [
            stores[0], UnreliableStore(stores[1], [.failsWrites(range(5 * mebibyte / 2, 4096))]), stores[2],
            UnreliableStore(stores[3], [.isSlow(3000)]),
        ]
        let results = try run(media)
        for index in [0, 2, 3] {
            #expect(results[index].error == nil && same(stores[index].bytes, bytes))
        }
        #expect(results[1].error?.code == .targetFailed)
        #expect(results[1].error?.place == .host(HostOffset(UInt64(5 * mebibyte / 2))))
        #expect(looksLikeNothing(stores[1]))
    }

    @Test(arguments: [0, 1, 2, 3, 5, 6])
    func aDeviceThatGoesAwayIsAFailure(_ changes: Int) throws {
        let store = MemoryStore(oldDisk(9 * mebibyte))
        let other = MemoryStore(oldDisk(9 * mebibyte))
        let results = try run([UnreliableStore(store, [.vanishes(afterChanges: changes)]), other])
        #expect(results[0].error?.code == .targetFailed)
        #expect(results[1].error == nil && same(other.bytes, bytes))
        // Its old head goes first; then there is none until all else is proved.
        if changes >= 3 { #expect(looksLikeNothing(store)) } else { #expect(store.bytes[9 * mebibyte - 1] == 0xEE) }
    }

    @Test func whatCannotBeReadBackIsNoProof() throws {
        let store = MemoryStore(oldDisk(9 * mebibyte))
        let result = try run([UnreliableStore(store, [.failsReads(range(6 * mebibyte, 512))])])[0]
        #expect(result.error?.code == .targetFailed)
        #expect(result.error?.message.contains("cannot be read back") == true)
        #expect(looksLikeNothing(store))
    }

    /// In a delta, what cannot be read is written; if it can be read then, all is well.
    @Test func aDeltaWritesOverWhatItCannotRead() throws {
        let store = MemoryStore(bytes)
        let result = try run([UnreliableStore(store, [.failsReads(range(3 * mebibyte, 512))])], isDelta: true)[0]
        #expect(result.error?.message.contains("cannot be read back") == true)
        #expect(result.counts.written >= UInt64(3 * mebibyte))
    }

    @Test func aSourceThatFailsEndsEveryTarget() throws {
        let stores = (0..<2).map { _ in MemoryStore(oldDisk(9 * mebibyte)) }
        let disk = BrokenDisk(disk: MemoryDisk(bytes), at: HostOffset(UInt64(2 * mebibyte)))
        let results = try run(stores, .random(disk))
        for (store, result) in zip(stores, results) {
            #expect(result.error?.code == .unreadable && result.error?.message == "injected")
            #expect(looksLikeNothing(store))
        }
    }

    @Test func cancellingLeavesNoDisk() throws {
        let store = MemoryStore(oldDisk(9 * mebibyte))
        let options = JobOptions(threadCount: 2)
        options.cancellation.cancel()
        let job = RestoreJob(.random(MemoryDisk(bytes)), to: [RestoreTarget(store)], options: options)
        let result = try job.run().results[0]
        #expect(result.error?.code == .cancelled && looksLikeNothing(store))
    }

    /// Many slow targets and few pieces: nobody waits for ever, and a reader is never far ahead of the slowest.
    @Test func aSlowTargetIsWaitedFor() throws {
        let stores = (0..<3).map { _ in MemoryStore(oldDisk(9 * mebibyte)) }
        let results = try run(stores.map { UnreliableStore($0, [.isSlow(10_000)]) })
        #expect(results.allSatisfy { $0.error == nil })
        #expect(stores.allSatisfy { same($0.bytes, bytes) })
    }
}

/// A medium that loses the second write to a place.
private final class LosesSecondWrite: UpdatableStore {
    let store: MemoryStore
    let inner: UnreliableStore
    let place: HostRange
    init(_ store: MemoryStore, at place: HostRange) {
        self.store = store
        self.place = place
        inner = UnreliableStore(store, [.losesWrite(place)])
    }

    var id: StoreID { store.id }
    var name: String { store.name }
    var identity: StoreIdentity? { nil }
    var byteCount: UInt64 { store.byteCount }
    var traits: StoreTraits { store.traits }
    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try store.read(into: &buffer, at: offset)
    }
    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try store.extent(at: offset, limit: limit)
    }
    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) { try inner.write(bytes, at: offset) }
    // The ends are made zeros by this call, and written by the other.
    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) { try store.zero(range, mode: mode) }
    func setByteCount(_ count: UInt64) throws(ImageError) {}
    func sync() throws(ImageError) {}
}

/// A disk with one byte that cannot be read.
private struct BrokenDisk: BlockDevice {
    let disk: MemoryDisk
    let at: HostOffset

    var byteCount: UInt64 { disk.byteCount }
    var sectorSize: Int { 512 }
    var stores: [any ByteStore] { disk.stores }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent { try disk.extent(at: offset, limit: limit, layers: layers, detail: detail) }

    func makeCursor() throws(ImageError) -> any DiskCursor {
        Cursor(
            store: FaultyStore(
                disk.store, .touching(HostRange(start: at, count: 1)), error: ImageError(.unreadable, "injected")))
    }

    private final class Cursor: DiskCursor {
        let store: FaultyStore
        init(store: FaultyStore) { self.store = store }
        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            try store.read(into: &buffer, at: HostOffset(offset.value))
        }
    }
}
