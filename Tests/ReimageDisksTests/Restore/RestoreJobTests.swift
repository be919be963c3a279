import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ReimageDisks

/// Restores to media in memory: what they hold afterwards, and what is said of it.
@Suite struct RestoreJobTests {
    private func job(_ content: DiskContent, _ targets: [RestoreTarget], threads: Int = 3) -> RestoreJob {
        RestoreJob(content, to: targets, options: JobOptions(threadCount: threads))
    }

    @Test(arguments: [1, 512, 65_536, mebibyte, mebibyte + 512, 2 * mebibyte, 9 * mebibyte + 1000], [0, 3 * mebibyte])
    func putsEveryByteInItsPlace(_ count: Int, _ more: Int) throws {
        let bytes = image(count)
        for threads in [1, 4] {
            let medium = MemoryStore(oldDisk(count + more))
            let summary = try job(.random(MemoryDisk(bytes)), [RestoreTarget(medium)], threads: threads).run()
            let result = try #require(summary.results.first)
            #expect(result.error == nil && result.verification == .passed)
            #expect(same(Array(medium.bytes.prefix(count)), bytes))
            #expect(summary.digest == digest(bytes) && result.digest == digest(bytes))
            #expect(summary.byteCount == UInt64(count) && result.counts.verified >= UInt64(count))
            // Behind the image the old disk stays, but for the last MiB, where its tables were.
            let rest = medium.bytes.dropFirst(max(count, mebibyte))
            #expect(rest.suffix(mebibyte).holdsOnly(0))
            #expect(rest.dropLast(mebibyte).holdsOnly(0xEE))
        }
    }

    @Test func aStreamGivesTheSame() throws {
        for count in [0, 1, 70_000, mebibyte, 3 * mebibyte + 5] {
            let bytes = image(count)
            let medium = MemoryStore(oldDisk(6 * mebibyte))
            let summary = try job(.stream(MemoryStream(bytes)), [RestoreTarget(medium)]).run()
            #expect(summary.results[0].error == nil && summary.digest == digest(bytes), "\(count)")
            #expect(same(Array(medium.bytes.prefix(count)), bytes))
        }
    }

    @Test func aStreamThatIsTooLongLeavesNoDisk() throws {
        let medium = MemoryStore(oldDisk(3 * mebibyte))
        let other = MemoryStore(oldDisk(8 * mebibyte))
        let bytes = image(5 * mebibyte)
        let summary = try job(.stream(MemoryStream(bytes)), [RestoreTarget(medium), RestoreTarget(other)]).run()
        #expect(summary.results[0].error?.code == .targetFailed)
        #expect(summary.results[0].error?.message.contains("goes on past") == true)
        #expect(medium.bytes.prefix(mebibyte).holdsOnly(0))
        #expect(summary.results[1].error == nil && same(Array(other.bytes.prefix(bytes.count)), bytes))
        let liar = try job(.stream(LyingStream(bytes)), [RestoreTarget(MemoryStore(oldDisk(8 * mebibyte)))]).run()
        #expect(liar.results[0].error?.code == .damaged)
    }

    @Test func aSmallerTargetTakesWhatFits() throws {
        let bytes = image(9 * mebibyte)
        let medium = MemoryStore(oldDisk(5 * mebibyte + 4096))
        let summary = try job(.random(MemoryDisk(bytes)), [RestoreTarget(medium)]).run()
        #expect(summary.results[0].error == nil && summary.results[0].verification == .passed)
        #expect(same(medium.bytes, Array(bytes.prefix(5 * mebibyte + 4096))))
    }

    /// What is laid over the image counts everywhere: at the ends, between them, behind the image, and in the proof.
    @Test func laysItsFixUpsOver() throws {
        let bytes = image(9 * mebibyte)
        let size = 12 * mebibyte
        let overlay = DiskOverlay([
            .init([1, 2, 3], at: HostOffset(510)),
            .init([UInt8](repeating: 9, count: 5000), at: HostOffset(2 << 20 - 100)),
            .init([4], at: HostOffset(5 << 20)), .init(zeros: HostRange(start: HostOffset(8 << 20 + 5), count: 70_000)),
            .init([5, 6], at: HostOffset(UInt64(size) - 512)), .init([7], at: HostOffset(9 << 20 + 77)),
        ])
        var expected = bytes + oldDisk(2 * mebibyte) + [UInt8](repeating: 0, count: mebibyte)
        expected.withMutableBytes { overlay.apply(to: &$0, at: .zero) }
        for content in [DiskContent.random(MemoryDisk(bytes)), .stream(MemoryStream(bytes))] {
            let medium = MemoryStore(oldDisk(size))
            let plain = MemoryStore(oldDisk(size))
            let isStream = if case .stream = content { true } else { false }
            let target = RestoreTarget(medium, overlay: isStream ? DiskOverlay() : overlay)
            var job = job(content, [target, RestoreTarget(plain)])
            job.planner = { (disk, target) throws(ImageError) in
                #expect(disk.byteCount == UInt64(bytes.count))
                var head = [UInt8](repeating: 0, count: 1000)
                try head.withMutableBytes { (span) throws(ImageError) in
                    try disk.makeCursor().read(into: &span, at: .zero)
                }
                #expect(
                    same(head, Array(bytes.prefix(1000))), "the planner sees the image though its head is held back")
                return target == 0 ? overlay : DiskOverlay()
            }
            let summary = try job.run()
            #expect(summary.results.allSatisfy { $0.error == nil && $0.verification == .passed })
            #expect(same(medium.bytes, expected))
            #expect(same(Array(plain.bytes.prefix(bytes.count)), bytes))
            #expect(summary.digest == digest(bytes))
            #expect(summary.results[1].digest == digest(bytes))
            if !isStream { #expect(summary.results[0].digest == digest(Array(expected.prefix(bytes.count)))) }
        }
    }

