import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// Entries of the block allocation table that cannot be, and blocks that the file's end cuts.
@Suite struct BlockTests {
    /// Two blocks of a disk of three.
    private func sample() -> VHDBuilder {
        var image = VHDBuilder(size: 12_288)
        image.store(0, pattern(0, 4096))
        image.store(1, pattern(1, 4096))
        return image
    }

    @Test(
        arguments: [
            (0, "footer"), (1, "dynamic header"), (2, "dynamic header"), (3, "block allocation table"),
            (14, "reaches into the footer"), (22, "past the end"), (0x7FFF_FFFF, "past the end"),
            (0xFFFF_FFFE, "past the end"),
        ] as [(UInt32, String)]) func entriesThatCannotBe(entry: UInt32, reason: String) throws
    {
        var image = sample()
        image.setEntry(2, entry)
        let bytes = try image.finished()
        #expect(bytes.count == 512 * 23)
        let disk = try device(try open(bytes))
        expectError(.damaged, reason, at: image.entryPlace(2)) { _ = try DiskContent.random(disk).allBytes() }
        expectError(.damaged, "block 2", at: image.entryPlace(2)) {
            _ = try disk.extent(at: GuestOffset(9000), limit: 1)
        }
        // What is sound is read.
        #expect(try disk.bytes(at: .zero, count: 8192) == pattern(0, 4096) + pattern(1, 4096))
        #expect(try disk.extent(at: GuestOffset(4096), limit: .max).count == 4096)
    }

    @Test func blocksOnTheParentsNames() throws {
        var image = VHDBuilder(size: 12_288, kind: .differencing, id: [UInt8](repeating: 9, count: 16))
        image.header.parentID = VHDBuilder.id
        image.addLocator(ParentLocator.relativeWindows, utf16("base"))
        image.store(0, pattern(0, 4096))
        image.setEntry(1, 4)
        let resolver = FakeResolver(images: ["base": try VHDBuilder(size: 512).finished()])
        expectError(.damaged, "a name of the parent", at: image.entryPlace(1)) {
            _ = try contents(try image.finished(), resolver)
        }
    }

    @Test func lastBlockThatTheFileCuts() throws {
        var image = sample()
        image.endsWithFooter = false
        let whole = try image.finished()
        #expect(try contents(whole).prefix(8192) == (pattern(0, 4096) + pattern(1, 4096))[...])
        // 2560 bytes and a half sector of block 1 are left.
        let cut = Array(whole.dropLast(1280))
        let disk = try device(try open(cut))
        let right = pattern(0, 4096) + Array(pattern(1, 4096)[..<2560])
        #expect(try disk.bytes(at: .zero, count: 6656) == right)
        #expect(try disk.extent(at: GuestOffset(4096), limit: .max).count == 2560)
        for place in [6656, 6657, 8191] as [UInt64] {
            expectError(.damaged, "block 1 is cut short", at: image.entryPlace(1)) {
                _ = try disk.bytes(at: GuestOffset(place), count: 1)
            }
        }
        #expect(try disk.bytes(at: GuestOffset(8192), count: 4096) == [UInt8](repeating: 0, count: 4096))
    }

    @Test func whatLiesBehindTheDisksEndMayBeMissing() throws {
        var image = VHDBuilder(size: 4608)
        image.store(1, pattern(1, 512))
        image.endsWithFooter = false
        let cut = Array(try image.finished().dropLast(3584))
        #expect(try contents(cut) == [UInt8](repeating: 0, count: 4096) + pattern(1, 512))
        expectError(.damaged, "block 1", at: image.entryPlace(1)) { _ = try contents(Array(cut.dropLast())) }
        // The same before a footer.
        let footer = try image.footer.bytes()
        #expect(try contents(cut + footer) == [UInt8](repeating: 0, count: 4096) + pattern(1, 512))
        #expect(throws: ImageError.self) { try contents(Array(cut.dropLast(512)) + footer) }
    }

    @Test func cutBitmapsAndClearBits() throws {
        var image = VHDBuilder(size: 4096, kind: .differencing, id: [UInt8](repeating: 9, count: 16))
        image.header.parentID = VHDBuilder.id
        image.header.parentName = Array("base".utf16)
        image.store(0, pattern(0, 4096), bitmap: [0xF0])
        image.endsWithFooter = false
        var base = VHDBuilder(size: 4096)
        base.store(0, pattern(5, 4096))
        let resolver = FakeResolver(images: ["base": try base.finished()])
        let whole = try image.finished()
        // What the parent has is not missing.
        let right = Array(pattern(0, 4096)[..<2048] + pattern(5, 4096)[2048...])
        #expect(try contents(Array(whole.dropLast(2048)), resolver) == right)
        for count in [2049, 3000, 4096, 4500] {
            expectError(.damaged, "block 0", at: image.entryPlace(0)) {
                _ = try contents(Array(whole.dropLast(count)), resolver)
            }
        }
    }

