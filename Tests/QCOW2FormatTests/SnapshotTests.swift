import ReimageCore
import Synchronization
import Testing

/// Internal snapshots, bitmaps, and what `info` and notes tell.
@Suite struct SnapshotTests {
    /// An image of two clusters whose snapshots keep an older second cluster, and a smaller disk.
    private func image(
        _ snapshots: [(id: String, name: String)] = [("1", "first")], extra: Int = 24, l1Size: UInt32 = 1,
        size: UInt64 = 1000, version: UInt32 = 3
    ) -> ImageBuilder {
        var image = ImageBuilder(size: 2048)
        image.version = version
        image.data(0, pattern(1, 512))
        image.data(1, pattern(2, 512))
        let old = image.append(pattern(3, 512))
        var table = ImageBuilder(size: 0, l1Count: 0)
        table.bytes = [UInt8](repeating: 0, count: 512)
        table.put(image.plain[0] ?? 0, at: 0)
        table.put(old, at: 8)
        let l2 = image.append(table.bytes)
        table.bytes = [UInt8](repeating: 0, count: 512)
        table.put(l2 | 1 << 63, at: 0)
        let l1 = image.append(table.bytes)
        var entries = ImageBuilder(size: 0, l1Count: 0)
        entries.bytes = []
        for (id, name) in snapshots {
            let start = entries.bytes.count
            entries.bytes += [UInt8](repeating: 0, count: 40 + extra)
            entries.put(l1, at: start)
            entries.put(l1Size, at: start + 8)
            entries.put(UInt16(id.utf8.count), at: start + 12)
            entries.put(UInt16(name.utf8.count), at: start + 14)
            entries.put(1_700_000_000 as UInt32, at: start + 16)
            entries.put(7 as UInt32, at: start + 32)
            entries.put(UInt32(extra), at: start + 36)
            if extra >= 8 { entries.put(9 as UInt64, at: start + 40) }
            if extra >= 16 { entries.put(size, at: start + 48) }
            if extra >= 24 { entries.put(UInt64.max, at: start + 56) }
            entries.bytes += Array(id.utf8) + Array(name.utf8)
            while entries.bytes.count % 8 != 0 { entries.bytes.append(0) }
        }
        image.snapshotsOffset = image.append(entries.bytes)
        image.snapshotCount = UInt32(snapshots.count)
        return image
    }

    @Test func snapshotIsReadWithItsOwnSize() throws {
        let bytes = image().finished()
        #expect(try contents(bytes).count == 2048)
        for wanted in ["1", "first"] {
            #expect(try contents(bytes, snapshot: wanted) == pattern(1, 512) + pattern(3, 488))
        }
    }

    @Test func infoListsThem() throws {
        let snapshots = try open(image([("1", "a"), ("2", "b\u{7}")]).finished()).info().snapshots
        #expect(snapshots.map(\.name) == ["a", "b\u{7}"])
        #expect(snapshots[0].byteCount == 1000)
        #expect(snapshots[0].vmStateSize == 9)
        #expect(snapshots[0].instructionCount == nil)
        #expect(snapshots[0].dateSeconds == 1_700_000_000)
        let old = try open(image(extra: 0, version: 2).finished()).info().snapshots
        #expect(old[0].byteCount == nil)
        #expect(old[0].vmStateSize == 7)
        #expect(try contents(image(extra: 0, version: 2).finished(), snapshot: "1").count == 2048)
    }

