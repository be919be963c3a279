import Foundation
import ReimageTesting
import TestSupport
import Testing

/// Compressed chunks that go over as they are stored, between images whose codec and chunks are the same.
@Suite struct PassThroughTests {
    private let scratch = Scratch()

    init() { scratch.write(Self.disk, to: "in.raw") }

    /// Text, noise, zeros and an end within a cluster.
    private static let disk: [UInt8] = {
        var random = SeededGenerator(seed: 0xADA7)
        let words = (0..<300).map { _ in Array(String(random.next() % 1_000_000, radix: 36).utf8) + [32] }
        var bytes: [UInt8] = []
        while bytes.count < 1 << 20 { bytes += words[random.below(300)] }
        bytes += (0..<300_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        bytes += [UInt8](repeating: 0, count: 1_200_000)
        while bytes.count < (3 << 20) + 12_288 + 777 { bytes += words[random.below(300)] }
        return bytes
    }()

    @discardableResult
    private func reimage(_ arguments: [String], status: Int32 = 0) throws -> ProgramResult {
        let result = try #require(Program.reimage).run(
            arguments, in: scratch.path, environment: ["SOURCE_DATE_EPOCH": "0"])
        try #require(result.status == status, "\(arguments): \(result.errors)")
        return result
    }

    private func convert(_ arguments: String...) throws { try reimage(["convert", "-q"] + arguments) }

    private func digest(_ name: String) throws -> Substring { try reimage(["digest", "-q", name]).text.prefix(69) }

    /// Other programs find the disk in `name`, a qcow2 image.
    private func judge(_ name: String) throws {
        guard let workshop = Workshop.standard else { return }
        try workshop.img.succeed(["compare", "-f", "raw", "-F", "qcow2", "in.raw", name], in: scratch)
        try workshop.img.succeed(["check", name], in: scratch)
        guard let seven = Program(named: "7z"), !name.contains("zstd") else { return }
        try seven.succeed(["t", "-tqcow", name], in: scratch)
    }

