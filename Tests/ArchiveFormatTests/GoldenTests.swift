import ArchiveFormat
import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

/// Archives of another writer, read whole.
@Suite struct GoldenTests {
    @Test func filesAreTheOnesThatWereWritten() throws {
        #expect(Golden.all.count == 12)
        for golden in Golden.all {
            #expect(golden.bytes.count == golden.archiveBytes)
            #expect(SHA256Hasher.hash(golden.bytes).description == golden.archiveSHA256, "\(golden.name)")
        }
        // The specification's own, section 14.
        let tiny = try Golden.named("tiny")
        #expect(tiny.archiveSHA256 == "fc9626d2b38e0e0f04992410ef3abee498222d5f37265ed155f114fb23157271")
        #expect(tiny.digest == "rdd1:f75fbd0ef57a529253c747f6490b88999ef3d8ce2d1b7f013b107113af13f29f")
        #expect(Set(Golden.all.flatMap(\.methods)) == ["0/0", "1/0", "2/0", "3/0", "3/1", "3/2"])
    }

    @Test(arguments: Golden.small)
    func hasTheBytesOfTheDisk(_ golden: Golden) throws {
        let found = try contents(golden.bytes)
        #expect(UInt64(found.count) == golden.diskBytes)
        #expect(SHA256Hasher.hash(found).description == golden.diskSHA256)
        #expect(digest(of: found) == golden.digest)
    }

    @Test(arguments: Golden.all)
    func hasTheKindsAndTheDigest(_ golden: Golden) throws {
        let disk = try disk(golden.bytes)
        #expect(disk.byteCount == golden.diskBytes)
        #expect(try extents(disk) == golden.extents)
        if golden.diskBytes < 1 << 30 { #expect(try extents(disk, limit: 10_000) == golden.extents) }
        #expect(try ArchiveFormat.indexDigest(of: source(golden.bytes)).description == golden.digest)
    }

    @Test(arguments: Golden.all)
    func describesItself(_ golden: Golden) throws {
        let info = try ArchiveFormat().open(source(golden.bytes), OpenContext()).info()
        #expect(info.virtualSize == golden.diskBytes)
        #expect(info.uniqueID?.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == golden.uuid)
        let fields = Dictionary(info.specific.map { ($0.name, $0.value) }) { first, _ in first }
        #expect(fields["digest"] == .text(golden.digest))
        #expect(fields["stored-chunks"] == .number(golden.counts[0]))
        #expect(fields["duplicate-slots"] == .number(golden.counts[1]))
        #expect(fields["unreadable-slots"] == .number(golden.counts[5]))
        #expect(fields["writer"] == .text("rimg_ref 1.0"))
        #expect(info.remarks.count == (golden.name == "kinds" ? 1 : 0), "\(info.remarks)")
        guard golden.name == "kinds" else { return }
        let inner = InfoValue.fields([
            InfoField("format", .text("raw")), InfoField("size", .number(14 * 65536 + 700)),
        ])
        #expect(
            fields["metadata"]
                == .fields([
                    InfoField("format", .text("raw")), InfoField("note", .text("kinds")), InfoField("source", inner),
                ]))
    }

    @Test(arguments: Golden.small)
    func keepsTheRulesOfEveryFormat(_ golden: Golden) throws {
        let guest = try contents(golden.bytes)
        try FormatConformance(ArchiveFormat()).run(.init(golden.name, image: golden.bytes, guest: guest))
    }

    /// An archive lies at the start of a medium that is longer: a device, a tape.
    @Test(arguments: [1, 8, 4096, 5001, 70_000])
    func zerosMayFollow(_ count: Int) throws {
        let golden = try Golden.named("kinds")
        let bytes = golden.bytes + [UInt8](repeating: 0, count: count)
        #expect(try SHA256Hasher.hash(contents(bytes)).description == golden.diskSHA256)
    }

    @Test func moreZerosThanAreLookedPast() throws {
        for name in ["kinds", "ancillary"] {
            let golden = try Golden.named(name)
            let disk = try disk(ZeroTail(MemoryStore(golden.bytes), zeros: 65 << 20))
            let found = try disk.bytes(at: .zero, count: Int(disk.byteCount))
            #expect(SHA256Hasher.hash(found).description == golden.diskSHA256)
        }
    }

    @Test func opensWithTwoReads() throws {
        for golden in Golden.all {
            let store = CountingStore(MemoryStore(golden.bytes))
            _ = try ArchiveFormat().open(ImageSource(store: store), OpenContext())
            #expect(store.counts.reads == 2)
        }
    }

    @Test func isFoundByEitherEnd() throws {
        let golden = try Golden.named("byte")
        var bytes = golden.bytes
        func probe() -> ProbeResult {
            Array(bytes.prefix(4096)).withBytes { head in
                Array(bytes.suffix(4096)).withBytes { tail in
                    ArchiveFormat().probe(head: head, tail: tail, byteCount: UInt64(bytes.count))
                }
            }
        }
        #expect(probe() == .yes)
        bytes[0] ^= 1
        guard case .likely(let note) = probe() else {
            Issue.record("an archive without its start is not recognised")
            return
        }
        #expect(note.text.contains("-f raw"))
        #expect(try contents(bytes) == Array("a".utf8))
        bytes[bytes.count - 1] ^= 1
        #expect(probe() == .no)
    }
}

/// A store with zeros behind it.
struct ZeroTail: ByteStore {
    let inner: MemoryStore
    let zeros: UInt64

    init(_ inner: MemoryStore, zeros: UInt64) {
        self.inner = inner
        self.zeros = zeros
    }

    var id: StoreID { inner.id }
    var name: String { inner.name }
    var identity: StoreIdentity? { nil }
    var byteCount: UInt64 { inner.byteCount + zeros }
    var traits: StoreTraits { inner.traits }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let start = min(offset.value, inner.byteCount)
        let count = Int(min(UInt64(buffer.byteCount), inner.byteCount - start))
        try buffer.withSlice(0..<count) { (slice) throws(ImageError) in
            try inner.read(into: &slice, at: HostOffset(start))
        }
        buffer.zero(count..<buffer.byteCount)
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        Extent(.data, count: min(limit, byteCount - offset.value))
    }
}
