import Foundation
import TestSupport
import Testing

/// `reimage check` and `reimage resize` on VHDs, with others' programs as witnesses.
@Suite struct VHDCheckTests {
    private let folder = Scratch()

    /// Kinds of image that qemu makes.
    private static let recipes = [
        "subformat=dynamic", "subformat=dynamic,force_size=on", "subformat=fixed", "subformat=fixed,force_size=on",
    ]

    /// Makes `a.vhd` with three runs of data.
    /// - Returns: its disk; `nil` where qemu is not installed.
    private func make(_ options: String = "subformat=dynamic,force_size=on", size: String = "24M") throws -> Data? {
        guard let workshop = Workshop.standard else { return nil }
        try workshop.img.succeed(["create", "-q", "-f", "vpc", "-o", options, "a.vhd", size], in: folder)
        let writes = ["write -P 1 0 100k", "write -P 2 9M 3M", "write -P 3 20M 600k"]
        try workshop.io.succeed(["-f", "vpc"] + writes.flatMap { ["-c", $0] } + ["a.vhd"], in: folder)
        return try disk(.qemu)
    }

    private func disk(_ reader: VHDReader) throws -> Data? { try reader.read("a.vhd", in: folder)?.disk }

    private func reimage(_ arguments: String...) throws -> ProgramResult {
        try #require(Program.reimage).run(arguments, in: folder.path)
    }

    /// Changes bytes of `a.vhd`.
    private func patch(_ body: (inout Data) -> Void) throws {
        let url = URL(fileURLWithPath: folder.file("a.vhd"))
        var data = try Data(contentsOf: url)
        body(&data)
        try data.write(to: url)
    }

