import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageSystem
import ReimageTesting
import Testing

@testable import ReimageDisks

/// Journals: what they keep, what comes back, and going on with what was interrupted at any moment.
@Suite struct RestoreJournalTests {
    private let bytes = image(9 * mebibyte)
    private let old = image(9 * mebibyte, seed: 99)

    private func job(_ target: RestoreTarget, threads: Int = 2) -> RestoreJob {
        var job = RestoreJob(
            .random(MemoryDisk(bytes)), to: [target], options: JobOptions(threadCount: threads))
        job.checkpoint = 1
        return job
    }

    /// Whatever the moment of the stop: the old head goes before anything else changes, the new one comes when all else
    /// is there, and before both the journal can give back what was there.
    @Test func noMomentLeavesHalfADisk() throws {
        var ended = false
        for changes in 0...40 where !ended {
            let store = MemoryStore(old)
            let log = MemoryStore([])
            let medium = InterruptedStore(store, after: changes)
            let target = RestoreTarget(medium, journal: try RestoreJournal(log, .init(["a": "b"])))
            let result = try job(target).run().results[0]
            let now = store.bytes
            ended = medium.mutationCount < changes
            // The MBR and the header of a GPT go first and come last.
            let start = Array(now.prefix(8 << 10))
            if start == Array(bytes.prefix(8 << 10)) {
                #expect(same(now, bytes), "the new head is there after \(changes) changes, and the rest is not")
            } else if !start.holdsOnly(0) {
                #expect(changes == 0 && same(now, old))
            }
            if result.error == nil { #expect(same(now, bytes) && ended) }
            let contents = try RestoreJournal.Contents(log)
            #expect(contents.isSealed && contents.isFinished == (result.error == nil) && contents.facts["a"] == "b")
            // The way back.
            #expect(try contents.undo(onto: store, from: log) == UInt64(2 * mebibyte))
            #expect(same(Array(store.bytes.prefix(mebibyte)), Array(old.prefix(mebibyte))))
            #expect(same(Array(store.bytes.suffix(mebibyte)), Array(old.suffix(mebibyte))))
        }
        #expect(ended)
    }

    @Test func goesOnWhereItStopped() throws {
        var resumed: [UInt64] = []
        for changes in 2...8 {
            let store = MemoryStore(old)
            let log = MemoryStore([])
            let target = RestoreTarget(
                InterruptedStore(store, after: changes), journal: try RestoreJournal(log, .init()))
            let first = try job(target, threads: 1).run().results[0]
            #expect(first.error?.code == .targetFailed)
            #expect(first.error?.advice?.contains("--resume memory") == true)
            let contents = try RestoreJournal.Contents(log)
            let again = RestoreTarget(
                store, journal: try RestoreJournal(log, after: contents), progress: contents.progress)
            let summary = try job(again).run()
            let second = summary.results[0]
            #expect(second.error == nil && second.verification == .passed && same(store.bytes, bytes))
            #expect(summary.digest == digest(bytes))
            #expect(second.counts.written + second.counts.zeroed + second.counts.resumed == UInt64(11 * mebibyte))
            resumed.append(second.counts.resumed)
            #expect(try RestoreJournal.Contents(log).isFinished)
            // The way back is still that of the first run.
            _ = try RestoreJournal.Contents(log).undo(onto: store, from: log)
            #expect(same(Array(store.bytes.prefix(mebibyte)), Array(old.prefix(mebibyte))))
        }
        #expect(resumed.contains { $0 > 0 }, "nothing was ever gone on with: \(resumed)")
    }

    /// What the journal says is not believed: what does not read back as it was written is written again.
    @Test func whatDoesNotProveIsWrittenAgain() throws {
        let store = MemoryStore(old)
        let log = MemoryStore([])
        let target = RestoreTarget(
            UnreliableStore(store, [.failsWrites(HostRange(start: HostOffset(8 << 20), count: 1 << 20))]),
            journal: try RestoreJournal(log, .init()))
        // The tail cannot be made zeros: nothing else is touched.
        #expect(try job(target).run().results[0].error?.code == .targetFailed)
        #expect(try RestoreJournal.Contents(log).progress.nodes.isEmpty)
        let log2 = MemoryStore([])
        let late = RestoreTarget(LateFailure(store), journal: try RestoreJournal(log2, .init()))
        #expect(try job(late).run().results[0].error != nil)
        let contents = try RestoreJournal.Contents(log2)
        #expect(contents.progress.nodes.count >= 7)
        try [UInt8](repeating: 0x77, count: 100).withBytes { (span) throws(ImageError) in
            try store.write(span, at: HostOffset(3 << 20 + 5))
        }
        let again = RestoreTarget(
            store, journal: try RestoreJournal(log2, after: contents), progress: contents.progress)
        let result = try job(again).run().results[0]
        #expect(result.error == nil && same(store.bytes, bytes))
        #expect(result.counts.resumed == UInt64(6 * mebibyte) && result.counts.written == UInt64(5 * mebibyte))
    }

    @Test func cancellingCanBeGoneOnFrom() throws {
        let options = JobOptions(threadCount: 1)
        options.cancellation.cancel()
        let target = RestoreTarget(MemoryStore(old), journal: try RestoreJournal(MemoryStore([]), .init()))
        let error = try RestoreJob(.random(MemoryDisk(bytes)), to: [target], options: options).run().results[0].error
        #expect(error?.code == .interrupted && error?.advice?.contains("--resume") == true)
    }

    @Test func aJournalThatCannotBeWrittenStopsItBeforeTheDiskIsTouched() throws {
        for changes in 1...3 {
            let store = MemoryStore(old)
            let log = InterruptedStore(MemoryStore([]), after: changes)
            let target = RestoreTarget(store, journal: try RestoreJournal(log, .init()))
            #expect(try job(target).run().results[0].error?.code == .targetFailed)
            #expect(same(store.bytes, old))
        }
        let store = MemoryStore(old)
        let medium = UnreliableStore(store, [.failsReads(HostRange(start: HostOffset(512), count: 1))])
        let target = RestoreTarget(medium, journal: try RestoreJournal(MemoryStore([]), .init()))
        let error = try job(target).run().results[0].error
        #expect(error?.advice?.contains("--no-journal") == true && same(store.bytes, old))
    }

    /// A crash may leave any part of the last record: it is passed over. One bit anywhere ends the journal there.
    @Test func aTornJournalIsReadAsFarAsItIsWhole() throws {
        let store = MemoryStore(old)
        let log = MemoryStore([])
        let medium = MemoryStore([UInt8](repeating: 1, count: 3 * mebibyte))
        let journal = try RestoreJournal(log, .init(["name": "with = and\nline, 100 % über"]))
        try journal.save(
            [HostRange(start: .zero, count: 1000), HostRange(start: HostOffset(2 << 20), count: 5)], of: medium)
        let sealed = log.bytes.count
        try journal.note([Hash256](repeating: DigestTree.zeroNodes[4], count: 3), from: 2, unit: 1 << 20)
        let all = log.bytes
        #expect(try RestoreJournal.Contents(log).facts["name"] == "with = and\nline, 100 % über")
        #expect(try RestoreJournal.Contents(log).progress.nodes.count == 3)
        for cut in [1, 55, 56, 57, sealed - 1] + Array(stride(from: sealed, through: all.count, by: 13)) {
            let torn = MemoryStore(Array(all.prefix(cut)))
            if cut < sealed {
                let error = #expect(throws: ImageError.self) { try RestoreJournal.Contents(torn) }
                #expect(error?.code == .damaged)
            } else {
                let contents = try RestoreJournal.Contents(torn)
                #expect(contents.progress.nodes.count == (cut == all.count ? 3 : 0))
                _ = try RestoreJournal(torn, after: contents)
                #expect(torn.bytes.count == (cut == all.count ? cut : sealed))
            }
        }
        for place in stride(from: 0, to: all.count, by: 97) {
            var bad = all
            bad[place] ^= 0x10
            guard let contents = try? RestoreJournal.Contents(MemoryStore(bad)) else { continue }
            #expect(place >= sealed && contents.progress.nodes.isEmpty)
        }
        #expect(same(store.bytes, old))
    }

    @Test func anotherDiskIsRefused() throws {
        var device = Device(name: "sdb", path: "/dev/sdb", number: .init(major: 8, minor: 16), byteCount: 1 << 30)
        device.serial = "ABC123"
        device.model = "Disk"
        let facts = RestoreJournal.Facts(device)
        #expect(facts.refusal(for: device) == nil)
        var moved = device
        moved.path = "/dev/sdq"
        #expect(facts.refusal(for: moved) == nil, "the same disk under another name")
        for change: (inout Device) -> Void in [
            { $0.serial = "ABC124" }, { $0.byteCount += 512 }, { $0.serial = nil }, { $0.model = "Other" },
        ] {
            var other = device
            change(&other)
            #expect(facts.refusal(for: other)?.reason == .notConfirmed)
        }
        device.serial = nil
        let nameless = RestoreJournal.Facts(device)
        #expect(nameless.refusal(for: device) == nil)
        device.path = "/dev/sdq"
        #expect(nameless.refusal(for: device) != nil, "nothing shows that it is the same")
    }

    @Test func anotherImageIsRefused() throws {
        var facts = RestoreJournal.Facts()
        facts.add(MemoryDisk(bytes), format: .raw, options: "x")
        #expect(facts.refusal(forSource: facts) == nil)
        for (disk, format, options) in [
            (MemoryDisk(Array(bytes.dropLast())), FormatName.raw, "x"), (MemoryDisk(bytes), "qcow2", "x"),
            (MemoryDisk(bytes), .raw, "y"),
        ] {
            var other = RestoreJournal.Facts()
            other.add(disk, format: format, options: options)
            #expect(facts.refusal(forSource: other) != nil)
        }
    }
}

/// A medium that takes everything but the second write to its tail.
private final class LateFailure: UpdatableStore {
    let store: MemoryStore
    init(_ store: MemoryStore) { self.store = store }

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
    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        guard offset.value < 8 << 20 else { throw ImageError(.targetFailed, "injected") }
        try store.write(bytes, at: offset)
    }
    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) { try store.zero(range, mode: mode) }
    func setByteCount(_ count: UInt64) throws(ImageError) {}
    func sync() throws(ImageError) {}
}
