import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// What `info` tells of the chunks and of the ranges that could not be read.
@Suite struct InfoTests {
    private func fields(_ image: [UInt8]) throws -> (fields: [String: InfoValue], remarks: [String]) {
        let info = try ArchiveFormat().open(source(image), OpenContext()).info()
        return (Dictionary(info.specific.map { ($0.name, $0.value) }) { first, _ in first }, info.remarks)
    }

    private func members(_ value: InfoValue?) -> [[String: InfoValue]] {
        guard case .list(let values) = value else { return [] }
        return values.map { value in
            guard case .fields(let fields) = value else { return [:] }
            return Dictionary(fields.map { ($0.name, $0.value) }) { first, _ in first }
        }
    }

    private func sum(_ name: String, _ rows: [[String: InfoValue]]) -> UInt64 {
        rows.reduce(0) { if case .number(let number) = $1[name] { $0 + number } else { $0 } }
    }

    @Test(arguments: Golden.all)
    func theSumsAreThoseOfTheEnd(_ golden: Golden) throws {
        let (fields, _) = try fields(golden.bytes)
        let rows = members(fields["compression"])
        #expect(sum("chunks", rows) == golden.counts[0])
        #expect(.number(sum("data-size", rows)) == fields["data-size"])
        #expect(.number(sum("stored-size", rows)) == fields["stored-size"])
        let names = ["store", "deflate", "zstd", "lzma2"]
        let filters = ["none", "x86", "arm64"]
        let found = rows.map { row -> String in
            guard case .text(let codec) = row["codec"] else { return "?" }
            var filter = "none"
            if case .text(let name) = row["filter"] { filter = name }
            return "\(names.firstIndex(of: codec) ?? 99)/\(filters.firstIndex(of: filter) ?? 99)"
        }
        #expect(found == golden.methods.sorted())
    }

    @Test func shares() throws {
        // Of 17 slots 3 are stored, one of them again, and 13 are zeros.
        let (fields, _) = try fields(try Golden.named("tiny").bytes)
        #expect(fields["zero-percent"] == .hundredths(7647))
        #expect(fields["duplicate-percent"] == .hundredths(2500))
        #expect(fields["stored-percent"] == .hundredths(10_000))
        let nothing = try self.fields(try Golden.named("nothing").bytes).fields
        #expect(nothing["zero-percent"] == .hundredths(0) && nothing["compression"] == nil)
        #expect(InfoValue.percent(.max, of: 1) == .hundredths(10_000))
        #expect(InfoValue.percent(1, of: .max) == .hundredths(0))
        #expect(InfoValue.percent(.max, of: .max) == .hundredths(10_000))
    }

    @Test func rangesThatCouldNotBeRead() throws {
        var random = SeededGenerator(seed: 40)
        let disk = LostDisk(byteCount: 65536 * 40, runs: 50) { _ in UInt8.random(in: 1...255, using: &random) }
        let image = try write(disk, settings { ($0.chunkLog2, $0.leafLog2) = (16, 2) })
        let (fields, remarks) = try fields(image)
        #expect(fields["unreadable-ranges"] == .number(50))
        #expect(fields["unreadable-size"] == .number(50 * 512))
        #expect(fields["unreadable-ranges-left-out"] == .number(34))
        let rows = members(fields["unreadable"])
        #expect(rows.count == 16)
        for (index, row) in rows.enumerated() {
            #expect(row["start"] == .number(UInt64(index) * 50_176 + 1024) && row["length"] == .number(512))
            #expect(row["cause"] == .text("I/O error (EIO)") && row["tries"] == .number(4))
        }
        #expect(remarks.contains { $0.contains("34 more") }, "\(remarks)")
    }

