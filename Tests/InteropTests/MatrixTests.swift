import Foundation
import ReimageSystem
import TestSupport
import Testing

/// Generated images of every kind that qemu's tools make, read by `reimage` and by qemu itself.
@Suite struct MatrixTests {
    @Test(arguments: Recipe.matrix)
    func readsAsQemuDoes(_ recipe: Recipe) throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        let made = try workshop.make(recipe)

        try reimage.succeed(["convert", "-q", "-f", "qcow2", made.name, "result.raw"], in: made.folder)
        let result = try #require(FileManager.default.contents(atPath: made.folder.file("result.raw")))
        let expected = try #require(FileManager.default.contents(atPath: made.folder.file(made.expectedName)))
        #expect(result.count == made.byteCount)
        #expect(firstDifference(result, expected.prefix(made.byteCount)) == nil)

        let map = try reimage.succeed(["map", "--json", "-f", "qcow2", made.name], in: made.folder).output
        let ours = try DiskMap(json: map, byteCount: made.byteCount)
        let theirs = try DiskMap(json: made.map, byteCount: made.byteCount)
        #expect(ours.firstDifference(to: theirs) == nil)

        #expect(try allocated(made.folder.file("result.raw")) <= allocated(made.folder.file(made.expectedName)))
    }

    /// 7-Zip reads the part of the format that was there at its time.
    @Test(arguments: Recipe.plain)
    func readsAsSevenZipDoes(_ recipe: Recipe) throws {
        guard let workshop = Workshop.standard, let sevenZip = Program(named: "7z") else { return }
        let reimage = try #require(Program.reimage)
        let made = try workshop.make(recipe, writesOnly: true)
        let theirs = try sevenZip.succeed(["x", "-tqcow", "-so", made.name], in: made.folder).output
        try reimage.succeed(["convert", "-q", "-f", "qcow2", made.name, "result.raw"], in: made.folder)
        let ours = try #require(FileManager.default.contents(atPath: made.folder.file("result.raw")))
        #expect(firstDifference(ours, theirs) == nil)
    }

    /// A disk as it was at two moments, and as it is.
    @Test(arguments: Recipe.snapshots)
    func readsSnapshotsAsQemuDoes(_ recipe: Recipe) throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        let made = try workshop.make(recipe)
        let seed = UInt64(recipe.index) << 8
        for (moment, name) in ["one", "two"].enumerated() {
            try workshop.img.succeed(["snapshot", "-c", name, made.name], in: made.folder)
            try workshop.alter(made.name, of: recipe.top, seed: seed + UInt64(moment), in: made.folder)
        }
        for snapshot in [["-l", "one"], ["-l", "two"], ["-l", "1"], []] {
            let arguments = ["-f", "qcow2", "-O", "raw"] + snapshot + [made.name]
            try workshop.img.succeed(["convert"] + arguments + ["expected.raw"], in: made.folder)
            try reimage.succeed(["convert", "-q", "--force"] + arguments + ["result.raw"], in: made.folder)
            let ours = try #require(FileManager.default.contents(atPath: made.folder.file("result.raw")))
            let theirs = try #require(FileManager.default.contents(atPath: made.folder.file("expected.raw")))
            #expect(firstDifference(ours, theirs) == nil, "\(snapshot)")
        }
    }

    /// The file's blocks once everything is on the disk.
    private func allocated(_ path: String) throws -> UInt64 {
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        try file.synchronize()
        try file.close()
        return try #require(FileStore(path: path).allocatedByteCount)
    }
}

/// Where two disks first differ; `nil` where they are equal.
func firstDifference(_ ours: Data, _ theirs: Data) -> String? {
    guard ours != theirs else { return nil }
    let place = zip(ours, theirs).prefix { $0 == $1 }.count
    return "lengths \(ours.count) and \(theirs.count), first difference at \(place)"
}
