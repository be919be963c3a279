import Foundation
import TestSupport
import Testing

@Suite struct VHDCreateTests {
    private let scratch = Scratch()

    private func run(
        _ arguments: [String], input: Data? = nil, environment: [String: String] = [:]
    ) throws -> ProgramResult {
        try #require(Program.reimage).run(arguments, in: scratch.path, environment: environment, input: input)
    }

    private func json(_ arguments: [String]) throws -> [String: Any] {
        let result = try run(arguments)
        try #require(result.status == 0, "\(result.errors)")
        return try #require(JSONSerialization.jsonObject(with: result.output) as? [String: Any])
    }

    /// Data, 3 MiB of zeros, data.
    private func makeSource(_ tail: Int = 5000) {
        scratch.write(pattern(900_000) + [UInt8](repeating: 0, count: 3 << 20) + pattern(tail), to: "in.raw")
    }

    private func space(_ name: String) throws -> Int {
        let values = try URL(fileURLWithPath: scratch.file(name)).resourceValues(forKeys: [.totalFileAllocatedSizeKey])
        return try #require(values.totalFileAllocatedSize)
    }

    @Test func makesEmptyImages() throws {
        let made = try run(["create", "-f", "vhd", "vm.vhd", "2040G"])
        #expect(made.status == 0, "\(made.errors)")
        #expect(try json(["info", "--json", "vm.vhd"])["virtual-size"] as? Int == 2040 << 30)
        // Head, a table of 1 044 480 entries, footer.
        #expect(try #require(scratch.read("vm.vhd")).count == 1536 + 4_177_920 + 512)
        #expect(try run(["create", "-q", "fixed.vhd", "-o", "subformat=fixed", "3M"]).status == 0)
        #expect(try #require(scratch.read("fixed.vhd")).count == 3 << 20 + 512)
        #expect(try space("fixed.vhd") >= 3 << 20)
        #expect(try run(["create", "-q", "holes.vhd", "-o", "subformat=fixed", "--sparse", "3M"]).status == 0)
        #expect(try space("holes.vhd") <= 1 << 16)
        let large = try run(["create", "-q", "large.vhd", "2041G"])
        #expect(large.status == 63 && large.errors.contains("2040 GiB"), "\(large.errors)")
        #expect(!scratch.names.contains("large.vhd"))
    }

    @Test(arguments: [[], ["-o", "subformat=fixed"], ["-o", "block_size=64k"], ["--profile", "azure"], ["-S", "0"]])
    func convertsAndVerifies(_ flags: [String]) throws {
        makeSource()
        let made = try run(["convert", "--verify", "-f", "raw", "in.raw"] + flags + ["out.vhd"])
        #expect(made.status == 0, "\(made.errors)")
        #expect(made.text.hasPrefix("rdd1:"))
        // Rounded up to whole sectors, or to whole MiB.
        let size = flags.contains("azure") ? 4 << 20 : 4_050_944
        #expect(made.errors.contains("\(size)"), "\(made.errors)")
        #expect(try json(["info", "--json", "-f", "vhd", "out.vhd"])["virtual-size"] as? Int == size)
        #expect(try run(["convert", "-q", "-f", "vhd", "out.vhd", "back.raw"]).status == 0)
        let back = try #require(scratch.read("back.raw"))
        let source = try #require(scratch.read("in.raw"))
        #expect(back.count == size && Array(back.prefix(source.count)) == source)
        #expect(back.dropFirst(source.count).allSatisfy { $0 == 0 })
        // The host file has no holes.
        #expect(try space("out.vhd") >= #require(scratch.read("out.vhd")).count)
    }

    @Test(arguments: [[], ["-o", "subformat=fixed"], ["-o", "block_size=4k"]])
    func measuresExactly(_ flags: [String]) throws {
        makeSource()
        let measure = try json(["measure", "-q", "--json", "-f", "raw", "-O", "vhd"] + flags + ["in.raw"])
        #expect(try run(["convert", "-q", "-f", "raw"] + flags + ["in.raw", "out.vhd"]).status == 0)
        #expect(measure["required"] as? Int == scratch.read("out.vhd")?.count)
        #expect(try run(["convert", "-q", "-f", "raw", "-S", "0"] + flags + ["in.raw", "full.vhd"]).status == 0)
        #expect(measure["fully-allocated"] as? Int == scratch.read("full.vhd")?.count)
    }

