import Foundation
import TestSupport
import Testing

/// `reimage verify`, `repair` and `--partial` as a user runs them.
@Suite struct VerifyTests {
    private let scratch = Scratch()

    private func reimage(_ arguments: String...) throws -> ProgramResult {
        try #require(Program.reimage).run(arguments, in: scratch.path, environment: ["NO_COLOR": "1"])
    }

    /// A disk of noise, so that its chunks are stored as they are: one to each MiB.
    private static let disk: [UInt8] = {
        var state: UInt64 = 88
        return (0..<(3 << 20) + 1024).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 33)
        }
    }()

    /// Makes `a.rimg` of the disk, and `damaged.rimg` with a bit of its second chunk flipped.
    private func prepare() throws -> String {
        scratch.write(Self.disk, to: "in.raw")
        #expect(try reimage("convert", "-q", "-f", "raw", "-O", "rimg", "in.raw", "a.rimg").status == 0)
        var bytes = try #require(scratch.read("a.rimg"))
        bytes[(1 << 20) + 300_000] ^= 1
        scratch.write(bytes, to: "damaged.rimg")
        scratch.write(Array(bytes.prefix(bytes.count / 2)), to: "cut.rimg")
        return try reimage("digest", "-f", "raw", "in.raw").text
    }

    @Test func tellsWholeFromDamaged() throws {
        let digest = try prepare()
        for depth in [[], ["--stored"], ["--deep"]] {
            let whole = try #require(Program.reimage).run(["verify"] + depth + ["a.rimg"], in: scratch.path)
            #expect(whole.status == 0, "\(whole.errors)")
            #expect(whole.text == digest)
            let damaged = try #require(Program.reimage).run(["verify"] + depth + ["damaged.rimg"], in: scratch.path)
            #expect(damaged.status == 4)
            #expect(damaged.text.contains("disk bytes 1048576 to 2097152"))
            #expect(!damaged.text.contains("rdd1:"))
        }
        let json = try reimage("verify", "--json", "damaged.rimg")
        #expect(json.status == 4)
        #expect(json.text.contains("\"start\" : 1048576") && json.text.contains("\"lost-bytes\" : 1048576"))
        #expect(try reimage("verify", "--digest", digest, "a.rimg").status == 0)
        let other = digest.dropLast() + (digest.hasSuffix("0") ? "1" : "0")
        #expect(try reimage("verify", "--digest", String(other), "a.rimg").status == 6)
        #expect(try reimage("check", "damaged.rimg").status == 0)
        #expect(try reimage("check", "cut.rimg").status == 2)
    }

    @Test func readsOtherFormatsToTheirEnd() throws {
        let digest = try prepare()
        #expect(try reimage("convert", "-q", "-f", "raw", "in.raw", "a.qcow2").status == 0)
        for image in ["a.qcow2", "in.raw"] {
            let result = try reimage("verify", "-q", "-f", image == "in.raw" ? "raw" : "qcow2", image)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.text == digest)
        }
        let refused = try reimage("verify", "--stored", "a.qcow2")
        #expect(refused.status == 63)
        #expect(refused.errors.contains("--stored"))
    }

    @Test func whatIsLeftIsReadWhenAskedFor() throws {
        _ = try prepare()
        for image in ["damaged.rimg", "cut.rimg"] {
            let refused = try reimage("convert", image, "out.raw")
            #expect(refused.status == 4)
            #expect(refused.errors.contains("--partial"))
            #expect(scratch.read("out.raw") == nil)
            let rest = try reimage(
                "convert", "--partial", "--verify", "--unreadable-list", "list.json", image, "out.raw", "--force")
            #expect(rest.status == 4)
            #expect(rest.text.hasPrefix("partial:"))
            #expect(rest.errors.contains("could not be read and are zeros"))
            let found = try #require(scratch.read("out.raw"))
            #expect(found.count == Self.disk.count && found != Self.disk)
            let zeros = found.indices.first { found[$0] != Self.disk[$0] } ?? 0
            #expect(zeros >= 1 << 20 && zeros < (1 << 20) + 64)
            let list = try #require(scratch.read("list.json"))
            #expect(String(decoding: list, as: UTF8.self).contains("\"start\" : 1048576"))
            #expect(try reimage("digest", "--partial", image).text.hasPrefix("partial:"))
            try FileManager.default.removeItem(atPath: scratch.file("out.raw"))
        }
        #expect(try reimage("convert", "--partial", "-f", "raw", "in.raw", "out.raw").status == 63)
        #expect(try reimage("convert", "--partial", "a.rimg", "out.raw").status == 0)
        #expect(scratch.read("out.raw") == Self.disk)
    }

    @Test func repairsIntoANewFile() throws {
        let digest = try prepare()
        let kept = try reimage("repair", "damaged.rimg", "kept.rimg")
        #expect(kept.status == 4)
        #expect(kept.text == digest)
        #expect(kept.errors.contains("--from"))
        let healed = try reimage("repair", "--from", "in.raw", "kept.rimg", "healed.rimg")
        #expect(healed.status == 0, "\(healed.errors)")
        #expect(try reimage("verify", "--deep", "-q", "healed.rimg").text == digest)
        let cut = try reimage("repair", "--json", "cut.rimg", "rest.rimg")
        #expect(cut.status == 4)
        #expect(cut.text.contains("partial:") && !cut.text.contains("rdd1:"))
        #expect(try reimage("digest", "rest.rimg").text.hasPrefix("partial:"))
        #expect(try reimage("repair", "damaged.rimg", "healed.rimg").status == 3)
        #expect(try reimage("repair", "damaged.rimg", "damaged.rimg", "--force").status == 3)
        #expect(try reimage("repair", "damaged.rimg").status == 64)
        // Neither start nor end: the records are enough.
        var bytes = try #require(scratch.read("a.rimg"))
        for place in Array(0..<4096) + Array(bytes.count - 5000..<bytes.count) { bytes[place] = 0 }
        scratch.write(bytes, to: "middle.rimg")
        let middle = try reimage("repair", "-q", "middle.rimg", "whole.rimg")
        #expect(middle.status == 0, "\(middle.errors)")
        #expect(middle.text == digest)
        #expect(try reimage("convert", "-q", "-f", "raw", "in.raw", "a.qcow2").status == 0)
        let other = try reimage("repair", "a.qcow2", "new.qcow2")
        #expect(other.status == 63)
        #expect(other.errors.contains("check -r all"))
    }
}
