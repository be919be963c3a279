import Foundation
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

/// Archives whose making ends early, and is gone on with.
@Suite(.serialized) struct ArchiveResumeTests {
    private let scratch = Scratch()
    private static let environment = ["SOURCE_DATE_EPOCH": "1767225600"]
    private static let partial = ".out.rimg.partial"
    private static let arguments = ["convert", "-q", "-f", "raw", "--chunk-size", "64k", "in.raw", "out.rimg"]

    private func run(_ more: String..., seconds: Double = 60) throws -> ProgramResult {
        try #require(Program.reimage).run(
            Self.arguments + more, in: scratch.path, environment: Self.environment, seconds: seconds)
    }

    @Test func aKillAtAnyMoment() throws {
        try scratch.writeSixRanges(2, to: "in.raw")
        let clock = ContinuousClock()
        let begun = clock.now
        #expect(try run().status == 0)
        let whole = clock.now - begun
        let expected = try #require(scratch.read("out.rimg"))
        var random = SeededGenerator(seed: 13)
        var resumed = 0
        for _ in 0..<8 {
            try FileManager.default.removeItem(atPath: scratch.file("out.rimg"))
            let process = try #require(Program.reimage).start(
                Self.arguments, in: scratch.path, environment: Self.environment)
            try process.run()
            Thread.sleep(forTimeInterval: whole / .seconds(1) * Double(random.next() % 1000) / 1000)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            if scratch.names.contains("out.rimg") { continue }
            let again = try #require(Program.reimage).run(
                Self.arguments.filter { $0 != "-q" } + ["--resume"], in: scratch.path, environment: Self.environment)
            #expect(again.status == 0, "\(again.errors)")
            if again.errors.contains("goes on behind") { resumed += 1 }
            #expect(scratch.read("out.rimg") == expected)
            #expect(scratch.names == ["in.raw", "out.rimg"])
        }
        print("killed 8 times: \(resumed) archives were gone on with")
    }

    @Test func anInterruptTellsHowToGoOn() throws {
        try scratch.writeSixRanges(2, to: "in.raw")
        #expect(try run().status == 0)
        let expected = try #require(scratch.read("out.rimg"))
        try FileManager.default.removeItem(atPath: scratch.file("out.rimg"))
        let process = try #require(Program.reimage).start(
            Self.arguments + ["-r", "4M"], in: scratch.path, environment: Self.environment)
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        Thread.sleep(forTimeInterval: 1.7)
        kill(process.processIdentifier, SIGINT)
        process.waitUntilExit()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(process.terminationReason == .exit && process.terminationStatus == 7, "\(text)")
        #expect(text.contains("--resume") && text.contains(Self.partial), "\(text)")
        let info = try #require(Program.reimage).run(["info", Self.partial], in: scratch.path)
        #expect(info.status == 0 && info.text.contains("incomplete"), "\(info.text)\(info.errors)")

        let before = scratch.read(Self.partial)
        let other = try run("--resume", "--no-dedup")
        #expect(other.status == 3 && other.errors.contains("begun otherwise"), "\(other.errors)")
        try scratch.flipByte(at: 5, of: "in.raw")
        let changed = try run("--resume")
        #expect(changed.status == 6 && changed.errors.contains("not what it was"), "\(changed.errors)")
        try scratch.flipByte(at: 5, of: "in.raw")
        #expect(scratch.read(Self.partial) == before)
        let pipe = try #require(Program.reimage).run(
            ["convert", "-f", "raw", "--resume", "-", "out.rimg"], in: scratch.path, input: Data([1]))
        #expect(pipe.status == 63 && pipe.errors.contains("pipe"), "\(pipe.errors)")
        #expect(scratch.read(Self.partial) == before)

        let again = try run("--resume", "--verify")
        #expect(again.status == 0, "\(again.errors)")
        #expect(scratch.read("out.rimg") == expected)
    }

    @Test func nothingToGoOnWith() throws {
        scratch.write(pattern(200_000), to: "in.raw")
        scratch.write(Array("no archive".utf8), to: Self.partial)
        let result = try #require(Program.reimage).run(
            ["convert", "-f", "raw", "--resume=trust", "in.raw", "out.rimg"], in: scratch.path)
        #expect(result.status == 0 && result.errors.contains("starts anew"), "\(result.errors)")
        #expect(
            try #require(Program.reimage).run(["compare", "-F", "raw", "out.rimg", "in.raw"], in: scratch.path).status
                == 0)
        let other = try #require(Program.reimage).run(
            ["convert", "-f", "raw", "--resume", "in.raw", "out.qcow2"], in: scratch.path)
        #expect(other.status == 63, "\(other.errors)")
    }
}