    /// The same disk gives the same bytes: at any time, with any number of threads, into a file or a pipe.
    @Test(arguments: ["subformat=dynamic", "subformat=fixed", "block_size=64k"])
    func theSameDiskGivesTheSameBytes(_ option: String) throws {
        makeSource(4544)
        let epoch = ["SOURCE_DATE_EPOCH": "1100000000"]
        for (name, threads) in [("a.vhd", "1"), ("b.vhd", "7")] {
            let made = try run(
                ["convert", "-q", "-j", threads, "-f", "raw", "-o", option, "in.raw", name], environment: epoch)
            #expect(made.status == 0 && made.text.isEmpty, "\(made.errors)")
        }
        let image = try #require(scratch.read("a.vhd"))
        #expect(image == scratch.read("b.vhd"))
        let arguments = ["convert", "-q", "-f", "raw", "-O", "vhd", "-o", option, "in.raw", "-"]
        let first = try run(arguments, environment: epoch)
        #expect(try first.output == run(arguments, environment: epoch).output)
        if option == "subformat=fixed" { #expect([UInt8](first.output) == image) }
        scratch.write([UInt8](first.output), to: "piped.vhd")
        #expect(try run(["compare", "-q", "-f", "raw", "-F", "vhd", "in.raw", "piped.vhd"]).status == 0)
        // Without a word from the environment, the number is another each time.
        #expect(try run(["convert", "-q", "-f", "raw", "-o", option, "in.raw", "now.vhd"]).status == 0)
        #expect(scratch.read("now.vhd")?.count == image.count && scratch.read("now.vhd") != image)
    }

    @Test func aStreamCanBeWritten() throws {
        makeSource()
        let source = try #require(scratch.read("in.raw"))
        for option in ["subformat=dynamic", "subformat=fixed"] {
            let made = try run(
                ["convert", "-q", "--force", "--verify", "-f", "raw", "-o", option, "-", "out.vhd"], input: Data(source)
            )
            #expect(made.status == 0, "\(made.errors)")
            #expect(try run(["compare", "-q", "-f", "raw", "-F", "vhd", "in.raw", "out.vhd"]).status == 0)
        }
        let piped = try run(["convert", "-q", "-f", "raw", "-O", "vhd", "-", "-"], input: Data(source.prefix(1000)))
        #expect(piped.status == 63 && piped.output.isEmpty && piped.errors.contains("pipe"))
    }

    @Test func anOverlayHoldsOnlyWhatDiffers() throws {
        var disk = pattern(8 << 20)
        scratch.write(disk, to: "base.raw")
        #expect(try run(["convert", "-q", "-f", "raw", "base.raw", "base.vhd"]).status == 0)
        for place in 3_000_000..<3_000_100 { disk[place] ^= 0xFF }
        for place in 5 << 20..<6 << 20 { disk[place] = 0 }
        scratch.write(disk, to: "now.raw")
        let flags = ["-f", "raw", "-O", "vhd", "-b", "base.vhd", "-F", "vhd", "now.raw"]
        let made = try run(["convert", "-q", "--verify"] + flags + ["top.vhd"])
        #expect(made.status == 0, "\(made.errors)")
        #expect(try #require(scratch.read("top.vhd")).count == 4096 + 2 * (4096 + 2 << 20) + 512)
        #expect(try run(["compare", "-q", "-F", "raw", "top.vhd", "now.raw"]).status == 0)
        let piped = try run(["convert", "-q"] + flags + ["-"])
        scratch.write([UInt8](piped.output), to: "piped.vhd")
        #expect(try run(["compare", "-q", "-F", "raw", "piped.vhd", "now.raw"]).status == 0)
        // An empty child reads as its parent, and is as long.
        #expect(try run(["create", "-q", "-b", "base.vhd", "-F", "vhd", "empty.vhd"]).status == 0)
        #expect(try run(["compare", "-q", "-F", "raw", "empty.vhd", "base.raw"]).status == 0)
        #expect(try #require(scratch.read("empty.vhd")).count < 4096)
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        scratch.write(pattern(1 << 20), to: "base.raw")
        for (flags, status, word) in [
            (["-c"], 63, "compressed"), (["-o", "force_size=off"], 64, "force_size"),
            (["-o", "colour=red"], 64, "colour"),
            (["-b", "base.raw", "-F", "raw"], 63, "parent"), (["-o", "subformat=fixed", "-n"], 63, "made anew"),
            (["--profile", "aws"], 64, "aws"), (["-o", "profile=azure", "--profile", "aws"], 64, "contradict"),
        ] {
            scratch.write([], to: "out.vhd")
            let result = try run(
                ["convert", flags.contains("-n") ? "-q" : "--force", "-f", "raw"] + flags + ["base.raw", "out.vhd"])
            #expect(result.status == Int32(status), "\(flags): \(result.errors)")
            #expect(result.errors.contains(word), "\(flags): \(result.errors)")
            #expect(scratch.read("out.vhd") == [])
        }
    }

    @Test func listsOptions() throws {
        let result = try run(["create", "-f", "vpc", "-o", "help"])
        for option in ["subformat", "block_size", "force_size", "sparse", "profile", "backing_file"] {
            #expect(result.text.contains(option))
        }
    }
}
