import Foundation
import ReimageCore
import TestSupport
import Testing

/// The specification's reference model and this program, each reading what the other writes.
///
/// The model lies beside the repository, and needs two Python modules; without them the tests say so and are skipped.
@Suite struct ArchiveModelTests {
    private static let top = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    private static let golden = top.appendingPathComponent("Tests/ArchiveFormatTests/Golden").path

    /// The model, as a program and its first argument.
    private static let model: (python: Program, script: String)? = {
        let script = top.deletingLastPathComponent().appendingPathComponent("shared/formats/archive_model.py").path
        guard FileManager.default.fileExists(atPath: script) else {
            print("skipped: the reference model is not at \(script)")
            return nil
        }
        let candidates = [top.appendingPathComponent(".build/python/bin/python3").path, "/usr/bin/python3"]
        for path in candidates where FileManager.default.isExecutableFile(atPath: path) {
            let python = Program(path: path)
            if (try? python.run(["-c", "import xxhash, zstandard"]))?.status == 0 { return (python, script) }
        }
        print("skipped: the reference model needs the Python modules xxhash and zstandard (Scripts/test installs them)")
        return nil
    }()

    private let scratch = Scratch()

    private func reimage(_ arguments: String...) throws -> ProgramResult {
        try #require(Program.reimage).run(arguments, in: scratch.path, environment: ["SOURCE_DATE_EPOCH": "0"])
    }

    /// What the model says of an archive of ours, which it reads by index and front to back: its digest.
    private func verified(_ name: String, status: Int32 = 0) throws -> String {
        let model = try #require(Self.model)
        let result = try model.python.run([model.script, "verify", name], in: scratch.path)
        #expect(result.status == status, "\(name): \(result.text)\(result.errors)")
        return String(result.text.split(separator: "\n").last?.split(separator: " ").first ?? "")
    }

    /// A disk with text, machine code, noise, zeros and a copy of its own start.
    private func makeDisk() throws -> String {
        let code = [UInt8](
            FileManager.default.contents(atPath: try #require(Program.reimage).path)?.prefix(300_000) ?? Data())
        var disk = pattern(200_000) + code + [UInt8](repeating: 0, count: 262_144)
        disk += [UInt8](repeating: 0, count: (65536 - disk.count % 65536) % 65536) + disk.prefix(131_072)
        var state: UInt32 = 7
        disk += (0..<200_000).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return UInt8(state >> 24)
        }
        disk += [UInt8](repeating: 0, count: (512 - disk.count % 512) % 512)
        scratch.write(disk, to: "in.raw")
        return try reimage("digest", "-q", "-f", "raw", "in.raw").text
    }

    @Test(arguments: [
        ["-o", "profile=store"], ["-o", "profile=fast"], [], ["-o", "profile=mount"], ["-o", "profile=tight"],
        ["-o", "profile=small"], ["-c", "--codec", "deflate", "--chunk-size", "64k"],
        ["-c", "--codec", "lzma2", "--chunk-size", "64k"], ["--chunk-size", "64k", "--no-dedup"],
        ["--chunk-size", "128k", "--no-hole-info"], ["--chunk-size", "64M"],
    ])
    func readsOurs(_ flags: [String]) throws {
        guard Self.model != nil else { return }
        let digest = try makeDisk()
        let program = try #require(Program.reimage)
        let known = try program.run(
            ["convert", "-q", "-f", "raw"] + flags + ["in.raw", "known.rimg"], in: scratch.path)
        #expect(known.status == 0, "\(known.errors)")
        let late = try program.run(
            ["convert", "-q", "-f", "raw", "-O", "rimg"] + flags + ["-", "late.rimg"], in: scratch.path,
            input: Data(scratch.read("in.raw") ?? []))
        #expect(late.status == 0, "\(late.errors)")
        for name in ["known.rimg", "late.rimg"] {
            #expect(try verified(name) == digest)
            #expect(try reimage("digest", "-q", name).text == digest)
            #expect(try reimage("digest", "-q", "--read", name).text == digest)
        }
    }

    @Test func readsWhatCouldNotBeRead() throws {
        guard Self.model != nil else { return }
        for size in ["64k", "256k"] {
            let made = try reimage("convert", "-q", "--chunk-size", size, Self.golden + "/kinds.rimg", "\(size).rimg")
            #expect(made.status == 0 || made.status == 4, "\(made.errors)")
            // Of larger chunks, none is unreadable throughout.
            let status: Int32 = size == "64k" ? 4 : 0
            #expect(try verified("\(size).rimg", status: status) == reimage("digest", "-q", "\(size).rimg").text)
        }
    }

    @Test func weReadTheModel() throws {
        guard let model = Self.model else { return }
        let digest = try makeDisk()
        for codec in ["store", "deflate", "zstd", "lzma2", "lzma2-x86", "lzma2-arm64"] {
            for more in [["--chunk-log2", "16", "--leaf-log2", "2"], ["--chunk-log2", "18", "--pipe"]] {
                let made = try model.python.run(
                    [model.script, "pack", "in.raw", "model.rimg", "--codec", codec] + more, in: scratch.path)
                #expect(made.status == 0, "\(made.text)\(made.errors)")
                #expect(try reimage("digest", "-q", "--read", "model.rimg").text == digest, "\(codec) \(more)")
                let piped = try #require(Program.reimage).run(
                    ["convert", "-q", "--force", "-", "out.raw"], in: scratch.path,
                    input: Data(scratch.read("model.rimg") ?? []))
                #expect(piped.status == 0, "\(codec) \(more): \(piped.errors)")
                #expect(scratch.read("out.raw") == scratch.read("in.raw"))
            }
        }
    }

    /// The disks of the specification's test vectors, written by us and read by the model.
    @Test func readsOursOfEveryVector() throws {
        guard Self.model != nil else { return }
        struct Facts: Decodable {
            var name: String
            var digest: String
            var chunkLog2: Int
        }
        let folder = Self.golden + "/vectors"
        let json = try #require(FileManager.default.contents(atPath: folder + "/facts.json"))
        let all = try JSONDecoder().decode([Facts].self, from: json)
        #expect(all.count > 30)
        for facts in all {
            let made = try reimage(
                "convert", "-q", "--recompress", "--chunk-size", "\(1 << facts.chunkLog2)",
                "\(folder)/\(facts.name).rimg", "\(facts.name).rimg")
            #expect(made.status == (facts.name.hasPrefix("lost") ? 4 : 0), "\(facts.name): \(made.errors)")
            #expect(try verified("\(facts.name).rimg", status: made.status) == facts.digest, "\(facts.name)")
        }
    }

    /// One disk, one digest: from every profile into every format.
    @Test(arguments: ["store", "fast", "balanced", "mount", "tight", "small", "max"])
    func everyFormatHasTheSameDigest(_ profile: String) throws {
        let digest = try makeDisk()
        #expect(
            try reimage("convert", "-q", "-j", "2", "-f", "raw", "--profile", profile, "in.raw", "a.rimg").status == 0)
        for format in ["raw", "qcow2", "vhd", "rimg"] {
            let name = "out.\(format)"
            #expect(try reimage("convert", "-q", "-j", "2", "-O", format, "a.rimg", name).status == 0)
            #expect(try reimage("digest", "-q", "-f", format, name).text == digest, "\(profile) to \(format)")
            #expect(try reimage("compare", "-q", "-F", format, "a.rimg", name).status == 0)
            #expect(try reimage("compare", "-q", "--read", "-F", format, "a.rimg", name).status == 0)
        }
    }
}
