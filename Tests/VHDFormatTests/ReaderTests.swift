import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// Sound images: what the guest's disk holds, and what is said of it.
@Suite struct ReaderTests {
    /// Samples for the conformance suite: bytes, and the disk in them.
    static func fixed() throws -> FormatConformance.Sample {
        var guest = pattern(1, 20_480)
        guest.replaceSubrange(4096..<12_288, with: [UInt8](repeating: 0, count: 8192))
        return .init("fixed", image: try VHDBuilder(fixed: guest).finished(), guest: guest)
    }

    static func dynamic() throws -> FormatConformance.Sample {
        // Blocks out of order, one left out, and a last one that the disk's end cuts.
        var image = VHDBuilder(size: 22_016)
        var guest = [UInt8](repeating: 0, count: 22_016)
        for (index, count) in [(3, 4096), (0, 4096), (5, 1536), (1, 700)] {
            let data = pattern(index, count)
            image.store(index, data)
            guest.replaceSubrange(index * 4096..<index * 4096 + count, with: data)
        }
        return .init("dynamic", image: try image.finished(), guest: guest)
    }

    /// A child of ``dynamic()`` with blocks of another size, longer than it.
    static func differencing() throws -> FormatConformance.Sample {
        let parent = try dynamic()
        var image = VHDBuilder(size: 26_624, blockSize: 8192, kind: .differencing, id: [UInt8](repeating: 9, count: 16))
        image.header.parentID = VHDBuilder.id
        image.header.parentName = Array("dynamic".utf16)
        var guest = parent.guest + [UInt8](repeating: 0, count: 26_624 - parent.guest.count)
        for (index, bitmap) in [(2, [0x80, 0x01]), (0, [0xAA, 0x0F]), (3, [0x11])] as [(Int, [UInt8])] {
            let data = pattern(40 + index, 8192)
            image.store(index, data, bitmap: bitmap)
            for sector in 0..<16 where sector / 8 < bitmap.count && bitmap[sector / 8] << (sector % 8) & 0x80 != 0 {
                let place = index * 8192 + sector * 512
                guard place < guest.count else { continue }
                guest.replaceSubrange(place..<place + 512, with: data[sector * 512..<sector * 512 + 512])
            }
        }
        let context = OpenContext(references: FakeResolver(images: ["dynamic": parent.image]))
        return .init("differencing", image: try image.finished(), guest: guest, context: context)
    }

    @Test func conformance() throws {
        for sample in [try Self.fixed(), try Self.dynamic(), try Self.differencing()] {
            try FormatConformance(VHDFormat()).run(sample)
        }
    }