    @Test func aLongIndexIsSampled() throws {
        let disk = RunDisk(mixed(64 * 65536, seed: 41))
        let image = try write(disk, settings { ($0.chunkLog2, $0.leafLog2) = (16, 1) })
        let store = MemoryStore(image)
        let index = try ArchiveIndex(store, header: ArchiveImage.header(store))
        let whole = try MethodTally(index, store)
        #expect(!whole.isSample && whole.chunks == index.footer.counts.chunks)
        #expect(whole.remarks(ofChunks: whole.chunks).isEmpty)
        for sample in [try MethodTally(index, store, mostLeaves: 8), try MethodTally(index, store, mostBytes: 2400)] {
            #expect(sample.isSample && sample.chunks > 4 && sample.chunks < 20)
            #expect(sample.remarks(ofChunks: 64).first?.contains("\(sample.chunks) of 64 chunks") == true)
        }
        // A damaged LEAF record costs its own figures alone.
        let entry = try #require(try (0..<index.root.count).map { try index.root.entry($0) }.first { $0.kind == .data })
        var damaged = image
        damaged[Int(entry.place.value) + 170] ^= 1
        let rest = try MethodTally(index, MemoryStore(damaged))
        #expect(rest.damaged == 1 && rest.chunks < whole.chunks && rest.chunks + 2 >= whole.chunks)
        #expect(rest.remarks(ofChunks: whole.chunks).first?.contains("1 LEAF records") == true)
        #expect(try fields(damaged).remarks.contains { $0.contains("damaged") })
    }

    @Test func aDamagedListIsRemarkedOn() throws {
        let kinds = try Golden.named("kinds")
        let store = MemoryStore(kinds.bytes)
        let index = try ArchiveIndex(store, header: ArchiveImage.header(store))
        let place = Int(index.footer.errors)
        #expect(place > 0)
        #expect(try members(fields(kinds.bytes).fields["unreadable"]).isEmpty == false)
        for offset in [0, 20, 64, 80] {
            var bytes = kinds.bytes
            bytes[place + offset] ^= 1
            let (fields, remarks) = try fields(bytes)
            #expect(fields["unreadable"] == nil)
            #expect(remarks.contains { $0.contains("unreadable ranges cannot be read") }, "\(remarks)")
        }
    }

    /// The index of 64 TiB is a page of the archive; the description reads no more for it.
    @Test func isQuickOnALargeDisk() throws {
        let store = CountingStore(MemoryStore(try Golden.named("empty-64tib").bytes))
        _ = try ArchiveFormat().open(ImageSource(store: store), OpenContext()).info()
        #expect(store.counts.reads < 8)
    }
}

/// A disk with ranges of 512 bytes that cannot be read, at even distances.
private final class LostDisk: BlockDevice, DiskCursor, @unchecked Sendable {
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore] = []
    private let bytes: [UInt8]
    private let lost: [GuestRange]
    private(set) var unreadable: [LostRun] = []

    init(byteCount: UInt64, runs: Int, _ byte: (Int) -> UInt8) {
        self.byteCount = byteCount
        bytes = (0..<Int(byteCount)).map(byte)
        lost = (0..<runs).map { GuestRange(start: GuestOffset(UInt64($0) * 50_176 + 1024), count: 512) }
    }

    private init(_ other: LostDisk) { (byteCount, bytes, lost) = (other.byteCount, other.bytes, other.lost) }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent { Extent(.data, count: min(limit, byteCount - offset.value)) }

    func makeCursor() throws(ImageError) -> any DiskCursor { LostDisk(self) }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        let start = Int(offset.value)
        let count = buffer.byteCount
        bytes.withBytes { buffer.copy(from: $0.extracting(start..<start + count)) }
        let whole = GuestRange(start: offset, count: UInt64(count))
        unreadable = lost.filter { $0.start >= whole.start && $0.end <= whole.end }
            .map { LostRun($0, systemCode: 5, tries: 4) }
        for run in unreadable {
            let first = Int(run.range.start.value) - start
            buffer.zero(first..<first + 512)
        }
    }
}
