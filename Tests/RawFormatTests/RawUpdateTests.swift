import RawFormat
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

/// Raw disks that are changed in place.
@Suite struct RawUpdateTests {
    private func resize(
        _ store: any UpdatableStore, _ count: UInt64, shrink: Bool = false, preallocation: String? = nil
    ) throws(ImageError) {
        try RawFormat().resize(
            UpdateTarget(store: store),
            ResizeRequest(byteCount: count, allowsShrinking: shrink, preallocation: preallocation), OpenContext())
    }

    @Test func bytesAreChangedWhereTheyLie() throws {
        var expected = pattern(10_000)
        let store = MemoryStore(expected)
        let disk = try RawFormat().openForWriting(UpdateTarget(store: store), OpenContext())
        try pattern(77).withBytes { (span) throws(ImageError) in try disk.write(span, at: GuestOffset(4001)) }
        try disk.zero(GuestRange(start: GuestOffset(100), count: 200), mayUnmap: false)
        try disk.discard(GuestRange(start: GuestOffset(9000), count: 1000))
        try disk.flush()
        expected.replaceSubrange(4001..<4078, with: pattern(77))
        for place in [100..<300, 9000..<10_000] {
            expected.replaceSubrange(place, with: repeatElement(0, count: place.count))
        }
        #expect(store.bytes == expected)
        #expect(try disk.bytes(at: .zero, count: 10_000) == expected)
    }

    @Test func nothingIsWrittenPastTheEnd() throws {
        let store = MemoryStore(pattern(1000))
        let disk = try RawFormat().openForWriting(UpdateTarget(store: store), OpenContext())
        let range = GuestRange(start: GuestOffset(900), count: 101)
        let writes: [() throws -> Void] = [
            { try pattern(101).withBytes { (span) throws(ImageError) in try disk.write(span, at: range.start) } },
            { try disk.zero(range, mayUnmap: true) }, { try disk.discard(range) },
        ]
        for write in writes {
            let error = #expect(throws: ImageError.self) { try write() }
            #expect(error?.code == .invalidArgument)
        }
        #expect(store.bytes == pattern(1000))
    }

    @Test func lengthsAreExact() throws {
        let store = MemoryStore(pattern(1000))
        try resize(store, 1777)
        #expect(store.bytes == pattern(1000) + [UInt8](repeating: 0, count: 777))
        let error = #expect(throws: ImageError.self) { try resize(store, 333) }
        #expect(error?.code == .refused && error?.advice?.contains("--shrink") == true)
        try resize(store, 333, shrink: true)
        #expect(store.bytes == pattern(333))
        for (count, mode) in [(333, "full"), (10, "falloc"), (1000, "metadata")] as [(UInt64, String)] {
            let error = #expect(throws: ImageError.self) { try resize(store, count, shrink: true, preallocation: mode) }
            #expect(error?.code == .invalidArgument)
        }
    }

    @Test func withoutTheSpaceTheDiskKeepsItsLength() throws {
        let inner = MemoryStore(pattern(1000))
        let error = #expect(throws: ImageError.self) {
            try resize(FullStore(inner), 5000, preallocation: "falloc")
        }
        #expect(error?.code == .targetFailed)
        #expect(inner.bytes == pattern(1000))
    }
}

/// A store on a medium that is full.
private struct FullStore: UpdatableStore {
    let inner: MemoryStore

    init(_ inner: MemoryStore) { self.inner = inner }

    var id: StoreID { inner.id }
    var name: String { inner.name }
    var identity: StoreIdentity? { nil }
    var byteCount: UInt64 { inner.byteCount }
    var traits: StoreTraits { inner.traits }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try inner.read(into: &buffer, at: offset)
    }
    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try inner.extent(at: offset, limit: limit)
    }
    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) { throw Self.full }
    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) { throw Self.full }
    func setByteCount(_ count: UInt64) throws(ImageError) { try inner.setByteCount(count) }
    func sync() throws(ImageError) {}

    private static let full = ImageError(.targetFailed, "no space left")
}