    @Test func extentsOfADynamicDisk() throws {
        let sample = try Self.dynamic()
        let disk = try device(try open(sample.image))
        #expect(
            shape(try extents(disk)) == [
                "data 4096 depth 0 at 7168", "data 4096 depth 0 at 16384", "hole 4096 depth 0",
                "data 4096 depth 0 at 2560", "hole 4096 depth 0", "data 1536 depth 0 at 11776",
            ])
        // The store says that the end of block 1 is a hole.
        #expect(
            shape(try extents(disk, detail: .storage))[1...2] == [
                "data 1024 depth 0 at 16384", "zero 3072 depth 0",
            ])
    }

    @Test func extentsOfADifferencingDisk() throws {
        var image = VHDBuilder(size: 16_384, kind: .differencing, id: [UInt8](repeating: 9, count: 16))
        image.header.parentID = VHDBuilder.id
        image.header.parentName = Array("dynamic".utf16)
        image.store(0, pattern(1, 4096), bitmap: [0b0110_0000])
        let disk = try device(
            try open(try image.finished(), FakeResolver(images: ["dynamic": try Self.dynamic().image])))
        let place = try #require(image.blocks[0]) + 512
        #expect(
            shape(try extents(disk)) == [
                "data 512 depth 1 at 7168", "data 1024 depth 0 at \(place + 512)", "data 2560 depth 1 at 8704",
                "data 4096 depth 1 at 16384", "hole 4096 depth 1", "data 4096 depth 1 at 2560",
            ])
        #expect(
            shape(try extents(disk, layers: .top)) == [
                "hole 512 depth 0", "data 1024 depth 0 at \(place + 512)", "hole 14848 depth 0",
            ])
        #expect(disk.stores.count == 2)
    }

    @Test(arguments: [512, 4096, 65536, 2 << 20] as [UInt32]) func blocksOfAnySize(blockSize: UInt32) throws {
        var image = VHDBuilder(size: 4 << 20, blockSize: blockSize)
        let last = Int(4 << 20 / blockSize) - 1
        image.store(last, pattern(3, Int(blockSize)))
        image.store(0, pattern(4, Int(blockSize)))
        let disk = try device(try open(try image.finished()))
        #expect(try disk.bytes(at: .zero, count: Int(blockSize)) == pattern(4, Int(blockSize)))
        let place = GuestOffset(UInt64(last) * UInt64(blockSize))
        #expect(try disk.bytes(at: place, count: Int(blockSize)) == pattern(3, Int(blockSize)))
        #expect(try extents(disk).filter { $0.kind == .data }.count == 2)
    }

    @Test func wholeBlocksAreReadAtOnce() throws {
        var image = VHDBuilder(size: 8 << 20, blockSize: 2 << 20)
        for index in 0..<4 { image.store(index, pattern(index, 2 << 20)) }
        let store = CountingStore(MemoryStore(try image.finished(), name: "test"))
        let disk = try device(try VHDFormat().open(ImageSource(store: store), OpenContext()))
        store.reset()
        _ = try disk.bytes(at: .zero, count: 8 << 20, piece: 8 << 20)
        #expect(store.counts.reads == 5)
        #expect(store.counts.longestRead == 2 << 20)
    }

    @Test func bitmapsOfDynamicDisksHaveNoSay() throws {
        var image = VHDBuilder(size: 4096)
        image.store(0, pattern(1, 4096), bitmap: [])
        #expect(try contents(try image.finished()) == pattern(1, 4096))
    }

    @Test func footersOf511Bytes() throws {
        let sample = try Self.fixed()
        let short = Array(sample.image.dropLast())
        #expect(try contents(short) == sample.guest)
        let found = short.withBytes { VHDFormat().probe(head: $0, tail: $0, byteCount: UInt64($0.byteCount)) }
        #expect(found != .no)
        let dynamic = try Self.dynamic()
        #expect(try contents(Array(dynamic.image.dropLast())) == dynamic.guest)
    }

    @Test func emptyDiskOf2040GiBIsWalkedAtOnce() throws {
        let image = VHDBuilder(size: Footer.mostBytes, blockSize: 2 << 20)
        let disk = try device(try open(try image.finished()))
        let start = ContinuousClock.now
        #expect(try extents(disk) == [Extent(.hole, count: Footer.mostBytes)])
        #expect(ContinuousClock.now - start < .seconds(3))
    }

    @Test func infoShowsTheFooterAndTheHeader() throws {
        let info = try open(try Self.differencing().image, opensReferences: false).info()
        #expect(info.virtualSize == 26_624)
        #expect(info.clusterSize == 8192)
        #expect(info.backing == Reference(role: "parent", name: "dynamic", format: "vhd"))
        #expect(info.uniqueID == [UInt8](repeating: 9, count: 16))
        for field in [
            InfoField("subformat", .text("differencing")), InfoField("creator", .text("win ")),
            InfoField("creator-version", .text("10.0")), InfoField("creator-os", .text("Wi2k")),
            InfoField("current-size", .number(26_624)), InfoField("original-size", .number(26_624)),
            InfoField("unique-id", .text("09090909-0909-0909-0909-090909090909")),
            InfoField("time-stamp", .number(946_685_800)), InfoField("features", .text("0x2")),
            InfoField("saved-state", .flag(false)), InfoField("block-size", .number(8192)),
            InfoField("table-entries", .number(4)),
            InfoField("parent-unique-id", .text("01020304-0506-0708-090a-0b0c0d0e0f10")),
            InfoField("parent-names", .list([.text("dynamic")])),
        ] {
            #expect(info.specific.contains(field), "\(field)")
        }
    }
}
