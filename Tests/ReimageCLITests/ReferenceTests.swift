import Foundation
import TestSupport
import Testing

/// What an image may refer to, and what is refused with the flag that would allow it.
@Suite struct ReferenceTests {
    private let scratch = Scratch()
    private let qemu = Program(named: "qemu-img")

    private func folder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: scratch.file(name), withIntermediateDirectories: true)
    }

    /// Makes `images/top.qcow2` whose backing file is called `backing`, unchecked.
    private func makeOverlay(_ backing: String, format: String = "raw") throws -> Bool {
        guard let qemu else { return false }
        try folder("images")
        let made = try qemu.run(
            ["create", "-q", "-f", "qcow2", "-u", "-b", backing, "-F", format, "images/top.qcow2", "1M"],
            in: scratch.path)
        #expect(made.status == 0, "\(made.errors)")
        return true
    }

    private func convert(_ flags: String...) throws -> ProgramResult {
        try #require(Program.reimage).run(
            ["convert", "--force"] + flags + ["images/top.qcow2", "out.raw"], in: scratch.path)
    }

    private let base = pattern(1 << 20)

    @Test func aFileBesideOrBelowTheImageIsFollowed() throws {
        for name in ["base.raw", "below/base.raw"] {
            guard try makeOverlay(name) else { return }
            try folder("images/below")
            scratch.write(base, to: "images/" + name)
            let result = try convert()
            #expect(result.status == 0, "\(result.errors)")
            #expect(scratch.read("out.raw") == base)
        }
    }

    @Test func aFileElsewhereNeedsTheFlag() throws {
        scratch.write(base, to: "base.raw")
        for name in ["../base.raw", scratch.file("base.raw")] {
            guard try makeOverlay(name) else { return }
            let refused = try convert()
            #expect(refused.status == 3)
            #expect(refused.errors.contains("--allow-references") && refused.errors.contains("base.raw"))
            #expect(!scratch.names.contains("out.raw"))
            for flag in [scratch.path, "any"] {
                let allowed = try convert("--allow-references", flag)
                #expect(allowed.status == 0, "\(allowed.errors)")
                #expect(scratch.read("out.raw") == base)
                try FileManager.default.removeItem(atPath: scratch.file("out.raw"))
            }
        }
    }

    @Test func aLinkOutOfTheFolderIsNotFollowed() throws {
        guard try makeOverlay("link.raw") else { return }
        scratch.write(base, to: "base.raw")
        try FileManager.default.createSymbolicLink(
            atPath: scratch.file("images/link.raw"), withDestinationPath: "../base.raw")
        #expect(try convert().status == 3)
    }

    @Test(arguments: [
        "json:{\"driver\":\"file\",\"filename\":\"/etc/passwd\"}", "nbd://localhost/x", "https://example.org/x",
        "fat:/etc", "file:base.raw",
    ])
    func protocolsAreNeverFollowed(_ name: String) throws {
        guard try makeOverlay(name) else { return }
        for flags in [[], ["--allow-references", "any"]] {
            let result = try #require(Program.reimage).run(
                ["convert"] + flags + ["images/top.qcow2", "out.raw"], in: scratch.path)
            #expect(result.status == 3, "\(result.errors)")
            #expect(result.errors.contains("no flag allows"))
            #expect(!scratch.names.contains("out.raw"))
        }
    }

    @Test func aDataFileElsewhereIsRefused() throws {
        guard let qemu else { return }
        try folder("images")
        let made = try qemu.run(
            ["create", "-q", "-f", "qcow2", "-o", "data_file=secret.bin", "images/top.qcow2", "1M"],
            in: scratch.path)
        #expect(made.status == 0)
        var bytes = try #require(scratch.read("images/top.qcow2"))
        let stored = Array("secret.bin".utf8)
        let place = try #require(bytes.indices.first { bytes[$0...].starts(with: stored) })
        bytes.replaceSubrange(place..<place + stored.count, with: Array("/etc/group".utf8))
        scratch.write(bytes, to: "images/top.qcow2")
        let result = try convert()
        #expect(result.status == 3, "\(result.errors)")
        #expect(result.errors.contains("/etc/group") && result.errors.contains("--allow-references"))
    }

    @Test func aLoopIsRefusedWhateverTheFlags() throws {
        guard try makeOverlay("top.qcow2", format: "qcow2") else { return }
        for flags in [[], ["--allow-references", "any", "--max-depth", "200"]] {
            let result = try #require(Program.reimage).run(
                ["convert"] + flags + ["images/top.qcow2", "out.raw"], in: scratch.path)
            #expect(result.status == 3)
            #expect(result.errors.contains("loop"))
        }
    }

    @Test func aDeepChainNeedsTheFlag() throws {
        guard let qemu else { return }
        try folder("images")
        scratch.write(base, to: "images/0.raw")
        for depth in 1...4 {
            let below = depth == 1 ? ["-b", "0.raw", "-F", "raw"] : ["-b", "\(depth - 1).qcow2", "-F", "qcow2"]
            let name = depth == 4 ? "top.qcow2" : "\(depth).qcow2"
            #expect(
                try qemu.run(["create", "-q", "-f", "qcow2"] + below + ["images/" + name], in: scratch.path).status == 0
            )
        }
        let refused = try convert("--max-depth", "3")
        #expect(refused.status == 3)
        #expect(refused.errors.contains("--max-depth 4"))
        #expect(try convert("--max-depth", "4").status == 0)
        #expect(scratch.read("out.raw") == base)
    }

    @Test func anUndeclaredFormatFollowsNothingFurther() throws {
        guard let qemu, try makeOverlay("middle.qcow2", format: "qcow2") else { return }
        scratch.write(base, to: "images/base.raw")
        #expect(
            try qemu.run(
                ["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "images/middle.qcow2"],
                in: scratch.path
            ).status == 0)
        // The name of the format is taken out of the overlay, as old tools leave it.
        var bytes = try #require(scratch.read("images/top.qcow2"))
        let place = try #require(bytes.indices.first { bytes[$0...].starts(with: [0xE2, 0x79, 0x2A, 0xCA]) })
        bytes.replaceSubrange(place..<place + 4, with: [0x11, 0x22, 0x33, 0x44])
        scratch.write(bytes, to: "images/top.qcow2")
        let refused = try convert()
        #expect(refused.status == 3, "\(refused.errors)")
        #expect(refused.errors.contains("not declared"))
        #expect(try convert("--allow-references", "any").status == 0)
        #expect(scratch.read("out.raw") == base)
    }

    @Test func aMissingFileIsNamed() throws {
        guard try makeOverlay("gone.raw") else { return }
        let result = try convert()
        #expect(result.status == 4)
        #expect(result.errors.contains("gone.raw"))
        #expect(try #require(Program.reimage).run(["info", "images/top.qcow2"], in: scratch.path).status == 0)
    }

    @Test func theTargetMustNotBePartOfTheChain() throws {
        guard try makeOverlay("base.raw") else { return }
        scratch.write(base, to: "images/base.raw")
        let result = try #require(Program.reimage).run(
            ["convert", "--force", "images/top.qcow2", "images/base.raw"], in: scratch.path)
        #expect(result.status == 3)
        #expect(scratch.read("images/base.raw") == base)
    }
}