    @Test func idGoesBeforeName() throws {
        let bytes = image([("1", "2"), ("2", "x")]).finished()
        _ = try open(bytes, snapshot: "2")
        for wanted in ["3", ""] {
            let error = #expect(throws: ImageError.self) { try open(bytes, snapshot: wanted) }
            #expect(error?.code == .invalidArgument)
            #expect(error?.advice?.contains("1 '2', 2 'x'") == true)
        }
        let error = #expect(throws: ImageError.self) {
            try open(image([("1", "x"), ("2", "x")]).finished(), snapshot: "x")
        }
        #expect(error?.code == .invalidArgument)
        let none = #expect(throws: ImageError.self) { try open(ImageBuilder(size: 512).finished(), snapshot: "x") }
        #expect(none?.code == .invalidArgument)
    }

    @Test func brokenTableIsAnError() {
        expectError(.damaged, "extra data size") { _ = try open(image(extra: 1032).finished()) }
        expectError(.damaged, "more than 4194304") { _ = try open(image(l1Size: 4_194_305).finished()) }
        expectError(.damaged, "passes the end") { _ = try open(image(l1Size: 4000).finished()) }
        expectError(.damaged, "too small") { _ = try contents(image(size: 1 << 60).finished(), snapshot: "1") }
        var cut = image()
        cut.snapshotCount = 100
        expectError(.damaged, "snapshot table entry") { _ = try open(cut.finished()) }
        var outside = image()
        outside.snapshotsOffset = 1 << 40
        expectError(.damaged, "snapshot table entry 0") { _ = try open(outside.finished()) }
        var unaligned = image()
        unaligned.put(0x601 as UInt64, at: Int(unaligned.snapshotsOffset))
        expectError(.damaged, "offset 1537") { _ = try open(unaligned.finished()) }
        var lapping = image()
        lapping.put(0x200 as UInt64, at: Int(lapping.snapshotsOffset))
        expectError(.damaged, "overlaps") { _ = try open(lapping.finished(), snapshot: "1") }
    }

    @Test func bitmapsAreListedOrRemarkedOn() throws {
        var image = ImageBuilder(size: 512)
        var entry = ImageBuilder(size: 0, l1Count: 0)
        entry.bytes = [UInt8](repeating: 0, count: 32)
        entry.put(0x200 as UInt64, at: 0)
        entry.put(1 as UInt32, at: 8)
        entry.put(3 as UInt32, at: 12)
        entry.put([1, 16, 0, 4], at: 16)
        entry.put(Array("name".utf8), at: 24)
        let directory = image.append(entry.bytes)
        var data = ImageBuilder(size: 0, l1Count: 0)
        data.bytes = [UInt8](repeating: 0, count: 24)
        data.put(1 as UInt32, at: 0)
        data.put(32 as UInt64, at: 8)
        data.put(directory, at: 16)
        image.autoclear = 1
        image.extensions = [(0x2385_2875, data.bytes)]
        let info = try open(image.finished()).info()
        let expected = InfoValue.list([
            .fields([
                InfoField("flags", .list([.text("in-use"), .text("auto")])), InfoField("name", .text("name")),
                InfoField("granularity", .number(65536)),
            ])
        ])
        #expect(info.specific.last == InfoField("bitmaps", expected))
        #expect(info.remarks.isEmpty)

        var stale = image
        stale.autoclear = 0
        #expect(try open(stale.finished()).info().remarks.count == 1)
        for (offset, value) in [(0, 0), (8, 1 << 40), (8, 20), (16, 0x201), (16, 1 << 60), (16, 0)] as [(Int, UInt64)] {
            var broken = image
            data.put(value, at: offset)
            broken.extensions = [(0x2385_2875, data.bytes)]
            let info = try open(broken.finished()).info()
            #expect(info.remarks.first?.contains("bitmaps cannot be listed") == true)
            data.put(1 as UInt32, at: 0)
            data.put(0 as UInt32, at: 4)
            data.put(32 as UInt64, at: 8)
            data.put(directory, at: 16)
        }
        for (offset, value) in [(0, 0), (8, 0), (15, 0xFF), (16, 2), (17, 8), (17, 32), (18, 0xFF), (19, 0), (20, 1)]
            as [(Int, UInt8)]
        {
            var broken = image
            broken.put(
                [value] + (offset < 2 ? [0, 0, 0, 0, 0, 0, 0] : offset == 8 ? [0, 0, 0] : []),
                at: Int(directory) + offset)
            let remarks = try open(broken.finished()).info().remarks
            #expect(remarks.first?.contains("bitmap") == true, "byte \(offset) = \(value)")
        }
    }

    @Test func troubleIsNoted() throws {
        let collected = Collected()
        var image = ImageBuilder(size: 1000)
        image.incompatible = 3
        let opened = try open(image.finished(), note: { note in collected.notes.withLock { $0.append(note) } })
        #expect(collected.notes.withLock { $0.count } == 3)
        let info = try opened.info()
        #expect(info.remarks.count == 3)
        #expect(info.isDirty)
        #expect(info.specific.contains(InfoField("corrupt", .flag(true))))
        #expect(try device(opened).byteCount == 1000)
    }

    final class Collected: Sendable {
        let notes = Mutex<[Note]>([])
    }

    @Test func encryptedDiskIsOnlyDescribed() throws {
        var aes = ImageBuilder(size: 512)
        aes.cryptMethod = 1
        var luks = ImageBuilder(size: 512)
        luks.cryptMethod = 2
        let place = luks.append([UInt8](repeating: 1, count: 512))
        var pointer = ImageBuilder(size: 0, l1Count: 0)
        pointer.bytes = [UInt8](repeating: 0, count: 16)
        pointer.put(place, at: 0)
        pointer.put(512 as UInt64, at: 8)
        luks.extensions = [(0x0537_BE77, pointer.bytes)]
        for (image, name, method) in [(aes, "aes", "AES"), (luks, "luks", "LUKS")] {
            let opened = try open(image.finished())
            let info = try opened.info()
            #expect(info.isEncrypted)
            #expect(info.specific.contains(InfoField("encrypt", .fields([InfoField("format", .text(name))]))))
            expectError(.unsupported, method) { _ = try opened.content() }
        }
        luks.extensions = []
        expectError(.damaged, "crypt_method") { _ = try open(luks.finished()) }
    }
}
