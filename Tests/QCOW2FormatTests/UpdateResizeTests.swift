import QCOW2Format
import ReimageCore
import ReimageTesting
import Synchronization
import TestSupport
import Testing

/// The length of a disk, changed in place: what is refused, and the corners of the tables.
@Suite struct UpdateResizeTests {
    private func resize(
        _ store: MemoryStore, _ count: UInt64, shrink: Bool = false, preallocation: String? = nil,
        note: @escaping @Sendable (Note) -> Void = { _ in }
    ) throws(ImageError) {
        try QCOW2Format().resize(
            UpdateTarget(store: store),
            ResizeRequest(byteCount: count, allowsShrinking: shrink, preallocation: preallocation),
            OpenContext(note: note))
    }

    private func image(_ change: (inout ImageBuilder) -> Void = { _ in }) -> MemoryStore {
        var image = ImageBuilder(size: 20_480)
        for cluster in 0..<40 { image.data(UInt64(cluster), pattern(cluster, 512)) }
        change(&image)
        return MemoryStore(image.finished(), name: "test.qcow2")
    }

    @Test func cuttingNeedsLeave() throws {
        let store = image()
        let before = store.bytes
        let error = #expect(throws: ImageError.self) { try resize(store, 10_240) }
        #expect(error?.code == .refused && error?.advice?.contains("--shrink") == true)
        #expect(store.bytes == before)
        try resize(store, 10_240, shrink: true)
        #expect(store.bytes.count < before.count)
        #expect(try contents(store.bytes) == Array(contents(before).prefix(10_240)))
    }

    @Test func lengthsAreRoundedUpToSectors() throws {
        let store = image()
        let notes = Mutex<[String]>([])
        try resize(store, 30_000) { note in notes.withLock { $0.append(note.text) } }
        #expect(try contents(store.bytes).count == 30_208)
        #expect(notes.withLock { $0.count } == 1)
    }

    @Test func theLongestDiskIsNamed() throws {
        let error = #expect(throws: ImageError.self) { try resize(image(), 1 << 40) }
        #expect(error?.code == .unsupported && error?.message.contains("\(UInt64(128) << 30)") == true)
        #expect(throws: ImageError.self) { try resize(image(), .max) }
        // 128 GiB in clusters of 512 bytes: an L1 table of 32 MiB, in a file of a few KiB.
        try resize(image(), 4 << 30)
    }

    @Test func preallocationIsForGrowth() throws {
        for (count, mode) in [(20_480, "full"), (10_240, "falloc"), (40_960, "some")] as [(UInt64, String)] {
            let error = #expect(throws: ImageError.self) {
                try resize(image(), count, shrink: true, preallocation: mode)
            }
            #expect(error?.code == .invalidArgument)
        }
    }

    /// The L1 table's cluster has room, and holds bytes behind the last entry that never were entries.
    @Test func aTableThatGrowsInItsClusterTakesNoOldBytes() throws {
        let store = image { image in image.put(0x55AA as UInt64, at: image.l1Offset + 8) }
        try resize(store, 60_000)
        let bytes = try contents(store.bytes)
        #expect(!bytes[20_480...].contains { $0 != 0 })
    }

    /// What lies behind the end in the last cluster, and behind it in the tables, stays hidden.
    @Test func whatLayBehindTheEndIsGone() throws {
        var image = ImageBuilder(size: 10_000)
        for cluster in 0..<40 { image.data(UInt64(cluster), pattern(cluster, 512)) }
        let store = MemoryStore(image.finished())
        let old = try contents(store.bytes)
        try resize(store, 30_208)
        let bytes = try contents(store.bytes)
        #expect(bytes.count == 30_208 && Array(bytes[..<10_000]) == old)
        #expect(!bytes[10_000...].contains { $0 != 0 })
    }

    /// Without an L1 table at all.
    @Test func anEmptyDiskGrows() throws {
        let store = MemoryStore(ImageBuilder(size: 0, l1Count: 0).finished())
        try resize(store, 100_000)
        #expect(try contents(store.bytes) == [UInt8](repeating: 0, count: 100_352))
        let disk = try QCOW2Format().openForWriting(UpdateTarget(store: store), OpenContext())
        try pattern(1, 100_352).withBytes { (span) throws(ImageError) in try disk.write(span, at: .zero) }
        #expect(try contents(store.bytes) == pattern(1, 100_352))
    }

    @Test func theSameLengthChangesNothing() throws {
        let store = image { $0.autoclear = 1 << 40 }
        let before = store.bytes
        try resize(store, 20_480)
        #expect(store.bytes == before)
    }

    @Test(.enabled(if: QEMU.isInstalled)) func bitmapsAndOldSnapshotsAreRefused() throws {
        let folder = Scratch()
        let path = folder.file("a.qcow2")
        try QEMU.run("qemu-img", ["create", "-q", "-f", "qcow2", path, "1M"])
        try QEMU.run("qemu-img", ["bitmap", "--add", path, "b"])
        var error = #expect(throws: ImageError.self) {
            try resize(MemoryStore(try #require(folder.read("a.qcow2"))), 2 << 20)
        }
        #expect(error?.code == .unsupported && error?.message.contains("bitmaps") == true)
        try QEMU.run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "compat=0.10", path, "1M"])
        try QEMU.run("qemu-img", ["snapshot", "-c", "s", path])
        error = #expect(throws: ImageError.self) {
            try resize(MemoryStore(try #require(folder.read("a.qcow2"))), 2 << 20)
        }
        #expect(error?.code == .unsupported && error?.message.contains("snapshots") == true)
    }
}
