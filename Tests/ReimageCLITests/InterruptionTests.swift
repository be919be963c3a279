import Foundation
import ReimageSystem
import TestSupport
import Testing

/// Full disks, signals and kills: there is no file under the final name, or a right one.
@Suite struct InterruptionTests {
    private let scratch = Scratch()

    /// Starts a conversion that waits for more input, and waits until it has begun to write.
    private func startWaiting() throws -> (Process, Pipe) {
        let input = Pipe()
        let process = try #require(Program.reimage).start(
            ["convert", "-f", "raw", "-", "out.raw"], in: scratch.path, input: input)
        process.standardError = Pipe()
        try process.run()
        try input.fileHandleForWriting.write(contentsOf: Data(pattern(3 << 20)))
        for _ in 0..<200 where !scratch.names.contains(".out.raw.partial") { pauseThread(milliseconds: 25) }
        return (process, input)
    }

    @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
    func aSignalEndsItCleanly(_ signal: Int32) throws {
        let (process, input) = try startWaiting()
        #expect(scratch.names == [".out.raw.partial"])
        kill(process.processIdentifier, signal)
        process.waitUntilExit()
        #expect(process.terminationReason == .uncaughtSignal)
        #expect(process.terminationStatus == signal)
        #expect(scratch.names.isEmpty)
        try input.fileHandleForWriting.close()
    }

    @Test func aKillLeavesNoFileUnderTheFinalName() throws {
        let (process, input) = try startWaiting()
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        #expect(scratch.names == [".out.raw.partial"])
        try input.fileHandleForWriting.close()
        let again = try #require(Program.reimage).run(
            ["convert", "-f", "raw", "-", "out.raw"], in: scratch.path, input: Data(pattern(1000)))
        #expect(again.status == 0, "\(again.errors)")
        #expect(scratch.names == ["out.raw"])
        #expect(scratch.read("out.raw") == pattern(1000))
    }

    @Test func reportsWhenAsked() throws {
        let (process, input) = try startWaiting()
        kill(process.processIdentifier, SIGUSR1)
        pauseThread(milliseconds: 100)
        try input.fileHandleForWriting.close()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let errors = (process.standardError as? Pipe)?.fileHandleForReading.readDataToEndOfFile() ?? Data()
        #expect(String(decoding: errors, as: UTF8.self).contains("copy"))
        #expect(scratch.read("out.raw") == pattern(3 << 20))
    }

    @Test func aReaderThatGoesAwayIsATargetFailure() throws {
        scratch.write(pattern(4 << 20), to: "in.raw")
        let output = Pipe()
        let process = try #require(Program.reimage).start(
            ["convert", "-f", "raw", "in.raw", "-"], in: scratch.path, output: output)
        process.standardError = Pipe()
        try process.run()
        try output.fileHandleForReading.close()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 5)
    }

    @Test(arguments: [[], ["--no-space-check"]])
    func aFullDiskLeavesNothing(_ flags: [String]) throws {
        guard getuid() == 0, let mount = Program(named: "mount"), let umount = Program(named: "umount") else {
            return print("skipped: mounting a small file system needs root")
        }
        try FileManager.default.createDirectory(atPath: scratch.file("small"), withIntermediateDirectories: false)
        guard try mount.run(["-t", "tmpfs", "-o", "size=1m", "tmpfs", scratch.file("small")]).status == 0 else {
            return print("skipped: a tmpfs cannot be mounted here")
        }
        defer { _ = try? umount.run([scratch.file("small")]) }
        scratch.write(pattern(4 << 20), to: "in.raw")
        let result = try #require(Program.reimage).run(
            ["convert"] + flags + ["-f", "raw", "in.raw", "small/out.raw"], in: scratch.path)
        #expect(result.status == 5)
        #expect(result.errors.contains("small/out.raw"))
        #expect(result.errors.contains("ree some space"))
        let left = try FileManager.default.contentsOfDirectory(atPath: scratch.file("small"))
        #expect(left.isEmpty)
    }

    @Test func aFolderWithoutPermissionIsNamed() throws {
        guard getuid() != 0 else { return print("skipped: root may write anywhere") }
        scratch.write([1], to: "in.raw")
        try FileManager.default.createDirectory(
            atPath: scratch.file("closed"), withIntermediateDirectories: false, attributes: [.posixPermissions: 0o500])
        let result = try #require(Program.reimage).run(
            ["convert", "-f", "raw", "in.raw", "closed/out.raw"], in: scratch.path)
        #expect(result.status == 5)
        #expect(result.errors.contains("ermission"))
    }
}