    /// Every reader that is right for such images takes the disk as it should be.
    private func expect(_ content: Data, _ step: String, _ location: SourceLocation = #_sourceLocation) throws {
        for reader in [VHDReader.qemu, .sevenZip] {
            guard let read = try disk(reader) else { continue }
            #expect(
                read.count == content.count && firstDifference(read, content) == nil, "\(step): \(reader)",
                sourceLocation: location)
        }
        let convert = try reimage("convert", "-q", "--force", "-f", "vhd", "-O", "raw", "a.vhd", "ours.raw")
        #expect(convert.status == 0, "\(convert.errors)", sourceLocation: location)
        let ours = try Data(contentsOf: URL(fileURLWithPath: folder.file("ours.raw")))
        #expect(
            firstDifference(ours, content) == nil && ours.count == content.count, "\(step)", sourceLocation: location)
    }

    @Test(arguments: recipes) func aCleanImage(_ options: String) throws {
        guard try make(options) != nil else { return }
        let result = try reimage("check", "-f", "vhd", "a.vhd")
        #expect(result.status == 0, "\(result.text)")
        #expect(result.text.contains("No errors were found on the image."))
        guard options.contains("dynamic") else { return }
        let json = try reimage("check", "--json", "a.vhd")
        let fields = try #require(try JSONSerialization.jsonObject(with: json.output) as? [String: Any])
        #expect(fields["format"] as? String == "vhd" && fields["allocated-clusters"] as? Int == 4)
    }

    /// The length changes again and again; all programs see the same disk each time.
    @Test(arguments: recipes) func resizes(_ options: String) throws {
        guard var content = try make(options) else { return }
        for size in [33 << 20, (33 << 20) + 512, 13 << 20, 7_000_064, 64 << 20, 20 << 20] {
            let result = try reimage("resize", "--shrink", "-f", "vhd", "a.vhd", "\(size)")
            #expect(result.status == 0 && result.text == "Image resized.", "\(result.errors)")
            content = content.prefix(size) + Data(count: max(0, size - content.count))
            content = Data(content)
            try expect(content, "\(options) to \(size)")
            #expect(try reimage("check", "-q", "-f", "vhd", "a.vhd").status % 3 == 0)
        }
        // What is left can be written by qemu.
        guard options.contains("dynamic"), let workshop = Workshop.standard else { return }
        try workshop.io.succeed(["-f", "vpc", "-c", "write -P 9 19M 1M", "a.vhd"], in: folder)
        content.replaceSubrange(19 << 20..<20 << 20, with: Data(repeating: 9, count: 1 << 20))
        try expect(content, "written by qemu")
        #expect(try reimage("check", "-q", "a.vhd").status % 3 == 0)
    }

    /// A table that grows past its sector moves the first block, as qemu puts it right behind.
    @Test func resizesByMovingBlocks() throws {
        guard var content = try make() else { return }
        #expect(try reimage("resize", "a.vhd", "260M").status == 0)
        content += Data(count: (260 << 20) - content.count)
        let info = try #require(Workshop.standard).img.succeed(
            ["info", "-f", "vpc", "--output=json", "a.vhd"], in: folder)
        #expect(info.text.contains("\"virtual-size\": 272629760"))
        try expect(content, "260M")
        #expect(try reimage("resize", "a.vhd", "+1T").status == 0)
        #expect(try reimage("check", "-q", "a.vhd").status == 0)
        let map = try #require(Workshop.standard).img.succeed(["info", "-f", "vpc", "a.vhd"], in: folder).text
        #expect(map.contains("1099784257536 bytes"))
    }

    @Test func whatCannotBeResized() throws {
        guard try make() != nil else { return }
        let before = folder.read("a.vhd")
        #expect(try reimage("resize", "a.vhd", "1M").status == 3)
        #expect(try reimage("resize", "a.vhd", "3T").status == 63)
        #expect(try reimage("resize", "--preallocation", "metadata", "a.vhd", "1G").status == 64)
        #expect(folder.read("a.vhd") == before)
        try patch { $0[70] ^= 1 }
        let damaged = try reimage("resize", "a.vhd", "1G")
        #expect(damaged.status == 3 && damaged.errors.contains("reimage check -r all a.vhd"), "\(damaged.errors)")
    }

    /// What other programs refuse, or read otherwise, they read alike after a repair.
    @Test(arguments: ["head", "tail", "no tail", "two blocks", "clear bits", "a block outside"])
    func repairs(_ damage: String) throws {
        guard var content = try make() else { return }
        try patch { data in
            let table = 1536
            switch damage {
            case "head": data[70] ^= 1
            case "tail": data[data.count - 442] ^= 1
            case "no tail": data.removeLast(512)
            case "two blocks": data.replaceSubrange(table + 4..<table + 8, with: data[table..<table + 4])
            case "clear bits": data[2048] = 0
            default: data.replaceSubrange(table..<table + 4, with: [0, 0x10, 0, 0])
            }
        }
        if damage == "two blocks" { content.replaceSubrange(2 << 20..<4 << 20, with: content[0..<2 << 20]) }
        if damage == "a block outside" { content.replaceSubrange(0..<2 << 20, with: Data(count: 2 << 20)) }
        let found = try reimage("check", "a.vhd")
        #expect(found.status == 2 && found.text.contains("corruption: "), "\(found.text)")
        let before = folder.read("a.vhd")
        #expect(try reimage("check", "-q", "-r", "leaks", "a.vhd").status == 2)
        #expect(folder.read("a.vhd") == before)
        let repaired = try reimage("check", "-r", "all", "a.vhd")
        // The block that the entry had pointed to is not given back by the same repair.
        #expect(repaired.status == (damage == "a block outside" ? 3 : 0), "\(repaired.text)")
        #expect(repaired.text.contains("repaired corruption: "))
        try expect(content, damage)
    }

    @Test func lostRoom() throws {
        guard let content = try make() else { return }
        // The second block is made unwritten; what it held is lost room.
        try patch { $0.replaceSubrange(1536 + 16..<1536 + 20, with: [255, 255, 255, 255]) }
        let length = try #require(folder.read("a.vhd")).count
        #expect(try reimage("check", "a.vhd").status == 3)
        let repaired = try reimage("check", "-r", "leaks", "a.vhd")
        #expect(repaired.status == 0 && repaired.text.contains("repaired leak"), "\(repaired.text)")
        #expect(try #require(folder.read("a.vhd")).count <= length - (2 << 20))
        var expected = content
        expected.replaceSubrange(8 << 20..<10 << 20, with: Data(count: 2 << 20))
        try expect(expected, "lost room")
    }

    @Test func neitherFooter() throws {
        guard try make() != nil else { return }
        try patch {
            $0[70] ^= 1
            $0[$0.count - 442] ^= 1
        }
        let result = try reimage("check", "a.vhd")
        #expect(result.status == 1 && result.errors.contains("checksum is wrong"))
        #expect(try reimage("check", "-r", "all", "--ignore-checksums", "a.vhd").status == 0)
        #expect(try reimage("check", "a.vhd").status == 0)
    }

    @Test func theProfile() throws {
        guard try make("subformat=fixed,force_size=on") != nil else { return }
        let result = try reimage("check", "--profile", "azure", "-f", "vhd", "a.vhd")
        #expect(result.status == 0 && result.text.split(separator: "\n").allSatisfy { $0.hasPrefix("pass  ") })
        let json = try reimage("check", "--profile", "azure", "--json", "a.vhd")
        let fields = try #require(try JSONSerialization.jsonObject(with: json.output) as? [String: Any])
        let rules = try #require(fields["rules"] as? [[String: Any]])
        #expect(fields["passed"] as? Bool == true && rules.count == 9)
        #expect(rules.allSatisfy { $0["passed"] as? Bool == true && $0["rule"] is String && $0["found"] is String })
        #expect(try reimage("check", "--profile", "aws", "a.vhd").status == 63)
        #expect(try reimage("check", "--profile", "azure", "-r", "all", "a.vhd").status == 64)
        #expect(try reimage("check", "--profile", "azure", "absent.vhd").status == 1)
        #expect(try make("subformat=dynamic,force_size=on") != nil)
        let dynamic = try reimage("check", "--profile", "azure", "a.vhd")
        #expect(dynamic.status == 2 && dynamic.text.contains("FAIL  the image is fixed: dynamic"))
        folder.write([UInt8](repeating: 0, count: 4096), to: "a.raw")
        #expect(try reimage("check", "--profile", "azure", "a.raw").status == 63)
    }
}
