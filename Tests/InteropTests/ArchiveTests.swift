import Foundation
import ReimageCore
import TestSupport
import Testing

/// Archives of the specification's reference model, through the commands.
@Suite struct ArchiveTests {
    private static let golden = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("ArchiveFormatTests/Golden").path

    private struct Facts: Decodable {
        var name: String
        var digest: String
        var diskBytes: UInt64
    }

    /// With slots that could not be read, which every copy tells of by its status though it is complete.
    private static let withLosses = "kinds"

    private let scratch = Scratch()

    private func reimage(_ arguments: String...) throws -> ProgramResult {
        try #require(Program.reimage).run(arguments, in: scratch.path)
    }

    private func facts() throws -> [Facts] {
        let json = try #require(FileManager.default.contents(atPath: Self.golden + "/facts.json"))
        return try JSONDecoder().decode([Facts].self, from: json)
    }

    @Test func theDigestIsThatOfTheModel() throws {
        for facts in try facts() {
            let result = try reimage("digest", "-q", "\(Self.golden)/\(facts.name).rimg")
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.text.hasPrefix(facts.digest), "\(facts.name): \(result.text)")
        }
    }

    @Test(arguments: ["raw", "qcow2", "vhd"])
    func convertsToEveryFormat(_ format: String) throws {
        for name in ["tiny", "kinds", "lzma2", "late"] {
            let archive = "\(Self.golden)/\(name).rimg"
            let converted = try reimage("convert", "-q", "-O", format, archive, "\(name).\(format)")
            #expect(converted.status == (name == Self.withLosses ? 4 : 0), "\(converted.errors)")
            let compared = try reimage("compare", "-q", "-F", format, archive, "\(name).\(format)")
            // A VHD's disk is a whole number of sectors: compare takes the zeros behind for equal.
            #expect(compared.status == 0, "\(name): \(compared.text)\(compared.errors)")
        }
    }

    /// What is written is read back as the same, by every thread count in the same bytes.
    @Test func writesWhatItReads() throws {
        let archive = Self.golden + "/\(Self.withLosses).rimg"
        for threads in ["1", "3"] {
            let name = "copy\(threads).rimg"
            let result = try #require(Program.reimage).run(
                ["convert", "-q", "--verify", "-j", threads, "-o", "profile=mount", archive, name], in: scratch.path,
                environment: ["SOURCE_DATE_EPOCH": "0"])
            #expect(result.status == 4, "\(result.errors)")
            #expect(try reimage("compare", "-q", archive, name).status == 0)
        }
        #expect(scratch.read("copy1.rimg") == scratch.read("copy3.rimg"))
    }

    private func piped(_ input: [UInt8], _ arguments: String...) throws -> ProgramResult {
        try #require(Program.reimage).run(arguments, in: scratch.path, input: Data(input))
    }

    @Test func goesThroughPipes() throws {
        for name in ["tiny", "kinds", "lzma2", "late", "quarter"] {
            let archive = [UInt8](try #require(FileManager.default.contents(atPath: "\(Self.golden)/\(name).rimg")))
            let restored = try piped(archive, "convert", "-q", "--verify", "-", "\(name).raw")
            #expect(restored.status == (name == Self.withLosses ? 4 : 0), "\(name): \(restored.errors)")
            #expect(try reimage("compare", "-q", "-F", "raw", "\(Self.golden)/\(name).rimg", "\(name).raw").status == 0)
            let disk = try #require(scratch.read("\(name).raw"))
            let digest = try piped(archive, "digest", "-q", "-")
            #expect(digest.text == restored.text, "\(digest.errors)")
            // A raw disk of unknown length becomes an archive in a pipe, and comes out of one.
            let made = try piped(disk, "convert", "-q", "-f", "raw", "-O", "rimg", "-", "-")
            #expect(made.status == 0, "\(made.errors)")
            let again = try piped([UInt8](made.output), "convert", "-q", "-f", "rimg", "-", "again.raw", "--force")
            #expect(again.status == 0, "\(again.errors)")
            #expect(scratch.read("again.raw") == disk)
        }
        let archive = [UInt8](try #require(FileManager.default.contents(atPath: Self.golden + "/tiny.rimg")))
        let info = try piped(archive, "info", "-")
        #expect(info.status == 0 && info.text.contains("rimg_ref 1.0"), "\(info.errors)")
        let map = try piped(archive, "map", "-")
        #expect(map.status == 63)
        // A copy that lies farther behind than one thread has at hand.
        let chunk = [UInt8](repeating: 7, count: 65536)
        scratch.write(chunk + [UInt8](repeating: 0, count: 5 << 20) + chunk, to: "far.raw")
        let far = try reimage(
            "convert", "-q", "-f", "raw", "-O", "rimg", "-o", "chunk_size=64k,dedup=on", "far.raw", "far.rimg")
        #expect(far.status == 0, "\(far.errors)")
        let farArchive = try #require(scratch.read("far.rimg"))
        let noCopies = try piped(farArchive, "convert", "-q", "-j", "1", "-O", "qcow2", "-", "x.qcow2")
        #expect(noCopies.status == 63 && noCopies.errors.contains("-o dedup=off"), "\(noCopies.errors)")
        let cut = try piped(Array(archive.dropLast(500)), "convert", "-q", "-", "cut.raw")
        #expect(cut.status == 4 && cut.errors.contains("ends before its end"), "\(cut.errors)")
        #expect(scratch.names.allSatisfy { !$0.contains("cut") && !$0.hasPrefix("x.") && !$0.hasPrefix(".") })
    }

    @Test func damageIsNamed() throws {
        var bytes = [UInt8](
            try #require(FileManager.default.contents(atPath: Self.golden + "/tiny.rimg")))
        bytes[5000] ^= 1
        scratch.write(bytes, to: "damaged.rimg")
        let result = try reimage("convert", "damaged.rimg", "out.raw")
        #expect(result.status == 4)
        #expect(result.errors.contains("at byte 4176 of the file"), "\(result.errors)")
        #expect(scratch.read("out.raw") == nil)
    }
}
