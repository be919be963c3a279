import Foundation
import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// The specification's test vectors (section 14, groups 1 to 3), as its reference model wrote them, with what they must give.
@Suite struct VectorTests {
    struct Facts: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var archiveSHA256: String
        var diskBytes: UInt64
        var diskSHA256: String
        var digest: String
        var extents: String
        var methods: [String]
        var leaves: [Int]
        var counts: [UInt64]
        var isLate: Bool
        var chunkLog2: Int
        var leafLog2: Int
        var testDescription: String { name }

        var bytes: [UInt8] {
            [UInt8](FileManager.default.contents(atPath: "\(VectorTests.folder)/\(name).rimg") ?? Data())
        }
    }

    fileprivate static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().appendingPathComponent("Golden/vectors").path

    static let all: [Facts] = {
        let json = FileManager.default.contents(atPath: folder + "/facts.json") ?? Data()
        return (try? JSONDecoder().decode([Facts].self, from: json)) ?? []
    }()

    /// Those whose bytes no codec library has a say in.
    static let plain = all.filter { $0.methods.allSatisfy { $0 == "0/0" } && !$0.name.hasPrefix("store-") }

    @Test func nothingIsMissing() {
        #expect(Self.all.count == 37 && Self.plain.count == 6)
        #expect(Set(Self.all.flatMap(\.methods)) == ["0/0", "1/0", "2/0", "3/0", "3/1", "3/2"])
        #expect(Self.all.allSatisfy { $0.bytes.count <= 64 << 10 })
    }

    @Test(arguments: all)
    func isReadBothWays(_ facts: Facts) throws {
        let bytes = facts.bytes
        #expect(SHA256Hasher.hash(bytes).description == facts.archiveSHA256)
        let disk = try disk(bytes)
        #expect(disk.byteCount == facts.diskBytes)
        #expect(try extents(disk) == facts.extents)
        #expect(try ArchiveFormat.indexDigest(of: source(bytes)).description == facts.digest)
        for found in [try contents(bytes), try restored(bytes)] {
            #expect(SHA256Hasher.hash(found).description == facts.diskSHA256)
        }
    }

    @Test(arguments: all)
    func tellsItsStructure(_ facts: Facts) throws {
        let store = MemoryStore(facts.bytes)
        let index = try ArchiveIndex(store, header: ArchiveImage.header(store))
        let counts = index.footer.counts
        #expect(
            [counts.chunks, counts.duplicates, counts.zeros, counts.unallocated, 0, counts.unreadable] == facts.counts)
        #expect(index.geometry.chunkLog2 == facts.chunkLog2 && index.geometry.leafLog2 == facts.leafLog2)
        let leaves = try (0..<index.root.count).map { try index.root.entry($0) }.filter { $0.kind == .data }
        #expect(leaves.prefix(4).map { Int($0.place.value) } == facts.leaves)
        let header = try ArchiveImage.header(store).get()
        #expect((header.diskByteCount == nil) == facts.isLate)
    }

    /// What the model wrote of a disk, this writer writes too.
    @Test(arguments: plain)
    func isWrittenAsByTheModel(_ facts: Facts) throws {
        let store = MemoryStore(facts.bytes)
        let header = try ArchiveImage.header(store).get()
        let disk = try disk(facts.bytes)
        let guest = try contents(facts.bytes)
        let settings = try settings {
            ($0.chunkLog2, $0.leafLog2) = (facts.chunkLog2, facts.leafLog2)
            ($0.writer, $0.dedupWindow) = ("rimg_ref 1.0", header.dedupWindow)
        }
        for threads in [1, 3] {
            let written =
                facts.isLate
                ? try writeLate(ByteDiskStream(guest), settings, threads: threads)
                : try write(RunDisk(guest, runs: try runs(disk)), settings, threads: threads)
            #expect(SHA256Hasher.hash(written).description == facts.archiveSHA256, "\(threads) threads")
        }
    }

    private func runs(_ disk: any BlockDevice) throws -> [(kind: Extent.Kind, count: UInt64)] {
        var runs: [(kind: Extent.Kind, count: UInt64)] = []
        var offset: UInt64 = 0
        while offset < disk.byteCount {
            let extent = try disk.extent(at: GuestOffset(offset), limit: .max, layers: .top, detail: .tables)
            runs.append((extent.kind, extent.count))
            offset += extent.count
        }
        return runs
    }

    @Test func theCausesAreKept() throws {
        let facts = try #require(Self.all.first { $0.name == "lost" })
        let info = try ArchiveFormat().open(source(facts.bytes), OpenContext()).info()
        let fields = Dictionary(info.specific.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(fields["unreadable-ranges"] == .number(4))
        guard case .list(let rows) = fields["unreadable"] else {
            Issue.record("no list of unreadable ranges")
            return
        }
        let chunk: UInt64 = 65536
        let expected: [(UInt64, UInt64, String, UInt64)] = [
            (chunk, 2 * chunk, "I/O error (EIO)", 3), (4 * chunk + 512, 1024, "I/O error (EIO)", 3),
            (5 * chunk + 4096, 512, "medium error (ENODATA)", 1), (6 * chunk + 512, 512, "I/O error (EIO)", 1),
        ]
        #expect(
            rows
                == expected.map { start, count, cause, tries in
                    .fields([
                        InfoField("start", .number(start)), InfoField("length", .number(count)),
                        InfoField("cause", .text(cause)), InfoField("tries", .number(tries)),
                    ])
                })
    }
}