    @Test func overlapsAreNoted() throws {
        var image = sample()
        #expect(try notes(try image.finished()).isEmpty)
        image.setEntry(2, UInt32(try #require(image.blocks[0]) / 512))
        #expect(try notes(try image.finished()).contains { $0.contains("blocks 0 and 2 lie on the same bytes") })
        #expect(try contents(try image.finished()).suffix(4096) == pattern(0, 4096)[...])
        image.setEntry(2, UInt32(try #require(image.blocks[0]) / 512 + 8))
        #expect(try notes(try image.finished()).contains { $0.contains("blocks 0 and 2 lie") })
        image.setEntry(0, UInt32(try #require(image.blocks[1]) / 512 + 9))
        image.setEntry(2, .max)
        #expect(try notes(try image.finished()).isEmpty)
    }

    @Test(arguments: [(2048, 1536), (1537, 1537), (4096, 4096)]) func tablesAnywhere(_ room: Int, _ place: Int) throws {
        var image = VHDBuilder(size: 8192)
        let entries = Array(repeating: UInt8(0xFF), count: 8)
        image.append([UInt8](repeating: 0, count: room))
        image.header.tableOffset = UInt64(place)
        image.put(entries, at: place)
        image.store(1, pattern(1, 4096))
        #expect(try contents(try image.finished()).suffix(4096) == pattern(1, 4096)[...])
    }

    @Test func hostileTables() throws {
        var image = sample()
        for place in [0, 511, 512, 1535, UInt64.max, 1 << 63, 11_775] {
            image.header.tableOffset = place
            #expect(throws: ImageError.self) { try open(try image.finished()) }
        }
        image = sample()
        for (entries, isSound) in [(0, false), (2, false), (3, true), (4, true), (UInt32.max, true)] {
            image.header.entries = entries
            if isSound {
                #expect(try contents(try image.finished()).count == 12_288)
            } else {
                expectError(.damaged, "\(entries) entries", at: VHDBuilder.headerPlace + 28) {
                    _ = try open(try image.finished())
                }
            }
        }
        image = sample()
        for size in [0, 511, 513, 3 << 20, 1 << 31, 512 << 20, UInt32.max] {
            image.header.blockSize = size
            expectError(.damaged, "blocks of \(size)", at: VHDBuilder.headerPlace + 32) {
                _ = try open(try image.finished())
            }
        }
    }

    /// 2^32 entries in a file that has room for them, none of them sound.
    @Test func longestTableOpensAtOnce() throws {
        let image = VHDBuilder(size: 4096, blockSize: 512)
        var (footer, header) = (image.footer, image.header)
        footer.currentSize = Footer.mostBytes
        header.entries = .max
        let store = SparseStore(byteCount: 20 << 30, head: try footer.bytes() + header.bytes())
        let start = ContinuousClock.now
        let disk = try device(try VHDFormat().open(ImageSource(store: store), OpenContext()))
        #expect(disk.byteCount == Footer.mostBytes)
        expectError(.damaged, "block 0") { _ = try disk.extent(at: .zero, limit: .max) }
        expectError(.damaged, "lies on the footer") {
            _ = try disk.extent(at: GuestOffset(Footer.mostBytes - 1), limit: .max)
        }
        #expect(ContinuousClock.now - start < .seconds(2))
    }

    @Test func millionEntriesAreComparedQuickly() throws {
        var image = VHDBuilder(size: 512 << 20, blockSize: 512)
        #expect(image.header.entries == 1 << 20)
        // In no order, and without overlap: blocks of two sectors.
        let first = (VHDBuilder.tablePlace + 4 << 20) / 512 + 2
        for index in 0..<1 << 20 { image.setEntry(index, UInt32(first + (index &* 7919 % (1 << 20)) * 2)) }
        var bytes = image.bytes
        let table = try TableRange(
            "the table", offset: UInt64(VHDBuilder.tablePlace), count: 1 << 20, stride: 4, within: UInt64(bytes.count))
        let sparse = Layout.Sparse(
            header: image.header, place: HostOffset(512), table: table, blockSize: 512, bitmapByteCount: 512)
        let start = ContinuousClock.now
        #expect(try BlockOverlap.first(in: sparse, MemoryStore(bytes)) == nil)
        #expect(ContinuousClock.now - start < .seconds(10))
        bytes.replaceSubrange(
            image.entryPlace(77)..<image.entryPlace(78), with: bytes[image.entryPlace(5)..<image.entryPlace(6)])
        let found = try #require(try BlockOverlap.first(in: sparse, MemoryStore(bytes)))
        #expect((found.first, found.second) == (5, 77))
    }
}

/// A long file of which only the head holds anything.
private struct SparseStore: ByteStore {
    let id = StoreID()
    let name = "sparse"
    let identity: StoreIdentity? = nil
    let traits = StoreTraits()
    let byteCount: UInt64
    let head: [UInt8]

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        buffer.zero()
        guard offset.value < UInt64(head.count) else { return }
        let piece = head[Int(offset.value)..<min(head.count, Int(offset.value) + buffer.byteCount)]
        Array(piece).withBytes { buffer.copy(from: $0) }
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        Extent(.hole, count: min(limit, byteCount - offset.value))
    }
}
