import Foundation
import ReimageSystem
import TestSupport
import Testing

/// `reimage convert` as a user runs it: what it writes, what it refuses, and what it leaves behind.
@Suite struct ConvertTests {
    private let scratch = Scratch()

    /// Runs `reimage` in the scratch folder.
    private func reimage(_ arguments: String..., input: Data? = nil) throws -> ProgramResult {
        try #require(Program.reimage).run(arguments, in: scratch.path, environment: ["NO_COLOR": "1"], input: input)
    }

    /// A disk with data, zeros and an odd tail.
    private let disk = pattern(100_000) + [UInt8](repeating: 0, count: 3 << 20) + pattern(70_001)

    @Test func copiesARawDiskAndLeavesZerosOut() throws {
        scratch.write(disk, to: "in.raw")
        let result = try reimage("convert", "-f", "raw", "in.raw", "out.raw")
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.errors == "")
        #expect(scratch.read("out.raw") == disk)
        #expect(scratch.names == ["in.raw", "out.raw"])
        #expect(try #require(FileStore(path: scratch.file("out.raw")).allocatedByteCount) < 300_000)
    }

    @Test func saysThatItGuessed() throws {
        scratch.write(disk, to: "in.raw")
        let result = try reimage("convert", "in.raw", "out.raw")
        #expect(result.status == 0)
        #expect(result.errors.contains("-f raw"))
    }

    @Test(arguments: ["1", "2", "8"])
    func threadsDoNotChangeTheBytes(_ threads: String) throws {
        scratch.write(disk, to: "in.raw")
        #expect(try reimage("convert", "-j", threads, "-f", "raw", "in.raw", "out.raw").status == 0)
        #expect(scratch.read("out.raw") == disk)
    }

    @Test func neverOverwritesUnlessTold() throws {
        scratch.write(disk, to: "in.raw")
        scratch.write([7], to: "out.raw")
        let refused = try reimage("convert", "-f", "raw", "in.raw", "out.raw")
        #expect(refused.status == 3)
        #expect(refused.errors.contains("out.raw") && refused.errors.contains("--force"))
        #expect(scratch.read("out.raw") == [7])
        #expect(try reimage("convert", "--force", "-f", "raw", "in.raw", "out.raw").status == 0)
        #expect(scratch.read("out.raw") == disk)
    }

    @Test func neverWritesItsOwnSource() throws {
        scratch.write(disk, to: "in.raw")
        try FileManager.default.linkItem(atPath: scratch.file("in.raw"), toPath: scratch.file("alias.raw"))
        for target in ["in.raw", "alias.raw", "./in.raw"] {
            let result = try reimage("convert", "--force", "-f", "raw", "in.raw", target)
            #expect(result.status == 3)
            #expect(result.errors.contains("source"))
        }
        #expect(scratch.read("in.raw") == disk)
    }

    @Test func verifiesAndPrintsTheDigest() throws {
        scratch.write(disk, to: "in.raw")
        let result = try reimage("convert", "--verify", "-f", "raw", "in.raw", "out.raw")
        #expect(result.status == 0)
        #expect(result.text.hasPrefix("rdd1:") && result.text.count == 69)
        #expect(try reimage("digest", "-f", "raw", "out.raw").text == result.text)
        #expect(try reimage("digest", "-f", "raw", "-", input: Data(disk)).text == result.text)
    }

    @Test func streamsBothWays() throws {
        scratch.write(disk, to: "in.raw")
        #expect(try [UInt8](reimage("convert", "-f", "raw", "in.raw", "-").output) == disk)
        let written = try reimage("convert", "-f", "raw", "-", "out.raw", input: Data(disk))
        #expect(written.status == 0, "\(written.errors)")
        #expect(scratch.read("out.raw") == disk)
        #expect(try [UInt8](reimage("convert", "-f", "raw", "-", "-", input: Data(disk)).output) == disk)
        #expect(try reimage("convert", "-f", "raw", "in.raw", "/dev/null").status == 0)
    }

    @Test func keepsEveryOddSize() throws {
        for count in [0, 1, 511, 512, 513, 4095, 4097, 65_535, (1 << 20) + 1] {
            scratch.write(pattern(count), to: "in.raw")
            #expect(try reimage("convert", "--force", "-f", "raw", "in.raw", "out.raw").status == 0)
            #expect(scratch.read("out.raw") == pattern(count), "\(count) bytes")
        }
    }

    @Test func writesIntoAnExistingFile() throws {
        scratch.write(disk, to: "in.raw")
        let rest = pattern(5000)
        scratch.write([UInt8](repeating: 0xEE, count: disk.count) + rest, to: "out.raw")
        let result = try reimage("convert", "-n", "--verify", "-f", "raw", "in.raw", "out.raw")
        #expect(result.status == 0, "\(result.errors)")
        #expect(scratch.read("out.raw") == disk + rest)
        scratch.write([1, 2, 3], to: "short.raw")
        let short = try reimage("convert", "-n", "-f", "raw", "in.raw", "short.raw")
        #expect(short.status == 5)
        #expect(scratch.read("short.raw") == [1, 2, 3])
    }

    @Test func preallocates() throws {
        scratch.write(disk, to: "in.raw")
        for flags in [["-S", "0"], ["-o", "preallocation=falloc"], ["-o", "preallocation=full"]] {
            let arguments = ["convert", "--force"] + flags + ["-f", "raw", "in.raw", "out.raw"]
            #expect(try #require(Program.reimage).run(arguments, in: scratch.path).status == 0)
            #expect(scratch.read("out.raw") == disk)
            #expect(try #require(FileStore(path: scratch.file("out.raw")).allocatedByteCount) >= UInt64(disk.count))
        }
    }

    @Test func refusesABlockDeviceAndNamesRestore() throws {
        guard getuid() == 0, let mknod = Program(named: "mknod") else { return print("skipped: needs root and mknod") }
        // A node that belongs to no device: were it opened, that would fail.
        #expect(try mknod.run([scratch.file("disk"), "b", "7", "254"]).status == 0)
        scratch.write(disk, to: "in.raw")
        let result = try reimage("convert", "--force", "-f", "raw", "in.raw", "disk")
        #expect(result.status == 3)
        #expect(result.errors.contains("restore"))
    }

    @Test func wrongArgumentsAreUsageErrors() throws {
        scratch.write(disk, to: "in.raw")
        let wrong: [[String]] = [
            [], ["in.raw"], ["in.raw", "a", "b"], ["-S", "1KB", "in.raw", "a"], ["-S", "3", "in.raw", "a"],
            ["-f", "nonsense", "in.raw", "a"], ["-f", "raw", "-o", "nonsense=1", "in.raw", "a"],
            ["-f", "raw", "-o", "preallocation=maybe", "in.raw", "a"], ["-j", "0", "in.raw", "a"], ["--frob"],
        ]
        for arguments in wrong {
            let result = try #require(Program.reimage).run(["convert"] + arguments, in: scratch.path)
            #expect(result.status == 64, "\(arguments)")
            #expect(!result.errors.isEmpty)
        }
        #expect(scratch.names == ["in.raw"])
    }

    @Test func whatRawCannotDoIsUnsupported() throws {
        scratch.write(disk, to: "in.raw")
        for flags in [["-c"], ["-b", "x"], ["--salvage"], ["--bitmaps"], ["-l", "snap"]] {
            let arguments = ["convert"] + flags + ["-f", "raw", "in.raw", "out.raw"]
            #expect(try #require(Program.reimage).run(arguments, in: scratch.path).status == 63, "\(flags)")
        }
        #expect(scratch.names == ["in.raw"])
    }

    @Test func takesThePeersFlags() throws {
        scratch.write(disk, to: "in.raw")
        let result = try reimage(
            "convert", "-q", "-W", "-m", "16", "-t", "none", "-T", "writeback", "-U", "-O", "raw", "-f", "raw",
            "in.raw",
            "out.raw")
        #expect(result.status == 0)
        #expect(result.errors == "" && result.text == "")
        #expect(scratch.read("out.raw") == disk)
    }

    @Test func missingFilesAreNamed() throws {
        let missing = try reimage("convert", "missing.raw", "out.raw")
        #expect(missing.status == 4)
        #expect(missing.errors.contains("missing.raw"))
        scratch.write(disk, to: "in.raw")
        let nowhere = try reimage("convert", "-f", "raw", "in.raw", "no/such/folder/out.raw")
        #expect(nowhere.status == 5)
        let folder = try reimage("convert", "-f", "raw", "in.raw", ".")
        #expect(folder.status == 64)
    }

    @Test func progressIsJSONLinesWhenAskedFor() throws {
        scratch.write(disk, to: "in.raw")
        let result = try reimage("convert", "--progress", "json", "-f", "raw", "in.raw", "out.raw")
        let lines = result.errors.split(separator: "\n")
        #expect(!lines.isEmpty)
        for line in lines {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
            #expect(object?["phase"] != nil && object?["bytes"] != nil)
        }
    }
}
