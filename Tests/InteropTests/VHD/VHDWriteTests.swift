import Foundation
import ReimageTesting
import TestSupport
import Testing

/// Images that `reimage` writes, read by programs of others.
@Suite struct VHDWriteTests {
    private let folder = Scratch()

    @Test(arguments: VHDWriteRecipe.matrix)
    func isReadByOthers(_ recipe: VHDWriteRecipe) throws {
        let disk = recipe.disk(over: try makeBase(recipe))
        try disk.write(to: URL(fileURLWithPath: folder.file("in.raw")))
        let expected = disk.resized(recipe.byteCount)
        let arguments = ["convert", "-q"] + recipe.arguments
        try run(arguments + ["--verify", "-j", "2", "in.raw", "out.vhd"])
        try checkReaders(of: "out.vhd", expected, recipe)

        let written = folder.read("out.vhd")
        for threads in ["1", "8"] {
            try run(arguments + ["--force", "-j", threads, "in.raw", "out.vhd"])
            #expect(folder.read("out.vhd") == written, "\(threads) threads give other bytes")
        }
        let piped = try run(arguments + ["in.raw", "-"]).output
        if !piped.elementsEqual(written ?? []) {
            try piped.write(to: URL(fileURLWithPath: folder.file("piped.vhd")))
            try checkReaders(of: "piped.vhd", expected, recipe)
        }
        try checkMeasure(recipe, fileByteCount: written?.count ?? 0)
        #expect(firstDifference(try VHDReader.ours("out.vhd", in: folder), expected) == nil)
    }

    /// Azure takes whole MiB, and nothing but fixed disks.
    @Test(arguments: [1, 1 << 20, (1 << 20) + 1, 2_500_096])
    func isWrittenForAzure(_ size: Int) throws {
        let disk = Data(pattern(size))
        try disk.write(to: URL(fileURLWithPath: folder.file("in.raw")))
        try run(["convert", "-q", "-f", "raw", "-O", "vhd", "--profile", "azure", "in.raw", "out.vhd"])
        let expected = disk.resized((size + (1 << 20) - 1) / (1 << 20) * (1 << 20))
        #expect(folder.read("out.vhd")?.count == expected.count + 512)
        try checkReaders(of: "out.vhd", expected, VHDWriteRecipe(index: 0, size: size))
    }

    /// Whoever reads the image reads all of the disk, and no more.
    ///
    /// qemu ignores parents, and neither of the others reads past the end of a shorter one; see `VHDException`.
    private func checkReaders(of name: String, _ expected: Data, _ recipe: VHDWriteRecipe) throws {
        let isChild = recipe.base != nil
        for reader in VHDReader.allCases where !isChild || reader != .qemu {
            guard let reading = try reader.read(name, in: folder) else { continue }
            if case .refusal = reading, isChild, recipe.baseSize < recipe.size { continue }
            #expect(firstDifference(try reading.disk, expected) == nil, "\(reader.rawValue): \(name)")
        }
        guard !isChild, let workshop = Workshop.standard else { return }
        let output = try workshop.img.succeed(["info", "--output=json", "-f", "vpc", name], in: folder).output
        let info = try #require(JSONSerialization.jsonObject(with: output) as? [String: Any])
        #expect(info["virtual-size"] as? Int == expected.count)
    }

    /// What lies below, and its disk.
    private func makeBase(_ recipe: VHDWriteRecipe) throws -> Data {
        guard let base = recipe.base else { return Data() }
        var below = VHDWriteRecipe(index: recipe.index + 1000, size: recipe.baseSize)
        let first = below.disk(over: Data())
        try first.write(to: URL(fileURLWithPath: folder.file("base.raw")))
        let subformat = base == .fixed ? "fixed" : "dynamic"
        let name = base == .differencing ? "first.vhd" : "base.vhd"
        try run(["convert", "-q", "-f", "raw", "-O", "vhd", "-o", "subformat=\(subformat)", "base.raw", name])
        guard base == .differencing else { return first }
        below.index += 1000
        let second = below.disk(over: first)
        try second.write(to: URL(fileURLWithPath: folder.file("base.raw")))
        let flags = ["-f", "raw", "-O", "vhd", "-b", "first.vhd", "-F", "vhd"]
        try run(["convert", "-q"] + flags + ["base.raw", "base.vhd"])
        return second
    }

    /// `measure` says the length, but for an image on another, whose blocks it does not compare.
    private func checkMeasure(_ recipe: VHDWriteRecipe, fileByteCount: Int) throws {
        let output = try run(["measure", "-q", "--json"] + recipe.arguments + ["in.raw"]).output
        let measure = try #require(JSONSerialization.jsonObject(with: output) as? [String: Any])
        let required = try #require(measure["required"] as? Int)
        let most = try #require(measure["fully-allocated"] as? Int)
        #expect(recipe.base == nil ? fileByteCount == required : fileByteCount <= required)
        #expect(required <= most)
    }

    @discardableResult
    private func run(_ arguments: [String]) throws -> ProgramResult {
        let reimage = try #require(Program.reimage)
        let result = try reimage.run(arguments, in: folder.path, environment: ["SOURCE_DATE_EPOCH": "1700000000"])
        try #require(result.status == 0, "\(arguments): \(result.errors)")
        return result
    }
}
