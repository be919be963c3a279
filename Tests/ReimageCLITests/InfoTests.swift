import TestSupport
import Testing

/// The forms of `info` that are read without ArgumentParser say what those say that it reads: `-U` changes nothing.
@Suite struct InfoTests {
    private let scratch = Scratch()

    private func run(_ arguments: [String]) throws -> ProgramResult {
        try #require(Program.reimage).run(["info"] + arguments, in: scratch.path)
    }

    @Test(arguments: ["vm.qcow2", "disk.raw", "cut.qcow2", "missing.qcow2", "help", ""])
    func plainFormsAnswerAsAllOthers(image: String) throws {
        let create = try #require(Program.reimage).run(["create", "-q", "vm.qcow2", "64M"], in: scratch.path)
        #expect(create.status == 0, "\(create.errors)")
        scratch.write(pattern(70_000), to: "disk.raw")
        scratch.write(Array(try #require(scratch.read("vm.qcow2")).prefix(60)), to: "cut.qcow2")

        for (plain, other) in [
            ([image], ["-U", image]), (["--json", image], ["--json", "-U", image]),
            ([image, "--output=json"], ["-U", image, "--output=json"]),
        ] {
            let (plain, other) = (try run(plain), try run(other))
            #expect(plain.status == other.status && plain.text == other.text && plain.errors == other.errors)
        }
    }

    @Test func otherFormsAreReadInFull() throws {
        #expect(try run(["--help"]).text.contains("USAGE: reimage info"))
        #expect(try run([]).status == 64)
        #expect(try run(["a", "b"]).status == 64)
        #expect(try run(["--jsn", "a"]).status == 64)
    }
}
