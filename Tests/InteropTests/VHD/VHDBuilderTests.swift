import Foundation
import Testing

/// The builder against published bytes and against geometries that others computed.
@Suite struct VHDBuilderTests {
    @Test func makesThePublishedFixedFooter() {
        var layer = VHDLayer(kind: .fixed, size: 1 << 20)
        layer.geometry = .maximal
        let text = """
            636F6E6563746978 0000000200010000 FFFFFFFFFFFFFFFF 0000000071656D32
            000500035769326B 0000000000100000 0000000000100000 FFFF10FF00000002 FFFFEE16
            """
        #expect(published(VHDFields.footer(of: layer, identity: Array(1...16))) == bytes(text, then: 1...16))
    }

    @Test func makesThePublishedDynamicFooterAndHeader() {
        var layer = VHDLayer(kind: .dynamic, size: 4 << 20)
        layer.geometry = .maximal
        let text = """
            636F6E6563746978 0000000200010000 0000000000000200 0000000071656D32
            000500035769326B 0000000000400000 0000000000400000 FFFF10FF00000003 FFFFF5AB
            """
        #expect(published(VHDFields.footer(of: layer, identity: Array(1...16))) == bytes(text, then: 1...16))
        var header = VHDFields.dynamicHeader(of: layer, entryCount: 2)
        header.set(VHDFields.checksum(header, at: 36), 4, at: 36)
        let start = "6378737061727365 FFFFFFFFFFFFFFFF 0000000000000600 0001000000000002 00200000FFFFF475"
        #expect(header == bytes(start).resized(1024))
    }

    /// Sizes in bytes that qemu-img 7.2 rounds to, and that of Windows's 127 GiB.
    @Test(arguments: [
        (34_816, 1, 4, 17), (1_079_296, 31, 4, 17), (104_865_792, 1004, 12, 17), (524_353_536, 1016, 16, 63),
        (528_482_304, 1024, 16, 63), (33_286_127_616, 64496, 16, 63), (34_361_303_040, 16449, 16, 255),
        (136_365_211_648, 65278, 16, 255), (2_190_433_320_960, 65535, 16, 255),
    ])
    func computesTheGeometry(_ size: Int, _ cylinders: Int, _ heads: Int, _ sectors: Int) {
        #expect(VHDLayer.computedGeometry(sectors: size / 512) == (cylinders, heads, sectors))
    }

    /// With the writer and the time of the published images.
    private func published(_ footer: Data) -> Data {
        var footer = footer
        footer.set(0, 4, at: 24)
        footer.set(Array("qem2".utf8), at: 28)
        footer.set(0x50003, 4, at: 32)
        footer.set(VHDFields.checksum(footer, at: 64), 4, at: 64)
        return footer
    }

    private func bytes(_ hex: String, then tail: ClosedRange<UInt8> = 0...0) -> Data {
        let digits = hex.filter(\.isHexDigit).compactMap(\.hexDigitValue)
        let start = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        return (Data(start) + Data(tail)).resized(512)
    }
}
