import ArchiveFormat
import ReimageCore
import ReimageTesting
import Testing

/// Archives whose checksums are right and whose numbers are not: refused by name, or as damaged, with the place.
@Suite struct RefusalTests {
    private func expect(
        _ code: ImageError.Code, _ words: String, of forgery: Forgery, location: SourceLocation = #_sourceLocation
    ) {
        let error = #expect(throws: ImageError.self, sourceLocation: location) { try contents(forgery.bytes) }
        #expect(error?.code == code, "\(String(describing: error))", sourceLocation: location)
        #expect(error?.description.contains(words) == true, "\(String(describing: error))", sourceLocation: location)
        #expect(error?.place != nil, sourceLocation: location)
    }

    private func forged(_ name: String = "kinds", _ change: (inout Forgery) -> Void) throws -> Forgery {
        var forgery = Forgery(try Golden.named(name))
        change(&forgery)
        return forgery
    }

    @Test(arguments: [
        (0, "ENCRYPTED"), (1, "REF_CODECS"), (2, "SPLIT"), (3, "FREE_FORM"), (4, "PARENT"), (63, "EXPERIMENTAL"),
        (5, "number 5"), (40, "number 40"),
    ])
    func everyFeatureByName(_ bit: Int, _ name: String) throws {
        let forgery = try forged { $0.setHeader(1 << UInt64(bit), at: 16) }
        expect(.unsupported, "the feature \(name)", of: forgery)
        expect(.unsupported, "written by rimg_ref 1.0", of: forgery)
    }

    @Test func whatOtherVersionsHave() throws {
        expect(.unsupported, "format version 2", of: try forged { $0.setHeader(2, at: 8, size: 2) })
        expect(.unsupported, "header of 8192 bytes", of: try forged { $0.setHeader(8192, at: 12, size: 4) })
        expect(.unsupported, "digest algorithm 2", of: try forged { $0.setHeader(2, at: 82, size: 1) })
        expect(.unsupported, "cipher 1", of: try forged { $0.setHeader(1, at: 83, size: 1) })
        expect(.unsupported, "generation 7", of: try forged { $0.setHeader(7, at: 168) })
    }

    @Test func whatMinorVersionsMayAdd() throws {
        let right = try contents(Golden.named("kinds").bytes)
        for (offset, size) in [(10, 2), (24, 8), (32, 8)] {
            #expect(try contents(forged { $0.setHeader(0xFF, at: offset, size: size) }.bytes) == right)
        }
    }

    @Test func headersThatContradictTheFormat() throws {
        for (value, offset, words) in [
            (15, 80, "2^15"), (27, 80, "2^27"), (0, 81, "2^0"), (17, 81, "2^17"),
        ] as [(UInt64, Int, String)] {
            expect(.damaged, words, of: try forged { $0.setHeader(value, at: offset, size: 1) })
        }
        expect(.damaged, "logical sector", of: try forged { $0.setHeader(513, at: 72, size: 4) })
        expect(.damaged, "logical sector", of: try forged { $0.setHeader(0, at: 72, size: 4) })
        expect(.damaged, "physical sector", of: try forged { $0.setHeader(256, at: 76, size: 4) })
        expect(.damaged, "in order", of: try forged { $0.setHeader(4, at: 104) })
        expect(.damaged, "disk size", of: try forged { $0.setHeader(.max, at: 64) })
        expect(.damaged, "tag", of: try forged { $0.setHeader(1, at: 56) })
        expect(.damaged, "out of range", of: try forged { $0.setHeader(1 << 63, at: 64) })
    }

    @Test func twoArchivesInOne() throws {
        var forgery = Forgery(try Golden.named("late"))
        let other = try Golden.named("kinds").bytes
        forgery.bytes.replaceSubrange(0..<4096, with: other[0..<4096])
        expect(.damaged, "two archives", of: forgery)
    }

    @Test func footersThatPointAstray() throws {
        for value: UInt64 in [0, 8, 4095, 1 << 40, .max, .max - 7] {
            expect(.damaged, "", of: try forged { $0.setFooter(value, at: 0) })
            expect(.damaged, "", of: try forged { $0.setFooter(value, at: 8) })
            expect(.damaged, "META", of: try forged { $0.setFooter(value, at: 16) })
            expect(.damaged, "disk size", of: try forged { $0.setFooter(value, at: 40) })
            expect(.damaged, "slots", of: try forged { $0.setFooter(value, at: 48) })
        }
        expect(.damaged, "ERRS", of: try forged { $0.setFooter(.max, at: 192) })
        expect(.damaged, "two digests", of: try forged { $0.setFooter(1, at: 128) })
        expect(.damaged, "two digests", of: try forged { $0.setFooter(1, at: 160) })
    }