    @Test(arguments: [("zlib", "64k"), ("zstd", "64k"), ("zlib", "8k"), ("zstd", "1M")])
    func qcow2ClustersStayAsTheyAre(_ codec: String, _ clusterSize: String) throws {
        guard let workshop = Workshop.standard else { return }
        let options = "compression_type=\(codec),cluster_size=\(clusterSize)"
        try workshop.img.succeed(
            ["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options, "in.raw", "peer.qcow2"], in: scratch)
        let target = ["-O", "qcow2", "-o", options]
        try reimage(["convert", "-q", "-c", "--verify", "-j", "1"] + target + ["peer.qcow2", "one.\(codec).qcow2"])
        try reimage(["convert", "-q", "-c", "-j", "4"] + target + ["peer.qcow2", "four.\(codec).qcow2"])
        try judge("one.\(codec).qcow2")
        let adopted = try #require(scratch.read("one.\(codec).qcow2"))
        let isSame = scratch.read("four.\(codec).qcow2") == adopted
        #expect(isSame)
        // Once more gives the same file; encoding gives another.
        try reimage(["convert", "-q", "-c"] + target + ["one.\(codec).qcow2", "again.qcow2"])
        let isStable = scratch.read("again.qcow2") == adopted
        #expect(isStable)
        for flags in [["--recompress"], ["--level", "6"]] {
            try reimage(["convert", "-q", "-c", "--force"] + flags + target + ["one.\(codec).qcow2", "new.qcow2"])
            // The peer's zstd streams are those of our default level.
            let isSame = scratch.read("new.qcow2") == adopted
            #expect(isSame == (codec == "zstd" && flags == ["--recompress"]))
            #expect(try digest("new.qcow2") == digest("one.\(codec).qcow2"))
        }
    }

    @Test func anotherCodecOrClusterIsEncoded() throws {
        try convert("-c", "-f", "raw", "in.raw", "zlib.qcow2")
        for (index, options) in ["compression_type=zstd", "cluster_size=32k", "cluster_size=128k"].enumerated() {
            try convert("-c", "-o", options, "zlib.qcow2", "\(index).zstd.qcow2")
            try judge("\(index).zstd.qcow2")
        }
    }

    @Test func chainsAndPlainClustersMix() throws {
        guard let workshop = Workshop.standard else { return }
        try convert("-c", "-f", "raw", "in.raw", "base.qcow2")
        try workshop.img.succeed(
            ["create", "-q", "-f", "qcow2", "-b", "base.qcow2", "-F", "qcow2", "over.qcow2"], in: scratch)
        try workshop.io.succeed(
            ["-f", "qcow2", "-c", "write -P 7 100k 200k", "-c", "write -z 1M 300k", "over.qcow2"], in: scratch)
        try workshop.img.succeed(["convert", "-O", "raw", "over.qcow2", "expected.raw"], in: scratch)
        try convert("-c", "over.qcow2", "flat.qcow2")
        try workshop.img.succeed(
            ["compare", "-f", "raw", "-F", "qcow2", "expected.raw", "flat.qcow2"], in: scratch)
        // An overlay stores only what differs, compressed or not.
        try convert("-c", "-b", "base.qcow2", "-F", "qcow2", "flat.qcow2", "thin.qcow2")
        #expect(try digest("thin.qcow2") == digest("flat.qcow2"))
        let (thin, flat) = (scratch.read("thin.qcow2")?.count ?? 0, scratch.read("flat.qcow2")?.count ?? 0)
        #expect(thin < flat / 2)
    }

    @Test func archivesAreRepackedAsTheyAre() throws {
        try convert("-f", "raw", "-o", "profile=tight", "in.raw", "tight.rimg")
        try convert("-f", "raw", "in.raw", "fresh.rimg")
        try convert("-j", "1", "tight.rimg", "one.rimg")
        try convert("-j", "4", "tight.rimg", "four.rimg")
        #expect(try digest("one.rimg") == digest("fresh.rimg"))
        #expect(scratch.read("one.rimg") == scratch.read("four.rimg"))
        let sizes = ["tight.rimg", "one.rimg", "fresh.rimg"].map { scratch.read($0)?.count ?? 0 }
        // The options that META keeps differ.
        #expect(abs(sizes[0] - sizes[1]) < 200 && abs(sizes[1] - sizes[2]) > 2000, "\(sizes)")
        try convert("one.rimg", "again.rimg")
        #expect(scratch.read("again.rimg") == scratch.read("one.rimg"))
        for flags in [["--recompress"], ["-o", "profile=balanced"], ["-c", "--level", "3"]] {
            try reimage(["convert", "-q", "--force"] + flags + ["tight.rimg", "new.rimg"])
            #expect(abs((scratch.read("new.rimg")?.count ?? 0) - sizes[2]) < 200)
        }
        try convert("-f", "raw", "-o", "profile=small", "in.raw", "small.rimg")
        try convert("-c", "--codec", "lzma2", "-o", "chunk_size=4M", "small.rimg", "lzma.rimg")
        #expect(try digest("lzma.rimg") == digest("fresh.rimg"))
    }

    @Test(arguments: [("zlib", "deflate"), ("zstd", "zstd")])
    func clustersAndChunksChangeOver(_ qcow2: String, _ rimg: String) throws {
        guard let workshop = Workshop.standard else { return }
        try workshop.img.succeed(
            ["convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=\(qcow2)", "in.raw", "a.qcow2"],
            in: scratch)
        try convert("-c", "--codec", rimg, "-o", "chunk_size=64k", "a.qcow2", "b.rimg")
        try convert("-c", "--codec", qcow2, "b.rimg", "c.\(qcow2).qcow2")
        try judge("c.\(qcow2).qcow2")
        #expect(try digest("b.rimg") == digest("a.qcow2"))
        // What went through the archive is what the first image has.
        try convert("-c", "--codec", qcow2, "a.qcow2", "direct.qcow2")
        #expect(scratch.read("direct.qcow2") == scratch.read("c.\(qcow2).qcow2"))
    }

    @Test func damagedChunksAreRefused() throws {
        try convert("-c", "--codec", "zstd", "-f", "raw", "in.raw", "a.qcow2")
        try convert("-f", "raw", "in.raw", "a.rimg")
        var image = try #require(scratch.read("a.qcow2"))
        let magic: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
        let frame = try #require(
            (65_536..<image.count).first { image[$0..<min($0 + 4, image.count)].elementsEqual(magic) })
        image[frame + 1] ^= 0xFF
        scratch.write(image, to: "bad.qcow2")
        let first = try reimage(["convert", "-q", "-c", "--codec", "zstd", "bad.qcow2", "out.qcow2"], status: 4)
        #expect(first.errors.contains("guest offset 0") && first.errors.contains("\(frame)"))
        var archive = try #require(scratch.read("a.rimg"))
        archive[40_000] ^= 1
        scratch.write(archive, to: "bad.rimg")
        let second = try reimage(["convert", "-q", "bad.rimg", "out.rimg"], status: 4)
        #expect(second.errors.contains("bad.rimg"))
        #expect(!scratch.names.contains("out.qcow2") && !scratch.names.contains("out.rimg"))
    }
}
