import Foundation
import ReimageTesting
import TestSupport
import Testing

/// `reimage resize` beside `qemu-img resize`, on equal images.
@Suite struct ResizeTests {
    private let scratch = Scratch()

    /// Images that qemu can resize, of every kind.
    private static let recipes = Recipe.matrix.filter { $0.cut == 0 && $0.index % 16 < 2 }

    @Test(arguments: recipes) func resizesAsQemuDoes(_ recipe: Recipe) throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        let made = try workshop.make(recipe)
        let theirs = made.folder
        let ours = Scratch()
        for name in theirs.names {
            try FileManager.default.copyItem(atPath: theirs.file(name), toPath: ours.file(name))
        }
        var random = SeededGenerator(seed: UInt64(recipe.index))
        var size = recipe.top.size
        var expected = try #require(FileManager.default.contents(atPath: theirs.file(made.expectedName)))
        var qemuFollows = true
        for step in 0..<4 {
            let change = (1 + random.below(size / 512)) * 512
            let grows = step % 2 == 0
            let last = size
            size = grows ? size + change : max(512, size - change)
            let words = ["-f", "qcow2", "--shrink", made.name, "\(size)"]
            let result = try reimage.succeed(["resize"] + words, in: ours)
            #expect(result.text == "Image resized.")
            expected = expected.prefix(size) + Data(count: max(0, size - last))
            try workshop.img.succeed(["check", "-f", "qcow2", made.name], in: ours)
            try workshop.img.succeed(["convert", "-f", "qcow2", "-O", "raw", made.name, "now.raw"], in: ours)
            let now = try #require(FileManager.default.contents(atPath: ours.file("now.raw")))
            #expect(firstDifference(now, expected) == nil, "step \(step) to \(size)")
            // Once it has cut a disk inside a cluster and makes it longer, qemu shows the old bytes of that cluster again.
            guard qemuFollows, step < 2 else { continue }
            let follow = try workshop.img.run(["resize", "-q"] + words, in: theirs.path)
            qemuFollows = follow.status == 0
            guard qemuFollows else { continue }
            try workshop.img.succeed(["convert", "-f", "qcow2", "-O", "raw", made.name, "now.raw"], in: theirs)
            let other = try #require(FileManager.default.contents(atPath: theirs.file("now.raw")))
            #expect(firstDifference(now, other) == nil, "step \(step) to \(size)")
            if recipe.top.dataFile != .none {
                #expect(try length(ours.file(made.name + ".data")) == length(theirs.file(made.name + ".data")))
            }
            if !grows {
                // Cut at least as far as qemu cuts, give or take a table.
                let most = try length(theirs.file(made.name)) + 4 * recipe.top.clusterSize
                let length = try length(ours.file(made.name))
                #expect(length <= most, "step \(step) to \(size)")
            }
        }
        // qemu cannot hide a longer backing file in version 2, nor behind a compressed cluster that has subclusters.
        #expect(qemuFollows || recipe.top.version == 2 || recipe.top.extendedL2)
        // What is left can be written by qemu.
        let most = min(size, 64 << 10)
        try workshop.io.succeed(["-f", "qcow2", "-c", "write -P 7 \(size - most) \(most)", made.name], in: ours)
        try workshop.img.succeed(["check", "-f", "qcow2", made.name], in: ours)
    }

    @Test func aSnapshotKeepsItsLength() throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        try workshop.img.succeed(["create", "-q", "-f", "qcow2", "a.qcow2", "4M"], in: scratch)
        try workshop.io.succeed(
            ["-c", "write -P 1 0 4M", "-c", "write -b -P 9 0 128k", "a.qcow2"], in: scratch)
        try workshop.img.succeed(["snapshot", "-c", "s", "a.qcow2"], in: scratch)
        for size in ["1G", "1M", "2G"] {
            try reimage.succeed(["resize", "--shrink", "a.qcow2", size], in: scratch)
            try workshop.img.succeed(["check", "a.qcow2"], in: scratch)
            try reimage.succeed(
                ["convert", "-q", "--force", "-l", "s", "a.qcow2", "s.raw"], in: scratch)
            #expect(try #require(scratch.read("s.raw")) == [UInt8](repeating: 1, count: 4 << 20))
        }
        // Where the machine's state was saved, qemu would show it.
        let map = try workshop.img.succeed(["map", "--output=json", "a.qcow2"], in: scratch).text
        #expect(map.contains("\"start\": 1048576, \"length\": \((2 << 30) - (1 << 20))"), "\(map)")
        // Going back to the snapshot finds the disk and the state.
        try workshop.img.succeed(["snapshot", "-a", "s", "a.qcow2"], in: scratch)
        try workshop.img.succeed(["check", "a.qcow2"], in: scratch)
        try workshop.io.succeed(["-c", "read -P 1 0 4M", "-c", "read -b -P 9 0 128k", "a.qcow2"], in: scratch)
    }

    @Test(arguments: ["off", "metadata", "falloc", "full"]) func newSpaceIsReserved(_ mode: String) throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        for options in ["cluster_size=4k", "cluster_size=64k,extended_l2=on", "compat=0.10"] {
            try workshop.img.succeed(["create", "-q", "-f", "qcow2", "-o", options, "a.qcow2", "1M"], in: scratch)
            try reimage.succeed(["resize", "--preallocation", mode, "a.qcow2", "9M"], in: scratch)
            let check = try workshop.img.succeed(["check", "--output=json", "a.qcow2"], in: scratch).text
            #expect(check.contains("\"allocated-clusters\"") == (mode != "off"), "\(options): \(check)")
            let stored = try stored(scratch.file("a.qcow2"))
            #expect((stored >= 8 << 20) == (mode == "falloc" || mode == "full"), "\(options): \(stored)")
            try workshop.io.succeed(["-c", "read -P 0 0 9M", "a.qcow2"], in: scratch)
        }
    }

    @Test func rawDisksAreResizedWhereTheFormatIsNamed() throws {
        let reimage = try #require(Program.reimage)
        let bytes = pattern(3000)
        scratch.write(bytes, to: "disk.img")
        func resize(_ arguments: String...) throws -> ProgramResult {
            try reimage.run(["resize"] + arguments, in: scratch.path)
        }
        let guess = try resize("disk.img", "9000")
        #expect(guess.status == 3 && guess.errors.contains("-f raw"))
        #expect(try resize("-f", "raw", "disk.img", "+2001").text == "Image resized.")
        #expect(scratch.read("disk.img") == bytes + [UInt8](repeating: 0, count: 2001))
        let cut = try resize("-f", "raw", "disk.img", "-4001")
        #expect(cut.status == 3 && cut.errors.contains("--shrink"))
        #expect(try resize("-q", "-f", "raw", "--shrink", "disk.img", "-4001").text.isEmpty)
        #expect(scratch.read("disk.img") == Array(bytes.prefix(1000)))
        #expect(try resize("-f", "raw", "--shrink", "disk.img", "--", "-500").status == 0)
        #expect(scratch.read("disk.img")?.count == 500)
        #expect(try resize("-f", "raw", "disk.img", "--", "-500").status == 64)
        #expect(try resize("-f", "raw", "--preallocation", "metadata", "disk.img", "1M").status == 64)
        #expect(try resize("-f", "raw", "--preallocation", "full", "disk.img", "1M").status == 0)
        #expect(scratch.read("disk.img")?.count == 1 << 20)
        #expect(try stored(scratch.file("disk.img")) >= 1 << 20)
    }

    @Test func whatIsNoResizeIsRefused() throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        try workshop.img.succeed(["create", "-q", "-f", "qcow2", "a.qcow2", "4M"], in: scratch)
        let before = scratch.read("a.qcow2")
        let cases: [([String], Int32)] = [
            (["a.qcow2"], 64), (["a.qcow2", "5M", "6M"], 64), (["a.qcow2", "5MB"], 64), (["a.qcow2", "+"], 64),
            (["a.qcow2", "--grow", "5M"], 64), (["a.qcow2", "-5M"], 64), (["a.qcow2", "0"], 64),
            (["a.qcow2", "-1M"], 3), (["a.qcow2", "3M"], 3), (["a.qcow2", "3P"], 63), (["none.qcow2", "5M"], 5),
            (["--preallocation", "all", "a.qcow2", "5M"], 64),
        ]
        for (arguments, status) in cases {
            let result = try reimage.run(["resize"] + arguments, in: scratch.path)
            #expect(result.status == status, "\(arguments): \(result.errors)")
            #expect(!result.errors.isEmpty && result.text.isEmpty, "\(arguments)")
        }
        #expect(scratch.read("a.qcow2") == before)
        try reimage.succeed(["resize", "a.qcow2", "+1M"], in: scratch)
        try reimage.succeed(["resize", "a.qcow2", "-1M", "--shrink", "-q"], in: scratch)
        let info = try workshop.img.succeed(["info", "a.qcow2"], in: scratch).text
        #expect(info.contains("(4194304 bytes)"))
    }

    private func length(_ path: String) throws -> Int { Int(try status(path).st_size) }

    /// The bytes of the medium that a file takes.
    private func stored(_ path: String) throws -> Int { Int(try status(path).st_blocks) * 512 }

    private func status(_ path: String) throws -> stat {
        var status = stat()
        try #require(unsafe stat(path, &status) == 0)
        return status
    }
}
