import ReimageCore
import Testing

@testable import VHDFormat

/// Geometries as outside programs compute them.
@Suite struct GeometryTests {
    /// Disks that `qemu-img create` 7.2 made, whose size is their geometry's.
    private static let made: [(UInt64, Geometry)] = [
        (34_816, Geometry(cylinders: 1, heads: 4, sectorsPerTrack: 17)),
        (1_079_296, Geometry(cylinders: 31, heads: 4, sectorsPerTrack: 17)),
        (10_514_432, Geometry(cylinders: 302, heads: 4, sectorsPerTrack: 17)),
        (104_865_792, Geometry(cylinders: 1004, heads: 12, sectorsPerTrack: 17)),
        (524_353_536, Geometry(cylinders: 1016, heads: 16, sectorsPerTrack: 63)),
        (528_482_304, Geometry(cylinders: 1024, heads: 16, sectorsPerTrack: 63)),
        (33_286_127_616, Geometry(cylinders: 64496, heads: 16, sectorsPerTrack: 63)),
        (34_361_303_040, Geometry(cylinders: 16449, heads: 16, sectorsPerTrack: 255)),
        (136_365_219_840, Geometry(cylinders: 65279, heads: 16, sectorsPerTrack: 255)),
        (2_190_433_320_960, Geometry.largest),
    ]

    @Test(arguments: made)
    private func isThatOfQemu(_ size: UInt64, _ geometry: Geometry) {
        #expect(Geometry(forDisk: size) == geometry)
    }

    /// Hyper-V rounds the geometry down and keeps the exact size.
    @Test func isThatOfHyperV() {
        let geometry = Geometry(forDisk: 136_365_211_648)
        #expect(geometry == Geometry(cylinders: 65278, heads: 16, sectorsPerTrack: 255))
        #expect(geometry.byteCount == 136_363_130_880)
    }

    @Test func isNeverLargerThanTheDisk() {
        var size: UInt64 = 512
        while size <= Footer.mostBytes {
            #expect(Geometry(forDisk: size).byteCount <= size)
            size = size + (size / 7).roundedDown(to: 512) + 512
        }
    }
}

/// The smallest valid structures, byte for byte.
@Suite struct StructureTests {
    private static let fixed: [UInt8] = [
        0x63, 0x6F, 0x6E, 0x65, 0x63, 0x74, 0x69, 0x78, 0, 0, 0, 2, 0, 1, 0, 0,
        0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0x71, 0x65, 0x6D, 0x32,
        0, 5, 0, 3, 0x57, 0x69, 0x32, 0x6B, 0, 0, 0, 0, 0, 0x10, 0, 0,
        0, 0, 0, 0, 0, 0x10, 0, 0, 0xFF, 0xFF, 0x10, 0xFF, 0, 0, 0, 2,
        0xFF, 0xFF, 0xEE, 0x16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
    ]

    @Test func footer() throws {
        let bytes = Self.fixed + [UInt8](repeating: 0, count: Footer.byteCount - Self.fixed.count)
        let footer = try #require(bytes.withBytes(Footer.init(decoding:)))
        #expect(footer.hasRightChecksum)
        #expect(footer.kind == .fixed)
        #expect(footer.currentSize == 1 << 20)
        #expect(footer.creator.text == "qem2")
        #expect(footer.geometry.isLargest)
        #expect(footer.uniqueID == (1...16).map { UInt8($0) })
        #expect(try footer.bytes() == bytes)
    }

    @Test func dynamicHeader() throws {
        let bytes = try DynamicHeader(tableOffset: 1536, entries: 2, blockSize: 2 << 20).bytes()
        #expect(bytes[0x20..<0x28] == [0, 0x20, 0, 0, 0xFF, 0xFF, 0xF4, 0x75])
        let header = try bytes.withBytes { (span) throws(ImageError) in try DynamicHeader(decoding: span, at: .zero) }
        #expect(header.hasRightChecksum)
        #expect(header == DynamicHeader(tableOffset: 1536, entries: 2, blockSize: 2 << 20))
    }

    private static let bitmaps: [(UInt32, UInt64)] = [
        (512, 512), (4096, 512), (2 << 20, 512), (4 << 20, 1024), (16 << 20, 4096), (256 << 20, 65536),
    ]

    @Test(arguments: bitmaps)
    private func bitmap(_ blockSize: UInt32, _ byteCount: UInt64) {
        #expect(DynamicHeader.bitmapByteCount(blockSize: blockSize) == byteCount)
    }
}
