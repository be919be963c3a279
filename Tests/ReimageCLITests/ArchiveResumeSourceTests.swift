import Foundation
import ReimageSystem
import TestSupport
import Testing

/// Archives gone on with: trusting the source, from sources whose chunks are taken over, and on a medium that was full.
@Suite(.serialized) struct ArchiveResumeSourceTests {
    private let scratch = Scratch()
    private static let partial = ".out.rimg.partial"

    private func reimage(_ arguments: [String], in folder: String? = nil) throws -> ProgramResult {
        try #require(Program.reimage).run(
            arguments, in: folder ?? scratch.path, environment: ["SOURCE_DATE_EPOCH": "1767225600", "NO_COLOR": "1"])
    }

    @discardableResult
    private func succeed(_ arguments: String...) throws -> ProgramResult {
        let result = try reimage(arguments)
        #expect(result.status == 0, "\(arguments): \(result.errors)")
        return result
    }

    /// What `arguments` make of `out.rimg`, which is then taken away but for its first `share`, the partial file.
    private func interrupt(_ arguments: [String], after share: Double) throws -> [UInt8] {
        let result = try reimage(arguments)
        #expect(result.status == 0, "\(result.errors)")
        let whole = try #require(scratch.read("out.rimg"))
        try FileManager.default.removeItem(atPath: scratch.file("out.rimg"))
        scratch.write(Array(whole.prefix(Int(Double(whole.count) * share))), to: Self.partial)
        return whole
    }

    private func describe() throws -> String { try succeed("info", "out.rimg").text }

    @Test func trustGoesOnInEarnest() throws {
        try scratch.writeSixRanges(1, to: "in.raw")
        let arguments = ["convert", "-f", "raw", "--chunk-size", "64k", "in.raw", "out.rimg"]
        let whole = try interrupt(arguments, after: 0.6)
        let again = try reimage(arguments + ["--resume=trust"])
        #expect(again.status == 0 && again.errors.contains("goes on behind 768 MiB"), "\(again.errors)")
        #expect(scratch.read("out.rimg") == whole)
        #expect(try !describe().contains("source changed"))

        // A change in what is looked at is accepted, and kept in mind: by the whole disk there are fewer chunks than that.
        try FileManager.default.removeItem(atPath: scratch.file("out.rimg"))
        scratch.write(Array(whole.prefix(whole.count * 6 / 10)), to: Self.partial)
        try scratch.flipByte(at: 5, of: "in.raw")
        #expect(try reimage(arguments + ["--resume"]).status == 6)
        let changed = try reimage(arguments + ["--resume=trust"])
        #expect(changed.status == 0 && changed.errors.contains("changed at byte 0"), "\(changed.errors)")
        #expect(try describe().contains("source changed"))
        let compared = try reimage(["compare", "-q", "--read", "-F", "raw", "out.rimg", "in.raw"])
        #expect(compared.status == 1 && compared.text.contains("offset 5"), "\(compared.text)\(compared.errors)")
    }

    /// Chunks that are copied as the source stores them go on being copied, and whoever asks for others is refused.
    @Test(arguments: ["tight.rimg", "a.qcow2"])
    func takesChunksOver(_ source: String) throws {
        try scratch.writeSixRanges(1, to: "in.raw")
        let compression = ["-c", "--codec", "zstd", "--level", "9"]
        _ = try reimage(
            ["convert", "-q", "-f", "raw"] + (source == "a.qcow2" ? [] : ["--chunk-size", "64k"]) + compression
                + ["in.raw", source])
        let arguments = ["convert", "-c", "--codec", "zstd", "--chunk-size", "64k", source, "out.rimg"]
        try succeed("convert", "-q", "--chunk-size", "64k", "-c", "--codec", "zstd", "-f", "raw", "in.raw", "new.rimg")
        let whole = try interrupt(arguments, after: 0.6)
        let isOther = try #require(scratch.read("new.rimg")).count != whole.count
        #expect(isOther, "the chunks were not taken over")
        let before = scratch.read(Self.partial)
        let other = try reimage(arguments + ["--resume", "--recompress"])
        #expect(other.status == 3 && other.errors.contains("recompress"), "\(other.errors)")
        #expect(scratch.read(Self.partial) == before)
        let again = try reimage(arguments + ["--resume", "-j", "3"])
        #expect(again.status == 0 && again.errors.contains("goes on behind"), "\(again.errors)")
        #expect(scratch.read("out.rimg") == whole)
        // Nor is what was encoded anew gone on with by taking over.
        try FileManager.default.removeItem(atPath: scratch.file("out.rimg"))
        let anew = try interrupt(arguments + ["--recompress"], after: 0.6)
        let refused = try reimage(arguments + ["--resume"])
        #expect(refused.status == 3 && refused.errors.contains("recompress"), "\(refused.errors)")
        #expect(try reimage(arguments + ["--resume", "--recompress"]).status == 0)
        #expect(scratch.read("out.rimg") == anew)
    }

    /// The target's file system fills up, is made larger, and the archive is gone on with.
    @Test func aFullMedium() throws {
        guard isRoot, let mount = Program(named: "mount"), let unmount = Program(named: "umount") else {
            print("skipped: filling a file system takes root")
            return
        }
        try scratch.writeSixRanges(1, to: "in.raw")
        let arguments =
            ["convert", "--no-space-check", "-f", "raw", "--no-dedup", "--chunk-size", "64k", "-c", "--codec"]
            + ["store", scratch.file("in.raw"), "out.rimg"]
        #expect(try reimage(arguments).status == 0)
        let whole = try #require(scratch.read("out.rimg"))
        try FileManager.default.createDirectory(atPath: scratch.file("small"), withIntermediateDirectories: false)
        let folder = scratch.file("small")
        let mounted = try mount.run(["-t", "tmpfs", "-o", "size=4m", "tmpfs", folder])
        guard mounted.status == 0 else {
            print("skipped: no tmpfs can be mounted: \(mounted.errors)")
            return
        }
        defer { _ = try? unmount.run([folder]) }
        let full = try reimage(arguments, in: folder)
        #expect(full.status == 7, "\(full.errors)")
        #expect(full.errors.contains("file system is full") && full.errors.contains("--resume"), "\(full.errors)")
        #expect(scratch.names(in: "small") == [Self.partial])
        // Still full: nothing is lost by trying.
        let still = try reimage(arguments + ["--resume"], in: folder)
        #expect(still.status == 7, "\(still.errors)")
        #expect(try mount.run(["-o", "remount,size=64m", folder]).status == 0)
        let again = try reimage(arguments + ["--resume"], in: folder)
        #expect(again.status == 0 && again.errors.contains("goes on behind"), "\(again.errors)")
        #expect(scratch.read("small/out.rimg") == whole)
        #expect(scratch.names(in: "small") == ["out.rimg"])
    }
}

extension Scratch {
    /// The names in a folder within.
    fileprivate func names(in folder: String) -> Set<String> {
        Set((try? FileManager.default.contentsOfDirectory(atPath: file(folder))) ?? [])
    }
}
