import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// Footers that are missing, damaged or at odds with each other or the file.
@Suite struct FooterTests {
    private let checksums = ["ignore-checksums": "on"]

    @Test func oneSoundCopyIsEnough() throws {
        let sample = try ReaderTests.dynamic()
        let end = sample.image.count
        for (place, text) in [(20, "at the start is damaged"), (0, "no footer at the start")] {
            var image = sample.image
            image[place] ^= 1
            #expect(try contents(image) == sample.guest)
            #expect(try open(image).info().remarks.contains { $0.contains(text) })
            image = sample.image
            image[end - 512 + place] ^= 1
            #expect(try contents(image) == sample.guest)
            image[place] ^= 1
            expectError(.damaged, place == 0 ? "no VHD footer" : "checksum", at: place == 0 ? end : 0) {
                _ = try contents(image)
            }
        }
        let cut = Array(sample.image.dropLast(512))
        #expect(try contents(cut) == sample.guest)
        #expect(try open(cut).info().remarks == ["there is no footer at the end; the copy at the start was taken"])
    }

    @Test func wrongChecksumsCanBeTaken() throws {
        var (image, guest) = (try ReaderTests.fixed().image, try ReaderTests.fixed().guest)
        image[image.count - 1] = 7
        expectError(.damaged, "checksum", at: guest.count) { _ = try contents(image) }
        #expect(try contents(image, options: checksums) == guest)
        #expect(try open(image, options: checksums).info().remarks.contains { $0.contains("checksum is wrong") })

        (image, guest) = (try ReaderTests.dynamic().image, try ReaderTests.dynamic().guest)
        image[VHDBuilder.headerPlace + 1000] = 7
        expectError(.damaged, "dynamic header's checksum", at: VHDBuilder.headerPlace) { _ = try contents(image) }
        #expect(try contents(image, options: checksums) == guest)
    }

    @Test func copiesThatDiffer() throws {
        var sample = VHDBuilder(size: 8192)
        sample.store(0, pattern(1, 4096))
        sample.footer.currentSize = 4096
        let shorter = try sample.footer.bytes()
        sample.footer.currentSize = 8192
        var image = try sample.finished()
        image.replaceSubrange(image.count - 512..<image.count, with: shorter)
        #expect(try open(image).info().virtualSize == 8192)
        #expect(try open(image).info().remarks.contains { $0.contains("differ") })
        #expect(try open(image, options: ["vhd-footer": "tail"]).info().virtualSize == 4096)
        #expect(try open(image, options: ["vhd-footer": "head"]).info().virtualSize == 8192)

        sample.footer.kindCode = Footer.Kind.fixed.rawValue
        image.replaceSubrange(image.count - 512..<image.count, with: try sample.footer.bytes())
        expectError(.damaged, "different kinds", at: image.count - 512) { _ = try open(image) }
        #expect(try open(image, options: ["vhd-footer": "head"]).info().virtualSize == 8192)
    }

    @Test func footerInsideTheLastBlockIsTheGuests() throws {
        // The guest's own VHD ends where its disk does, and the footer behind was lost.
        var image = VHDBuilder(size: 4096)
        image.endsWithFooter = false
        for kind in [Footer.Kind.dynamic, .fixed] {
            image.footer.uniqueID = [UInt8](repeating: 3, count: 16)
            image.footer.kindCode = kind.rawValue
            let data = pattern(1, 3584) + (try image.footer.bytes())
            image.footer = VHDBuilder(size: 4096).footer
            image.store(0, data)
            #expect(try contents(try image.finished(), options: ["vhd-footer": "head"]) == data)
            if kind == .dynamic { #expect(try contents(try image.finished()) == data) }
        }
    }

    @Test func askedForCopyMustBeThere() throws {
        let sample = try ReaderTests.dynamic()
        var image = sample.image
        image[0] = 0
        expectError(.damaged, "no footer at the start", at: 0) { _ = try open(image, options: ["vhd-footer": "head"]) }
        image = Array(sample.image.dropLast(512))
        expectError(.damaged, "no footer at the end", at: image.count) {
            _ = try open(image, options: ["vhd-footer": "tail"])
        }
        for options in [["vhd-footer": "middle"], ["vhd-size": "large"]] {
            expectError(.invalidArgument, "cannot be") { _ = try open(sample.image, options: options) }
        }
    }

    @Test func kindsAndVersions() throws {
        for code in [0, 1, 5, 6, UInt32.max] {
            var image = VHDBuilder(size: 4096)
            image.footer.kindCode = code
            expectError(.unsupported, "type \(code)", at: 60) { _ = try open(try image.finished()) }
        }
        var image = VHDBuilder(size: 4096)
        image.footer.version = 0x0002_0000
        expectError(.unsupported, "version", at: 12) { _ = try open(try image.finished()) }
        image = VHDBuilder(size: 4096)
        image.header.version = 0x0002_0000
        expectError(.unsupported, "version", at: VHDBuilder.headerPlace + 24) { _ = try open(try image.finished()) }
        image = VHDBuilder(size: 4096)
        image.footer.kindCode = 2
        #expect(throws: ImageError.self) { try open(Array(try image.finished().dropLast(512))) }
    }

    @Test func oddities() throws {
        var image = VHDBuilder(size: 4096)
        image.store(0, pattern(1, 4096))
        image.footer.savedState = 1
        image.footer.features = 3
        let trailing = try image.finished() + [1, 2, 3]
        #expect(try contents(trailing) == pattern(1, 4096))
        let remarks = try open(trailing).info().remarks
        #expect(remarks.contains { $0.contains("suspended") })
        #expect(remarks.contains { $0.contains("3 more bytes") })
    }

    @Test func fixedDataMustBeThere() throws {
        let sample = VHDBuilder(fixed: pattern(1, 4096))
        let image = try sample.finished()
        expectError(.damaged, "is stored in 3584", at: 3584) { _ = try open(Array(image[512...])) }
        expectError(.damaged, "no VHD footer") { _ = try open(Array(image[..<4096])) }
    }

    @Test(arguments: [0, 511, 4095, Footer.mostBytes + 512, .max] as [UInt64]) func sizesThatNoDiskHas(
        size: UInt64
    ) throws {
        var image = VHDBuilder(size: 4096)
        image.footer.currentSize = size
        expectError(.damaged, "\(size) bytes", at: 48) { _ = try open(try image.finished()) }
    }
}
