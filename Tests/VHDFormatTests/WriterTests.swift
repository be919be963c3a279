import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// What the writers put where, byte by byte.
@Suite struct WriterTests {
    private static let id = (1...16).map { UInt8($0) }

    private func write(
        _ guest: [UInt8], _ options: [String: String] = [:], grain: Int = 4096, stamp: ImageStamp? = nil,
        mix: FormatConformance.ChunkMix = .init()
    ) throws -> [UInt8] {
        let plan = WritePlan(
            byteCount: nil, options: options, sparseGrain: grain,
            stamp: stamp ?? ImageStamp(seconds: 1_000_000_000, uniqueID: Self.id))
        return try FormatConformance(VHDFormat()).write(guest, plan: plan, mix: mix)
    }

    private func footer(_ bytes: some Sequence<UInt8>) throws -> Footer {
        try #require(Array(bytes).withBytes { Footer(decoding: $0) })
    }

    private func header(_ image: [UInt8]) throws -> DynamicHeader {
        try Array(image[512..<1536]).withBytes { try DynamicHeader(decoding: $0, at: HostOffset(512)) }
    }

    /// The entries of the table of `image`.
    private func table(_ image: [UInt8]) throws -> [UInt32] {
        let header = try header(image)
        let start = Int(header.tableOffset)
        return try Array(image[start..<start + Int(header.entries) * 4]).withBytes { bytes in
            try (0..<Int(header.entries)).map { try bytes.big(UInt32.self, at: 4 * $0) }
        }
    }

    @Test func aFixedImageIsTheDiskAndAFooter() throws {
        let guest = PatternDisk.bytes(count: 70_144, seed: 1)
        let image = try write(guest, ["subformat": "fixed"])
        #expect(image.count == guest.count + 512)
        #expect(Array(image.prefix(guest.count)) == guest)
        let footer = try footer(image.suffix(512))
        #expect(footer.kind == .fixed && footer.hasRightChecksum)
        #expect(footer.dataOffset == Footer.noHeader && footer.features == 2)
        #expect(footer.currentSize == 70_144 && footer.originalSize == 70_144)
        #expect(footer.creator.text == "win " && footer.creatorVersion == 0x000A_0000)
        #expect(footer.timeStamp == 1_000_000_000 - 946_684_800)
        #expect(footer.uniqueID == Self.id && footer.savedState == 0)
        #expect(footer.geometry == Geometry(cylinders: 2, heads: 4, sectorsPerTrack: 17))
    }

    /// A disk of less than a cylinder has a geometry that is not empty.
    @Test func theSmallestDisk() throws {
        let image = try write([7], ["subformat": "fixed"])
        #expect(image.count == 1024)
        #expect(Array(image.prefix(512)) == [7] + [UInt8](repeating: 0, count: 511))
        #expect(try footer(image.suffix(512)).geometry.cylinders == 1)
    }

    @Test func anEmptyDynamicImageIsHeadTableAndFooter() throws {
        let image = try write([UInt8](repeating: 0, count: 5 << 20))
        #expect(image.count == 2560)
        #expect(image.prefix(512) == image.suffix(512))
        let footer = try footer(image.prefix(512))
        #expect(footer.kind == .dynamic && footer.hasRightChecksum && footer.dataOffset == 512)
        let header = try header(image)
        #expect(header.hasRightChecksum)
        #expect(header.tableOffset == 1536 && header.entries == 3 && header.blockSize == 2 << 20)
        #expect(image[1536..<2048].allSatisfy { $0 == 0xFF })
    }

    /// Blocks come in the order of the disk, whole, their data on a page and their bitmap before it.
    @Test func blocksAreAligned() throws {
        var guest = [UInt8](repeating: 0, count: 9 << 20)
        guest[5 << 20] = 1
        guest[(8 << 20) + 5] = 2
        let image = try write(guest)
        let table = try table(image)
        let first = 8192 / 512 - 1
        let second = (8192 + (2 << 20) + 4096) / 512 - 1
        #expect(table == [.max, .max, UInt32(first), .max, UInt32(second)])
        #expect(image.count == (second + 1) * 512 + (2 << 20) + 512)
        for block in [first, second] {
            #expect(image[(block - 7) * 512..<block * 512].allSatisfy { $0 == 0 })
            #expect(image[block * 512..<(block + 1) * 512].allSatisfy { $0 == 0xFF })
        }
        #expect(image[(first + 1) * 512 + (1 << 20)] == 1)
        #expect(image[(second + 1) * 512 + 5] == 2)
        #expect(image.prefix(512) == image.suffix(512))
    }

    /// Where the length is not known beforehand, the table comes behind the blocks.
    @Test func theTableOfAStreamComesLast() throws {
        var guest = [UInt8](repeating: 0, count: 5 << 20)
        guest[3 << 20] = 9
        let image = try write(guest, mix: .init(tellsByteCount: false))
        let header = try header(image)
        #expect(header.tableOffset == 4096 + 4096 + 2 << 20 && header.entries == 3)
        #expect(try table(image) == [.max, 8192 / 512 - 1, .max])
        #expect(image.count == Int(header.tableOffset) + 512 + 512)
        #expect(image.prefix(512) == image.suffix(512))
    }

    /// Zeros are stored where that is asked for.
    @Test func withoutHolesEveryBlockIsStored() throws {
        let image = try write([UInt8](repeating: 0, count: 5 << 20), grain: 0)
        #expect(try !table(image).contains(.max))
        #expect(image.count == 4096 + 3 * (4096 + 2 << 20) + 512)
    }

    @Test(arguments: [1, 512, 700, 1 << 20, 3_000_001])
    func azureTakesWholeMiB(_ count: Int) throws {
        let image = try write([UInt8](repeating: 3, count: count), ["profile": "azure"])
        let size = (count + (1 << 20) - 1) / (1 << 20) * (1 << 20)
        #expect(image.count == size + 512)
        #expect(image[count..<size].allSatisfy { $0 == 0 })
        let footer = try footer(image.suffix(512))
        #expect(footer.kind == .fixed && footer.currentSize == UInt64(size))
    }

    /// What a disk needs at the most is what it takes when every block of it is data.
    @Test(
        arguments: [
            [:], ["block_size": "4k"], ["block_size": "64k"], ["block_size": "16M"], ["subformat": "fixed"],
            ["profile": "azure"],
        ], [1, 512, 700_000, 9_000_001])
    func mostBytesAreThoseOfAFullDisk(_ options: [String: String], count: Int) throws {
        let noise = [UInt8](repeating: 1, count: count)
        for tells in [true, false] {
            let plan = WritePlan(byteCount: tells ? UInt64(count) : nil, options: options)
            let most = try VHDFormat().makeWriter(plan).mostBytes(forDisk: UInt64(count))
            #expect(try write(noise, options, mix: .init(tellsByteCount: tells)).count == Int(most))
        }
    }

    /// Without a number of its own, an image has one of its content: of a UUID's version 8, and no two kinds share it.
    @Test func theContentGivesTheUniqueID() throws {
        let stamp = ImageStamp(seconds: 1_000_000_000)
        let guest = PatternDisk.bytes(count: 3 << 20, seed: 2)
        var seen: Set<[UInt8]> = []
        for options in [[:], ["block_size": "1M"], ["subformat": "fixed"]] {
            let image = try write(guest, options, stamp: stamp)
            #expect(try image == write(guest, options, stamp: stamp))
            let id = try footer(image.suffix(512)).uniqueID
            #expect(id[6] >> 4 == 8 && id[8] >> 6 == 2)
            seen.insert(id)
        }
        #expect(seen.count == 3)
    }
}
