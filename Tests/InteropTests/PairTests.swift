import Foundation
import ReimageTesting
import TestSupport
import Testing

/// Every format into every other, chains of one format over another among the sources.
@Suite struct PairTests {
    private static let sources = [
        "in.raw", "plain.qcow2", "small.qcow2", "dynamic.vhd", "fixed.vhd", "child.vhd", "over-vhd.qcow2",
        "over-child.qcow2",
    ]
    private static let targets: [[String]] = [
        ["-O", "raw"], ["-O", "qcow2"], ["-O", "qcow2", "-c", "--codec", "zstd"],
        ["-O", "qcow2", "-b", "base.vhd", "-F", "vpc"], ["-O", "vhd"], ["-O", "vhd", "-o", "subformat=fixed"],
        ["-O", "vhd", "-o", "block_size=64k"], ["-O", "vhd", "-b", "base.vhd", "-F", "vhd"],
    ]

    /// A folder with one disk in every kind of image, and its digest.
    private struct Made {
        let folder = Scratch()
        let digest: String

        init(_ reimage: Program) throws {
            var random = SeededGenerator(seed: 0x9A12)
            let base = Self.disk(5 << 20, &random, runs: 9)
            var disk = base
            for _ in 0..<20 {
                let start = random.below(disk.count - 70_000) & ~511
                for place in start..<start + 512 * (1 + random.below(120)) { disk[place] = UInt8(place >> 5 & 0xFF) }
            }
            folder.write(base, to: "base.raw")
            folder.write(disk, to: "in.raw")
            let steps = [
                ["-O", "vhd", "base.raw", "base.vhd"], ["-O", "qcow2", "in.raw", "plain.qcow2"],
                ["-O", "qcow2", "-c", "in.raw", "small.qcow2"], ["-O", "vhd", "in.raw", "dynamic.vhd"],
                ["-O", "vhd", "-o", "subformat=fixed", "in.raw", "fixed.vhd"],
                ["-O", "vhd", "-b", "base.vhd", "-F", "vhd", "in.raw", "child.vhd"],
                ["-O", "qcow2", "-b", "base.vhd", "-F", "vpc", "in.raw", "over-vhd.qcow2"],
                // Nothing of its own: all comes through two formats.
                ["-O", "qcow2", "-b", "child.vhd", "-F", "vpc", "in.raw", "over-child.qcow2"],
            ]
            for step in steps { try reimage.succeed(["convert", "-q", "--verify"] + step, in: folder) }
            digest = try reimage.succeed(["digest", "-q", "-f", "raw", "in.raw"], in: folder).text
        }

        private static func disk(_ count: Int, _ random: inout SeededGenerator, runs: Int) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: count)
            for _ in 0..<runs {
                let start = random.below(count)
                let value = UInt8(truncatingIfNeeded: random.next())
                for place in start..<min(count, start + random.below(400_000)) {
                    bytes[place] = value &+ UInt8(place >> 7 & 0xFF)
                }
            }
            return bytes
        }
    }

    @Test func everyPairGivesTheSameDisk() throws {
        guard let reimage = Program.reimage else { return }
        let made = try Made(reimage)
        let expected = try #require(made.digest.split(separator: " ").first)
        for source in Self.sources {
            for target in Self.targets {
                let flags = ["convert", "-q", "--verify", "--force"] + target
                let result = try reimage.run(flags + [source, "out"], in: made.folder.path)
                #expect(result.status == 0, "\(source) \(target): \(result.errors)")
                #expect(result.text.hasPrefix(expected), "\(source) \(target)")
            }
        }
    }

    /// QEMU knows a VHD by another name, and opens an overlay only where it finds that.
    @Test func qemuReadsOverlaysOfVHDs() throws {
        guard let reimage = Program.reimage, let workshop = Workshop.standard else { return }
        let made = try Made(reimage)
        for (base, format) in [("dynamic.vhd", "vhd"), ("fixed.vhd", "vhd"), ("fixed.vhd", "vpc")] {
            let flags = ["-f", "raw", "-O", "qcow2", "-b", base, "-F", format]
            try reimage.succeed(["convert", "-q", "--force"] + flags + ["in.raw", "over.qcow2"], in: made.folder)
            let images = ["-f", "raw", "-F", "qcow2", "in.raw", "over.qcow2"]
            try workshop.img.succeed(["compare", "-q"] + images, in: made.folder)
        }
    }
}