    @Test func rootsThatPointAstray() throws {
        // Fields of the extension, then of the first entry, which is a LEAF's.
        for value: UInt64 in [0, 5, 1 << 33, 1 << 63, .max] {
            for offset in [64, 80, 88, 160 + 8, 160 + 24] {
                expect(.damaged, "ROOT", of: try forged { $0.setRoot(value, at: offset) })
            }
        }
        expect(.damaged, "ROOT", of: try forged { $0.setRoot(1, at: 160) })
        expect(.damaged, "ROOT", of: try forged { $0.setRoot(81, at: 72, size: 4) })
        expect(.damaged, "ROOT", of: try forged { $0.setRoot(1, at: 160 + 32, size: 4) })
        expect(.damaged, "ROOT", of: try forged { $0.setRoot(9, at: 160 + 36, size: 4) })
        expect(.damaged, "ROOT", of: try forged { $0.setRoot(5, at: 160 + 16, size: 1) })
        expect(.damaged, "of kind 77", of: try forged { $0.setRoot(77, at: 160 + 16, size: 1) })
        expect(.unsupported, "PARENT", of: try forged { $0.setRoot(3, at: 160 + 16, size: 1) })
        expect(.damaged, "digest", of: try forged { $0.setRoot(1, at: 160 + 48) })
    }

    @Test func leavesThatPointAstray() throws {
        let leaf = try Golden.named("kinds").leaves[0]
        func set(_ value: UInt64, at offset: Int, size: Int = 8) throws -> Forgery {
            try forged { $0.setLeaf(value, at: offset, size: size, of: leaf, entry: 0) }
        }
        for (offset, size) in [(64, 8), (72, 4), (76, 4), (80, 8), (108, 4), (112, 8)] {
            for value: UInt64 in [77, 1 << 31, .max] {
                expect(.damaged, "LEAF", of: try set(value, at: offset, size: size))
            }
        }
        expect(.damaged, "geometry", of: try set(17, at: 104, size: 1))
        expect(.damaged, "geometry", of: try set(2, at: 105, size: 1))
        expect(.unsupported, "digest algorithm", of: try set(2, at: 106, size: 1))
        expect(.unsupported, "cipher", of: try set(1, at: 107, size: 1))
        expect(.unsupported, "record version 2", of: try set(2, at: 10, size: 1))
        expect(.unsupported, "record flags 1", of: try set(1, at: 11, size: 1))
        expect(.unsupported, "record type KEYS", of: try set(2, at: 8, size: 2))
        expect(.damaged, "CHNK record where a LEAF", of: try set(0x10, at: 8, size: 2))
        // The payload: kinds of two slots, padding, then entries of 48 bytes.
        expect(.unsupported, "PARENT", of: try set(3, at: 160, size: 1))
        expect(.damaged, "of kind 6", of: try set(6, at: 160, size: 1))
        expect(.damaged, "DUP", of: try set(5, at: 160, size: 1))
        expect(.damaged, "entries for", of: try set(0, at: 160, size: 1))
        expect(.damaged, "padding", of: try set(1, at: 165, size: 1))
        for value: UInt64 in [0, 4095, 4097, UInt64(leaf), .max, 1 << 63] {
            expect(.damaged, "names no chunk", of: try set(value, at: 168))
        }
        for value: UInt64 in [0, 65537, 0xFFFF_FFFF] {
            expect(.damaged, "names no chunk", of: try set(value, at: 176, size: 4))
        }
        expect(.damaged, "names no chunk", of: try set(1, at: 182, size: 2))
        expect(.unsupported, "the codec 4", of: try set(4, at: 180, size: 1))
        expect(.unsupported, "the filter 3", of: try set(3, at: 181, size: 1))
        expect(.damaged, "filter 1 before codec 2", of: try set(1, at: 181, size: 1))
        expect(.damaged, "hashes", of: try set(1, at: 184))
        expect(.damaged, "is not the one that", of: try set(1, at: 180, size: 1))
    }

    @Test func chunksThatAreOthers() throws {
        let golden = try Golden.named("kinds")
        let first = Int(Forgery(golden).number(at: golden.leaves[0] + 168))
        func set(_ value: UInt64, at offset: Int, size: Int = 8) throws -> Forgery {
            try forged {
                $0.store(value, at: first + offset, size: size)
                $0.sealRecord(at: first)
            }
        }
        expect(.unsupported, "record version 9", of: try set(9, at: 10, size: 1))
        expect(.damaged, "RUN record where a CHNK", of: try set(0x11, at: 8, size: 2))
        for (value, offset, size) in [
            (1, 64, 8), (.max, 64, 8), (512, 72, 4), (0, 72, 4), (1, 76, 1), (1, 78, 2), (5, 80, 8), (17, 88, 1),
            (0, 96, 8),
        ] as [(UInt64, Int, Int)] {
            expect(.damaged, "CHNK", of: try set(value, at: offset, size: size))
        }
    }

    /// The bytes of one chunk under the hash of another: every check but the hash agrees.
    @Test func bytesUnderAnotherHash() throws {
        let golden = try Golden.named("tiny")
        let first = 4176
        var forgery = Forgery(golden)
        forgery.store(0xDEAD_BEEF, at: first + 128)
        forgery.sealRecord(at: first)
        expect(.damaged, "hash", of: forgery)
    }

    @Test func repairedArchivesHaveNoDigest() throws {
        let forgery = try forged { $0.setFooter(2, at: 120) }
        let image = try ArchiveFormat().open(source(forgery.bytes), OpenContext())
        let info = try image.info()
        #expect(info.remarks.contains { $0.contains("repaired") })
        #expect(info.specific.contains { $0.name == "partial-digest" })
        #expect(!info.specific.contains { $0.name == "digest" })
        let error = #expect(throws: ImageError.self) { try ArchiveFormat.indexDigest(of: source(forgery.bytes)) }
        #expect(error?.code == .damaged)
    }
}
