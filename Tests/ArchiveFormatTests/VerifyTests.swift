import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// What verifying and checking say of archives, whole and damaged.
@Suite struct VerifyTests {
    @Test(arguments: Golden.all)
    func wholeArchives(_ golden: Golden) throws {
        let depths: [VerifyDepth] = golden.diskBytes > 1 << 40 ? [.stored, .full] : VerifyDepth.allCases
        for depth in depths {
            let (summary, findings) = try verify(golden.bytes, depth)
            #expect(summary.isClean, "\(golden.name) \(depth): \(findings)")
            #expect(findings.isEmpty, "\(golden.name) \(depth): \(findings)")
            #expect(digestText(summary) == golden.digest)
            #expect(summary.digestIsClaim == (depth == .stored))
            #expect(summary.unreadable.isEmpty == (golden.counts[5] == 0))
        }
        #expect(try ArchiveFormat().check(source(golden.bytes), OpenContext()) { _ in }.isClean)
    }

    @Test func ofAllThreadsTogether() throws {
        let archive = try DamagedArchive.standard.get()
        for count in [1, 4] {
            for depth in VerifyDepth.allCases {
                let (summary, findings) = try verify(archive.bytes, depth, threads: count)
                #expect(summary.isClean, "\(findings)")
                #expect(digestText(summary) == archive.digest)
            }
        }
    }

    /// A damaged payload is told with the exact parts of the disk, duplicates among them, at every depth.
    @Test func aDamagedPayloadIsNamed() throws {
        let archive = try DamagedArchive.small.get()
        for number in archive.types.indices where archive.types[number] == .chunk {
            let place = archive.places[number] + 128 + 1
            var bytes = archive.bytes
            bytes[place] ^= 0x10
            let slots = archive.slots(storedIn: place..<place + 1)
            #expect(!slots.isEmpty)
            for depth in VerifyDepth.allCases {
                let (summary, _) = try verify(bytes, depth)
                #expect(summary.lost == archive.ranges(of: slots), "\(depth), chunk at \(place)")
                #expect(!summary.isClean)
                #expect(summary.digest == nil)
            }
            // The structure is whole.
            #expect(try ArchiveFormat().check(source(bytes), OpenContext()) { _ in }.isClean)
        }
    }

    /// Damage to what is there twice loses nothing, and is told.
    @Test func aDamagedStructureIsNamed() throws {
        let archive = try DamagedArchive.small.get()
        var places = archive.types.indices.filter { archive.types[$0] != .chunk }.map { archive.places[$0] + 40 }
        places += [100, archive.bytes.count - 20]
        for place in places {
            var bytes = archive.bytes
            bytes[place] ^= 0x10
            for depth in VerifyDepth.allCases {
                let (summary, findings) = try verify(bytes, depth)
                #expect(!findings.isEmpty && !summary.isClean, "\(depth), byte \(place)")
                #expect(summary.lost.isEmpty, "\(depth), byte \(place): \(findings)")
                #expect(digestText(summary) == archive.digest)
            }
            let check = try ArchiveFormat().check(source(bytes), OpenContext()) { _ in }
            #expect(check.corruptions > 0, "byte \(place)")
        }
    }

    /// Payloads that decode, under the nodes of others: only the hash tells.
    @Test func forgedContentIsFound() throws {
        let archive = try DamagedArchive.small.get()
        let stored = archive.types.indices.first { number in
            archive.types[number] == .chunk && archive.bytes[archive.places[number] + 76] == 0
        }
        let place = archive.places[try #require(stored)]
        var forgery = Forgery(bytes: archive.bytes)
        forgery.bytes[place + 128 + 77] ^= 1
        forgery.sealRecord(at: place)
        #expect(try verify(forgery.bytes, .stored).summary.isClean)
        let (summary, _) = try verify(forgery.bytes, .full)
        #expect(summary.lost == archive.ranges(of: archive.slots(storedIn: place + 128..<place + 129)))
    }

    @Test func wrongCountsAreFound() throws {
        let golden = try Golden.named("tiny")
        for (field, name) in [(96, "bytes in chunks"), (104, "stored bytes"), (112, "codecs"), (192, "ERRS")] {
            var forgery = Forgery(golden)
            forgery.setFooter(forgery.number(at: forgery.footer + 64 + field) &+ 8, at: field)
            let (summary, findings) = try verify(forgery.bytes, .stored)
            #expect(!summary.isClean || field == 112)
            #expect(findings.contains { $0.message.contains(name) } || field == 112, "\(findings)")
        }
    }

    @Test func aCutArchiveIsDamaged() throws {
        let archive = try DamagedArchive.small.get()
        let bytes = Array(archive.bytes.prefix(archive.places[20] + 3))
        for depth in VerifyDepth.allCases {
            let (summary, findings) = try verify(bytes, depth)
            #expect(findings.contains { $0.message.contains("no valid index") })
            #expect(!summary.lost.isEmpty && summary.digest == nil)
        }
    }
}

/// Verifies the archive in `bytes`.
func verify(
    _ bytes: [UInt8], _ depth: VerifyDepth, threads: Int = 1
) throws(ImageError) -> (summary: VerifySummary, findings: [CheckFinding]) {
    var findings: [CheckFinding] = []
    let request = VerifyRequest(depth, threads: threads == 1 ? .single : testThreads(threads))
    let summary = try ArchiveFormat().verify(source(bytes), request, OpenContext()) { findings.append($0) }
    return (summary, findings)
}

func digestText(_ summary: VerifySummary) -> String? {
    summary.digest.flatMap { bytes in
        bytes.withBytes { try? Hash256($0) }.map { ContentDigest(hash: $0).description }
    }
}

extension DamagedArchive {
    /// The parts of the disk that are these slots.
    func ranges(of slots: [Int]) -> GuestRanges {
        var ranges = GuestRanges()
        for slot in slots {
            let start = slot * Self.chunkSize
            let count = min(Self.chunkSize, disk.count - start)
            ranges.add(GuestRange(start: GuestOffset(UInt64(start)), count: UInt64(count)))
        }
        return ranges
    }
}
