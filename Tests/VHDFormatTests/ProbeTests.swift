import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// What is taken for a VHD by its bytes.
@Suite struct ProbeTests {
    private func probe(_ bytes: [UInt8], isStream: Bool = false) -> ProbeResult {
        let tail = isStream ? [] : Array(bytes.suffix(4096))
        return bytes.withBytes { head in
            tail.withBytes { tail in
                VHDFormat().probe(
                    head: head.extracting(0..<min(4096, head.byteCount)), tail: tail,
                    byteCount: isStream ? nil : UInt64(head.byteCount))
            }
        }
    }

    private func isLikely(_ result: ProbeResult) -> Bool {
        if case .likely = result { true } else { false }
    }

    @Test func dynamicByItsHead() throws {
        let image = try ReaderTests.dynamic().image
        #expect(probe(image) == .yes)
        #expect(probe(Array(image.dropLast(600))) == .yes)
        #expect(probe(Array(image.prefix(512))) == .yes)
        #expect(probe(image, isStream: true) == .yes)
        for count in [0, 7, 8, 84, 511] { #expect(probe(Array(image.prefix(count))) == .no) }
    }

    @Test func fixedByAFooterThatAgreesInEverything() throws {
        let sample = VHDBuilder(fixed: pattern(1, 4096))
        #expect(isLikely(probe(try sample.finished())))
        #expect(isLikely(probe(Array(try sample.finished().dropLast()))))
        #expect(probe(try sample.finished(), isStream: true) == .no)
        for change in [
            { $0.footer.currentSize += 512 }, { $0.footer.dataOffset = 512 }, { $0.footer.version = 0x2_0000 },
        ] as [(inout VHDBuilder) -> Void] {
            var other = sample
            change(&other)
            #expect(probe(try other.finished()) == .no)
        }
        var other = sample.footer
        other.kindCode = 5
        #expect(probe(sample.bytes + (try other.bytes())) == .no)
        other.kindCode = 3
        #expect(probe(sample.bytes + (try other.bytes())) == .no)
        var spoiled = try sample.finished()
        spoiled[spoiled.count - 1] = 1
        #expect(probe(spoiled) == .no)
        #expect(probe(try sample.finished() + [0]) == .no)
    }

    @Test func damagedStart() throws {
        var image = try ReaderTests.dynamic().image
        image[0] = 0
        #expect(isLikely(probe(image)))
        #expect(try contents(image) == ReaderTests.dynamic().guest)
    }

    @Test func nothingElse() {
        #expect(probe([]) == .no)
        #expect(probe([UInt8](repeating: 0, count: 8192)) == .no)
        #expect(probe(pattern(3, 8192)) == .no)
    }
}