    @Test func aDeltaWritesOnlyWhatDiffers() throws {
        let bytes = image(9 * mebibyte)
        var old = bytes
        old[3 * mebibyte + 70_000] ^= 1
        old[8 * mebibyte - 1] ^= 1
        old[5 * mebibyte] = 1
        let leaf = UInt64(64 << 10)
        let mib = UInt64(mebibyte)
        for node in [UInt64(0), leaf, mib, 4 * mib] {
            let digested = DigestedMemoryDisk(bytes, node: max(node, leaf))
            let content: any BlockDevice = node == 0 ? MemoryDisk(bytes) : digested
            let medium = MemoryStore(old)
            var job = job(.random(content), [RestoreTarget(medium)])
            job.isDelta = true
            let summary = try job.run()
            let counts = summary.results[0].counts
            #expect(summary.results[0].error == nil && same(medium.bytes, bytes) && summary.digest == digest(bytes))
            // The two ends, twice each, two leaves, and a piece of zeros.
            #expect(counts.written + counts.zeroed == 5 * mib + 2 * leaf, "node \(node)")
            #expect(counts.kept + counts.written + counts.zeroed == 9 * mib + 2 * mib)
            // Equal chunks of an archive are not decoded: only those of the ends, and those that differ.
            if node == mib { #expect(digested.reads.counts.bytes == 5 * mib) }
        }
    }

    @Test func anEqualDiskNeedsNoWriteBetweenItsEnds() throws {
        let bytes = image(6 * mebibyte)
        let medium = UnreliableStore(
            MemoryStore(bytes), [.failsWrites(HostRange(start: HostOffset(1 << 20), count: 4 << 20))])
        var job = job(.random(MemoryDisk(bytes)), [RestoreTarget(medium)])
        job.isDelta = true
        #expect(try job.run().results[0].error == nil)
    }

    @Test func withoutProofNothingIsHashed() throws {
        let bytes = image(4 * mebibyte)
        let medium = MemoryStore(oldDisk(4 * mebibyte))
        var job = job(.random(MemoryDisk(bytes)), [RestoreTarget(medium)])
        job.verifies = false
        let summary = try job.run()
        #expect(same(medium.bytes, bytes) && summary.digest == nil)
        #expect(summary.results[0].verification == .none && summary.results[0].counts.verified == 0)
    }

    @Test func unreadablePartsOfTheSourceAreCounted() throws {
        let disk = HurtDisk(disk: MemoryDisk(image(6 * mebibyte)))
        let medium = MemoryStore(oldDisk(6 * mebibyte))
        let summary = try job(.random(disk), [RestoreTarget(medium)]).run()
        #expect(summary.results[0].error == nil && summary.unreadableByteCount == UInt64(mebibyte + 4096))
        #expect(medium.bytes[2 * mebibyte..<3 * mebibyte + 4096].holdsOnly(0))
    }
}

/// A stream that says it is longer than it is.
private final class LyingStream: DiskStream {
    let stream: MemoryStream
    var name: String { "liar" }
    var byteCount: UInt64? { 7 << 20 }
    init(_ bytes: [UInt8]) { stream = MemoryStream(bytes) }
    func read(into buffer: inout OutputRawSpan) throws(ImageError) { try stream.read(into: &buffer) }
}

/// A disk whose source could not give a MiB and a page from 2 MiB on.
private struct HurtDisk: BlockDevice {
    let disk: MemoryDisk
    private let hurt = HostRange(start: HostOffset(2 << 20), count: 1 << 20 + 4096)

    init(disk: MemoryDisk) { self.disk = disk }

    var byteCount: UInt64 { disk.byteCount }
    var sectorSize: Int { 512 }
    var stores: [any ByteStore] { disk.stores }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        let place = HostOffset(offset.value)
        if place < hurt.start { return Extent(.data, count: min(limit, hurt.start - place)) }
        if place < hurt.end { return Extent(.unreadable, count: min(limit, hurt.end - place)) }
        return Extent(.data, count: min(limit, byteCount - offset.value))
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { try disk.makeCursor() }
}
