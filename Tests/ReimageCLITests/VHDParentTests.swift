import Foundation
import TestSupport
import Testing

/// Where the parent of a differencing VHD is looked for, and what is said when it is not there.
@Suite struct VHDParentTests {
    private let scratch = Scratch()
    private let disk: [UInt8]

    init() throws {
        let base = pattern(3 << 20)
        var disk = base
        disk.replaceSubrange(700_000..<700_100, with: [UInt8](repeating: 7, count: 100))
        self.disk = disk
        guard let reimage = Program.reimage else { return }
        for name in ["images", "elsewhere"] {
            try FileManager.default.createDirectory(
                atPath: scratch.file(name), withIntermediateDirectories: true)
        }
        scratch.write(base, to: "base.raw")
        scratch.write(disk, to: "disk.raw")
        for (arguments, target) in [
            (["base.raw"], "images/base.vhd"), (["disk.raw"], "images/other.vhd"),
            (["-b", "base.vhd", "-F", "vhd", "disk.raw"], "images/child.vhd"),
        ] {
            let made = try reimage.run(
                ["convert", "-q", "-f", "raw", "-O", "vhd"] + arguments + [target], in: scratch.path)
            #expect(made.status == 0, "\(made.errors)")
        }
    }

    private func convert(_ flags: String...) throws -> ProgramResult {
        try #require(Program.reimage).run(
            ["convert", "--force"] + flags + ["images/child.vhd", "out.raw"], in: scratch.path)
    }

    private func move(_ name: String, to target: String) throws {
        try? FileManager.default.removeItem(atPath: scratch.file(target))
        try FileManager.default.moveItem(atPath: scratch.file(name), toPath: scratch.file(target))
    }

    private func expectDisk(_ result: ProgramResult) {
        #expect(result.status == 0, "\(result.errors)")
        #expect(scratch.read("out.raw") == disk)
    }

    @Test func parentBesideTheImageIsFound() throws {
        guard Program.reimage != nil else { return }
        expectDisk(try convert())
    }

    @Test func missingParentIsNamedWithThePlacesLookedAt() throws {
        guard Program.reimage != nil else { return }
        try move("images/base.vhd", to: "elsewhere/base.vhd")
        let missing = try convert()
        #expect(missing.status == 4)
        #expect(missing.errors.contains("'base.vhd' is not there"), "\(missing.errors)")
        #expect(missing.errors.contains("images/base.vhd"), "\(missing.errors)")
        expectDisk(try convert("--parent-dir", "elsewhere"))
        let info = try #require(Program.reimage).run(["info", "images/child.vhd"], in: scratch.path)
        #expect(info.status == 0 && info.text.contains("differencing"))
    }

    @Test func anotherImageIsNotTaken() throws {
        guard Program.reimage != nil else { return }
        try move("images/base.vhd", to: "elsewhere/base.vhd")
        try move("images/other.vhd", to: "images/base.vhd")
        let refused = try convert()
        #expect(refused.status == 3)
        #expect(refused.errors.contains("another image") && refused.errors.contains("--ignore-parent-id"))
        expectDisk(try convert("--parent-dir", "elsewhere"))
        let taken = try convert("--ignore-parent-id")
        #expect(taken.status == 0)
        #expect(taken.errors.contains("taken all the same"), "\(taken.errors)")
    }

    @Test func linkOutOfTheFolderNeedsTheFlag() throws {
        guard Program.reimage != nil else { return }
        try move("images/base.vhd", to: "elsewhere/base.vhd")
        try FileManager.default.createSymbolicLink(
            atPath: scratch.file("images/base.vhd"), withDestinationPath: "../elsewhere/base.vhd")
        let refused = try convert()
        #expect(refused.status == 3)
        #expect(refused.errors.contains("--allow-references"))
        expectDisk(try convert("--allow-references", "elsewhere"))
    }
}
