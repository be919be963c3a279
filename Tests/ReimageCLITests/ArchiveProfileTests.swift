import Foundation
import ReimageTesting
import TestSupport
import Testing

/// The profiles of archives, as a user names them.
@Suite struct ArchiveProfileTests {
    private let scratch = Scratch()

    private func reimage(_ arguments: [String]) throws -> ProgramResult {
        try #require(Program.reimage).run(
            arguments, in: scratch.path, environment: ["SOURCE_DATE_EPOCH": "0", "NO_COLOR": "1"])
    }

    /// A disk of three chunks of the largest profile, which holds text, noise and machine code, and little of each.
    private func makeDisk() throws {
        scratch.write([], to: "in.raw")
        let handle = try #require(FileHandle(forWritingAtPath: scratch.file("in.raw")))
        var random = SeededGenerator(seed: 31)
        let code = [UInt8](
            FileManager.default.contents(atPath: try #require(Program.reimage).path)?.dropFirst(1 << 20).prefix(200_000)
                ?? Data())
        for (place, bytes) in [
            (0, pattern(300_000)), (5 << 20, code), (9 << 20, pattern(70_000)), (18 << 20, code + pattern(1000)),
            (33 << 20, (0..<150_000).map { _ in UInt8.random(in: 0...255, using: &random) }),
        ] {
            try handle.seek(toOffset: UInt64(place))
            try handle.write(contentsOf: Data(bytes))
        }
        try handle.truncate(atOffset: 34 << 20)
        try handle.close()
    }

    @Test(arguments: ["store", "fast", "balanced", "mount", "tight", "small", "max"])
    func theThreadsDoNotShow(_ profile: String) throws {
        try makeDisk()
        for threads in ["1", "2", "8"] {
            let made = try reimage(
                ["convert", "-f", "raw", "--profile", profile, "-j", threads, "in.raw", "\(threads).rimg"])
            #expect(made.status == 0, "\(made.errors)")
            // Before it starts, it says what it takes, where that is much.
            let tells =
                made.errors.contains("profile \(profile) takes up to") && made.errors.contains("MiB of memory on")
            #expect(tells == ["small", "max"].contains(profile), "\(made.errors)")
        }
        let first = try #require(scratch.read("1.rimg"))
        for threads in ["2", "8"] {
            let isSame = scratch.read("\(threads).rimg") == first
            #expect(isSame, "-j \(threads) gives other bytes")
        }
        #expect(try reimage(["compare", "-q", "--read", "-F", "raw", "1.rimg", "in.raw"]).status == 0)
        let quiet = try reimage(["convert", "-q", "-f", "raw", "--profile", profile, "in.raw", "quiet.rimg"])
        #expect(quiet.status == 0 && quiet.errors.isEmpty, "\(quiet.errors)")
    }

    @Test func tellsWhatWasReadFromAnIndex() throws {
        try makeDisk()
        #expect(try reimage(["convert", "-q", "-f", "raw", "in.raw", "a.rimg"]).status == 0)
        #expect(try reimage(["convert", "-q", "-f", "raw", "in.raw", "a.qcow2"]).status == 0)
        let mark = "\"from-index\" : true"
        #expect(try reimage(["digest", "--json", "a.rimg"]).text.contains(mark))
        for arguments in [["digest", "--json", "--read", "a.rimg"], ["digest", "--json", "a.qcow2"]] {
            #expect(try !reimage(arguments).text.contains("from-index"))
        }
        #expect(try reimage(["digest", "a.rimg"]).errors.contains("--read proves it"))
        #expect(try reimage(["digest", "-q", "a.rimg"]).errors.isEmpty)
        #expect(try reimage(["compare", "--json", "a.rimg", "a.qcow2"]).text.contains(mark))
        #expect(try !reimage(["compare", "--json", "--read", "a.rimg", "a.qcow2"]).text.contains("from-index"))
        #expect(try reimage(["compare", "a.rimg", "a.qcow2"]).errors.contains("--read compares"))
        #expect(try reimage(["compare", "-q", "a.rimg", "a.qcow2"]).errors.isEmpty)
    }

    @Test func tellsCodecsAndShares() throws {
        try makeDisk()
        #expect(try reimage(["convert", "-q", "-f", "raw", "--profile", "small", "in.raw", "a.rimg"]).status == 0)
        let text = try reimage(["info", "a.rimg"]).text
        #expect(text.contains("codec lzma2, filter x86, chunks "), "\(text)")
        #expect(text.contains("zero-percent: ") && text.contains("share-percent "), "\(text)")
        struct Description: Decodable {
            struct Specific: Decodable { var data: Fields }
            struct Fields: Decodable {
                var compression: [Method]
                var zeroPercent: Double
                var storedSize: UInt64
                enum CodingKeys: String, CodingKey {
                    case compression
                    case zeroPercent = "zero-percent"
                    case storedSize = "stored-size"
                }
            }
            struct Method: Decodable {
                var codec: String
                var storedSize: UInt64
                enum CodingKeys: String, CodingKey {
                    case codec
                    case storedSize = "stored-size"
                }
            }
            var specific: Specific
            enum CodingKeys: String, CodingKey { case specific = "format-specific" }
        }
        let json = try JSONDecoder().decode(Description.self, from: try reimage(["info", "--json", "a.rimg"]).output)
        let fields = json.specific.data
        #expect(fields.compression.reduce(0) { $0 + $1.storedSize } == fields.storedSize)
        #expect(Set(fields.compression.map(\.codec)) == ["lzma2"])
        // Of nine slots of 4 MiB, four hold nothing.
        #expect(fields.zeroPercent == 44.44)
    }
}
