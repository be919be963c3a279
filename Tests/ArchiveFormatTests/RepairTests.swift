import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// Damaged archives made anew.
@Suite struct RepairTests {
    private func repair(
        _ bytes: [UInt8], from others: [any BlockDevice] = [], threads: Int = 1
    ) throws(ImageError) -> (bytes: [UInt8], summary: RebuildSummary) {
        let target = MemoryStore([])
        let stamp = ImageStamp(seconds: 5, uniqueID: Array(1...16))
        var request = RebuildRequest(to: target, others: others, stamp: stamp)
        if threads > 1 { request.threads = testThreads(threads) }
        let summary = try ArchiveFormat().rebuild(source(bytes), request, OpenContext())
        return (target.bytes, summary)
    }

    private func digestText(_ bytes: [UInt8]) -> String {
        bytes.withBytes { (try? Hash256($0)).map { ContentDigest(hash: $0).description } ?? "none" }
    }

    @Test(arguments: Golden.all.filter { $0.diskBytes < 1 << 45 })
    func aWholeArchiveStaysWhatItIs(_ golden: Golden) throws {
        let (bytes, summary) = try repair(golden.bytes)
        #expect(digestText(summary.digest) == golden.digest)
        #expect(summary.damaged.isEmpty && summary.lost.isEmpty && summary.healed.isEmpty && !summary.isPartial)
        let (verified, findings) = try verify(bytes, .deep)
        #expect(verified.isClean, "\(golden.name): \(findings)")
        let disk = try disk(bytes)
        #expect(try extents(disk) == golden.extents)
        #expect(verified.unreadable.isEmpty == (golden.counts[5] == 0))
    }

    /// Header, end and index are written again from the records alone; threads do not show.
    @Test func everythingButTheRecordsIsMadeAnew() throws {
        let archive = try DamagedArchive.small.get()
        var bytes = archive.bytes
        for place in 0..<4096 { bytes[place] = 0 }
        for number in archive.types.indices where [.leaf, .root, .footer].contains(archive.types[number]) {
            for place in archive.places[number]..<archive.places[number + 1] { bytes[place] = 0 }
        }
        for place in bytes.count - 64..<bytes.count { bytes[place] = 0 }
        let (mended, summary) = try repair(bytes)
        #expect(digestText(summary.digest) == archive.digest)
        #expect(try contents(mended) == archive.disk)
        #expect(try verify(mended, .deep).summary.isClean)
        #expect(try repair(bytes, threads: 4).bytes == mended)
    }

    /// A damaged chunk keeps its hash, so that it can be healed at any time; its duplicates come back with it.
    @Test func aDamagedChunkIsHealed() throws {
        let archive = try DamagedArchive.small.get()
        let right = RunDisk(archive.disk)
        for number in archive.types.indices where archive.types[number] == .chunk {
            let place = archive.places[number] + 128 + 1
            var bytes = archive.bytes
            bytes[place] ^= 2
            let slots = archive.slots(storedIn: place..<place + 1)
            let (kept, first) = try repair(bytes)
            #expect(first.damaged == archive.ranges(of: slots))
            #expect(first.lost.isEmpty && !first.isPartial)
            #expect(digestText(first.digest) == archive.digest)
            for depth in VerifyDepth.allCases {
                #expect(try verify(kept, depth).summary.lost == archive.ranges(of: slots))
            }
            for source in [bytes, kept] {
                let (healed, second) = try repair(source, from: [EmptyReader(byteCount: 5), right])
                #expect(second.damaged.isEmpty && !second.healed.isEmpty)
                #expect(try verify(healed, .full).summary.isClean)
                #expect(try contents(healed) == archive.disk)
            }
        }
    }

    /// What another image holds instead is never taken.
    @Test func aWrongSourceHealsNothing() throws {
        let archive = try DamagedArchive.small.get()
        var bytes = archive.bytes
        bytes[archive.places[1] + 200] ^= 1
        let slots = archive.slots(storedIn: archive.places[1] + 200..<archive.places[1] + 201)
        var other = archive.disk
        for slot in slots { other[slot * DamagedArchive.chunkSize + 100] ^= 1 }
        let disk = RunDisk(other)
        let (_, summary) = try repair(bytes, from: [disk])
        #expect(summary.healed.isEmpty)
        #expect(summary.damaged == archive.ranges(of: slots))
    }

    /// What no record tells of is unreadable in the new archive, which says that it is not complete.
    @Test func aCutArchiveBecomesAnIncompleteOne() throws {
        let archive = try DamagedArchive.small.get()
        let (mended, summary) = try repair(Array(archive.bytes.prefix(archive.places[20])))
        #expect(summary.isPartial && !summary.lost.isEmpty)
        let (verified, findings) = try verify(mended, .deep)
        #expect(verified.isClean, "\(findings)")
        #expect(verified.isPartial)
        #expect(verified.unreadable.byteCount >= summary.lost.byteCount)
        #expect(throws: ImageError.self) { try ArchiveFormat.indexDigest(of: source(mended)) }
        let image = try ArchiveFormat().open(source(mended), OpenContext())
        #expect(image.isPartial)
        #expect(try image.info().specific.contains { $0.name == "partial-digest" })
    }
}

/// A disk that is too short, and holds nothing.
private struct EmptyReader: BlockDevice {
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore] = []

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        Extent(.hole, count: min(limit, byteCount - offset.value))
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { Cursor() }

    private final class Cursor: DiskCursor {
        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) { buffer.zero() }
    }
}
