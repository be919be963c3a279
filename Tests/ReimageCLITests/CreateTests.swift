import Foundation
import TestSupport
import Testing

@Suite struct CreateTests {
    private let scratch = Scratch()

    private func run(_ arguments: [String]) throws -> ProgramResult {
        try #require(Program.reimage).run(arguments, in: scratch.path)
    }

    private func json(_ arguments: [String]) throws -> [String: Any] {
        let result = try run(arguments)
        try #require(result.status == 0, "\(result.errors)")
        return try #require(JSONSerialization.jsonObject(with: result.output) as? [String: Any])
    }

    @Test func makesAnEmptyImage() throws {
        let made = try run(["create", "-f", "qcow2", "vm.qcow2", "64T"])
        #expect(made.status == 0, "\(made.errors)")
        #expect(made.text == "vm.qcow2: qcow2, a disk of 64 TiB (70368744177664 bytes).")
        #expect(try json(["info", "--json", "vm.qcow2"])["virtual-size"] as? Int == 64 << 40)
        #expect(try run(["check", "-q", "vm.qcow2"]).status == 0)
        // Header, refcounts, and the 1 MiB of the L1 table.
        #expect(try #require(scratch.read("vm.qcow2")).count == 3 << 16 + 1 << 20)
    }

    /// The format is the name's, else raw; an existing file stays.
    @Test func takesTheFormatFromTheName() throws {
        #expect(try run(["create", "-q", "a.qcow2", "1M"]).status == 0)
        #expect(scratch.read("a.qcow2")?.prefix(4) == [0x51, 0x46, 0x49, 0xFB])
        #expect(try run(["create", "-q", "disk.raw", "1M"]).status == 0)
        #expect(scratch.read("disk.raw") == [UInt8](repeating: 0, count: 1 << 20))
        let again = try run(["create", "-q", "a.qcow2", "2M"])
        #expect(again.status == 3)
        #expect(again.errors.contains("--force"))
        #expect(try run(["create", "-q", "--force", "a.qcow2", "2M"]).status == 0)
        #expect(try json(["info", "--json", "a.qcow2"])["virtual-size"] as? Int == 2 << 20)
    }

    @Test func lookThroughToTheImageBelow() throws {
        scratch.write(pattern(700_000), to: "base.raw")
        let made = try run(["create", "-q", "-f", "qcow2", "-b", "base.raw", "-F", "raw", "top.qcow2"])
        #expect(made.status == 0, "\(made.errors)")
        #expect(try run(["convert", "-q", "top.qcow2", "seen.raw"]).status == 0)
        let seen = try #require(scratch.read("seen.raw"))
        #expect(Array(seen.prefix(700_000)) == pattern(700_000))
        #expect(seen.count == 700_416 && seen.suffix(416).allSatisfy { $0 == 0 })
        #expect(try #require(scratch.read("top.qcow2")).count < 300_000)
    }

    @Test func anOverlayHoldsOnlyWhatDiffers() throws {
        var disk = pattern(8 << 20)
        scratch.write(disk, to: "base.raw")
        for place in 3_000_000..<3_000_100 { disk[place] ^= 0xFF }
        for place in 5 << 20..<6 << 20 { disk[place] = 0 }
        scratch.write(disk, to: "now.raw")
        let made = try run([
            "convert", "-q", "--verify", "-f", "raw", "-b", "base.raw", "-F", "raw", "now.raw", "top.qcow2",
        ])
        #expect(made.status == 0, "\(made.errors)")
        // One cluster of data: the rest is the base's, or zeros that are an entry alone.
        #expect(try #require(scratch.read("top.qcow2")).count == 5 << 16 + 512)
        #expect(try run(["compare", "-q", "top.qcow2", "now.raw"]).status == 0)
        let map = try run(["map", "--json", "top.qcow2"])
        #expect(map.text.contains("\"depth\":1") || map.text.contains("\"depth\": 1"))
    }

    @Test(arguments: [
        (["-b", "base.raw"], 64, "-F"), (["-b", "gone.raw", "-F", "raw"], 4, "gone.raw"), (["-F", "raw"], 64, "-b"),
        (["-b", "base.raw", "-F", "nonsense"], 64, "nonsense"), (["-o", "colour=red"], 64, "colour"),
        (["-o", "cluster_size"], 64, "cluster_size"), (["-b", "top.qcow2", "-F", "qcow2"], 4, "top.qcow2"),
    ])
    func whatMakesNoSenseIsRefused(_ flags: [String], _ status: Int32, _ word: String) throws {
        scratch.write(pattern(1000), to: "base.raw")
        let result = try run(["create", "-f", "qcow2"] + flags + ["top.qcow2", "1M"])
        #expect(result.status == status, "\(result.errors)")
        #expect(result.errors.contains(word), "\(result.errors)")
        #expect(scratch.names == ["base.raw"])
    }

    @Test func theImageBelowIsNotWrittenOver() throws {
        scratch.write(pattern(1 << 20), to: "base.raw")
        scratch.write(pattern(1 << 20), to: "in.raw")
        let result = try run([
            "convert", "-q", "-f", "raw", "-O", "qcow2", "--force", "-b", "base.raw", "-F", "raw", "in.raw", "base.raw",
        ])
        #expect(result.status == 3)
        #expect(scratch.read("base.raw") == pattern(1 << 20))
    }

    @Test func writesADataFileBesideTheImage() throws {
        scratch.write(pattern(3 << 20), to: "in.raw")
        let made = try run([
            "convert", "-q", "--verify", "-f", "raw", "-o", "data_file=out.data,data_file_raw=on", "in.raw",
            "out.qcow2",
        ])
        #expect(made.status == 0, "\(made.errors)")
        #expect(scratch.read("out.data") == pattern(3 << 20))
        #expect(scratch.names == ["in.raw", "out.data", "out.qcow2"])
        let again = try run(["convert", "-q", "-f", "raw", "-o", "data_file=out.data", "in.raw", "other.qcow2"])
        #expect(again.status == 3)
        #expect(!scratch.names.contains("other.qcow2"))
        let same = try run(["convert", "-q", "-f", "raw", "--force", "-o", "data_file=in.raw", "in.raw", "o.qcow2"])
        #expect(same.status == 3)
        #expect(scratch.read("in.raw") == pattern(3 << 20))
        let piped = try run(["convert", "-q", "-f", "raw", "-O", "qcow2", "-o", "data_file=x", "in.raw", "-"])
        #expect(piped.status == 63)
    }

    @Test func listsOptions() throws {
        for verb in ["create", "convert", "measure"] {
            let result = try run([verb, verb == "create" ? "-f" : "-O", "qcow2", "-o", "help"])
            #expect(result.status == 0, "\(result.errors)")
            for option in ["cluster_size", "preallocation", "data_file_raw", "refcount_bits"] {
                #expect(result.text.contains(option))
            }
        }
    }

    @Test func measuresExactly() throws {
        scratch.write(pattern(900_000) + [UInt8](repeating: 0, count: 3 << 20) + pattern(5000), to: "in.raw")
        let measure = try json(["measure", "-q", "--json", "-f", "raw", "-O", "qcow2", "in.raw"])
        #expect(try run(["convert", "-q", "-f", "raw", "in.raw", "out.qcow2"]).status == 0)
        #expect(measure["required"] as? Int == scratch.read("out.qcow2")?.count)
        let bound = try json(["measure", "-q", "--json", "--extents-only", "-f", "raw", "-O", "qcow2", "in.raw"])
        #expect(bound["is-bound"] as? Bool == true)
        #expect(bound["required"] as? Int ?? 0 > measure["required"] as? Int ?? 0)
        let empty = try json(["measure", "--json", "-O", "qcow2", "--size", "1G"])
        #expect(empty["required"] as? Int == 3 << 16 + 512)
        #expect(empty["fully-allocated"] as? Int == (16384 + 5) << 16 + 512)
        #expect(try run(["measure", "-O", "qcow2"]).status == 64)
        let raw = try json(["measure", "--json", "-f", "raw", "in.raw"])
        #expect(raw["required"] as? Int == raw["fully-allocated"] as? Int)
    }

    /// Zeros that must hide what lies below take tables, and in version 2 whole clusters: the measure knows that.
    @Test(arguments: ["compat=0.10", "compat=1.1", "extended_l2=on"])
    func measuresOverAnImageBelow(_ option: String) throws {
        scratch.write(pattern(3 << 20), to: "base.raw")
        #expect(try run(["create", "-q", "-f", "raw", "in.raw", "3M"]).status == 0)
        let flags = ["-f", "raw", "-O", "qcow2", "-o", option, "-b", "base.raw", "-F", "raw", "in.raw"]
        let measure = try json(["measure", "-q", "--json"] + flags)
        let made = try run(["convert", "-q", "--verify"] + flags + ["top.qcow2"])
        #expect(made.status == 0, "\(made.errors)")
        #expect(measure["is-bound"] as? Bool == true)
        #expect(measure["required"] as? Int == scratch.read("top.qcow2")?.count)
    }

    @Test(arguments: [["-c"], []])
    func aPipeCannotBeLookedAtTwice(_ flags: [String]) throws {
        let result = try #require(Program.reimage).run(
            ["convert", "-q", "-f", "raw", "-O", "qcow2"] + flags + ["-", "-"], in: scratch.path,
            input: Data(pattern(1000)))
        #expect(result.status == 63)
        #expect(result.output.isEmpty)
        #expect(result.errors.contains("pipe"))
        let file = try #require(Program.reimage).run(
            ["convert", "-q", "-f", "raw", "-O", "qcow2"] + flags + ["-", "out.qcow2"], in: scratch.path,
            input: Data(pattern(100_000)))
        #expect(file.status == 0, "\(file.errors)")
        #expect(try run(["check", "-q", "out.qcow2"]).status == 0)
    }

    @Test func flagsThatCannotBe() throws {
        scratch.write(pattern(1000), to: "in.raw")
        for (flags, status, word) in [
            (["-c", "-O", "raw"], 63, "-c"), (["--level", "3"], 64, "-c"), (["-O", "qcow2", "-n"], 63, "made anew"),
            (["-O", "qcow2", "-c", "--level", "99"], 64, "99"), (["-O", "qcow2", "--bitmaps"], 63, "bitmaps"),
            (["-O", "qcow2", "-c", "-o", "preallocation=full"], 64, "preallocated"),
            (["-O", "raw", "-b", "in.raw", "-F", "raw"], 63, "backing"),
        ] {
            scratch.write([], to: "out")
            let result = try run(
                ["convert", "-f", "raw", flags.contains("-n") ? "-q" : "--force"] + flags + ["in.raw", "out"])
            #expect(result.status == Int32(status), "\(flags): \(result.errors)")
            #expect(result.errors.contains(word), "\(flags): \(result.errors)")
            #expect(scratch.read("out") == [])
        }
    }
}
