import Foundation
import ReimageTesting
import TestSupport
import Testing

/// A disk as machines have it, from the device into an archive and onto a larger one.
@Suite(.serialized) struct WholeDiskTests {
    private static let mebibyte = 1 << 20
    /// Where each partition starts and how long it is, in MiB.
    private static let parts = [
        (name: "esp", start: 1, count: 34, type: "U"), (name: "root", start: 35, count: 40, type: "L"),
        (name: "swap", start: 75, count: 4, type: "S"),
        (name: "data", start: 79, count: 16, type: "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"),
    ]

    /// What is on the disk besides the file systems' own structures.
    private let content = PatternDisk.bytes(count: 3_000_000, seed: 21)

    private func place(_ name: String) -> (start: Int, count: Int) {
        let part = Self.parts.first { $0.name == name }
        return ((part?.start ?? 0) * Self.mebibyte, (part?.count ?? 0) * Self.mebibyte)
    }

    /// Makes `disk`, of 96 MiB; `false`, with the reason printed, where a tool is missing.
    private func make(_ bench: RestoreBench) throws -> Bool {
        let tools = ["mkfs.vfat", "mke2fs", "mkswap", "mkfs.ntfs", "ntfscp", "sfdisk"].map { Program(named: $0) }
        guard !tools.contains(where: { $0 == nil }) else { return false }
        func run(_ tool: Int, _ arguments: [String], input: Data? = nil) throws {
            let result = try #require(tools[tool]).run(arguments, in: bench.scratch.path, input: input)
            try #require(result.status == 0, "\(arguments): \(result.errors)")
        }
        for part in Self.parts {
            bench.scratch.write([UInt8](repeating: 0, count: part.count * Self.mebibyte), to: part.name)
        }
        bench.scratch.write(content, to: "content")
        try FileManager.default.createDirectory(
            atPath: bench.scratch.file("tree/deep"), withIntermediateDirectories: true)
        bench.scratch.write(content, to: "tree/deep/content")
        try run(0, ["-n", "ESP", "-i", "5EED0001", "esp"])
        try run(1, ["-q", "-F", "-t", "ext4", "-d", "tree", "root"])
        try run(2, ["swap"])
        try run(3, ["-q", "-F", "-Q", "-L", "DATA", "data"])
        try run(4, ["-f", "-q", "data", "content", "content"])
        bench.scratch.write([UInt8](repeating: 0, count: 96 * Self.mebibyte), to: "disk")
        let script = Self.parts.map { "start=\($0.start)MiB, size=\($0.count)MiB, type=\($0.type)" }
        try run(5, ["-q", "disk"], input: Data((["label: gpt"] + script).joined(separator: "\n").utf8))
        let file = try #require(FileHandle(forWritingAtPath: bench.scratch.file("disk")))
        for part in Self.parts {
            try file.seek(toOffset: UInt64(part.start * Self.mebibyte))
            try file.write(contentsOf: Data(try #require(bench.scratch.read(part.name))))
        }
        try file.close()
        return true
    }

    @Test func throughAnArchiveOntoALargerDisk() throws {
        guard let bench = RestoreBench(), try make(bench) else { return }
        let original = try #require(bench.scratch.read("disk"))
        try bench.with(file: bench.scratch.file("disk")) { device in
            let result = try bench.reimage.run(["capture", "--verify", device, "disk.rimg"], in: bench.scratch.path)
            #expect(result.status == 0, "\(result.errors)")
            let digest = try bench.reimage.run(["digest", "-f", "raw", device])
            #expect(digest.text.hasPrefix(result.text), "\(digest.text) is not \(result.text)")
        }
        try bench.with([original.count, 130 * Self.mebibyte]) { devices in
            let result = try bench.restore(["--yes", "--json", "disk.rimg"] + devices)
            #expect(result.status == 0, "\(result.errors)")
            let json = try result.json()
            let targets = try #require(json["targets"] as? [[String: Any]])
            let digest = (json["source"] as? [String: Any])?["digest"] as? String
            #expect(targets[0]["digest"] as? String == digest && targets[1]["digest"] as? String != digest)
            #expect((targets[0]["fix-ups"] as? [Any])?.isEmpty == true)
            let kinds = (targets[1]["fix-ups"] as? [[String: Any]] ?? []).compactMap { $0["kind"] as? String }
            #expect(!kinds.isEmpty, "\(targets[1])")
            #expect(try same(bench.disk(0), original))
            // Of the larger one only the tables are otherwise: those at the start, and where the old backup was.
            let larger = try bench.disk(1)
            let (first, last) = (Self.mebibyte, 95 * Self.mebibyte)
            #expect(same(larger[first..<last], original[first..<last]))
            for (index, device) in devices.enumerated() { try check(bench, device, "disk-\(index)") }
        }
    }

    /// Tables, file systems and files of the restored disk, by others' tools.
    private func check(_ bench: RestoreBench, _ device: String, _ name: String) throws {
        if let sgdisk = Program(named: "sgdisk") {
            let found = try sgdisk.run(["-v", device])
            #expect(found.status == 0 && found.text.contains("No problems found"), "\(found.text)")
        }
        let verified = try Program(named: "sfdisk")?.run(["--verify", device])
        #expect(verified?.status == 0, "\(verified?.text ?? "") \(verified?.errors ?? "")")
        let disk = try #require(bench.scratch.read(name))
        for part in Self.parts {
            let (start, count) = place(part.name)
            bench.scratch.write(Array(disk[start..<start + count]), to: "part")
            switch part.name {
            case "esp": try expectClean(bench, "fsck.vfat", ["-n", "part"])
            case "root":
                try expectClean(bench, "e2fsck", ["-f", "-n", "part"])
                try compareMounted(bench)
            case "data":
                try expectClean(bench, "ntfsfix", ["-n", "part"])
                let file = try Program(named: "ntfscat")?.run(["-f", "part", "content"], in: bench.scratch.path)
                #expect(file.map { same($0.output, content) } ?? true)
            default: #expect(disk[start + 4086..<start + 4096].elementsEqual("SWAPSPACE2".utf8))
            }
        }
    }

    private func expectClean(_ bench: RestoreBench, _ tool: String, _ arguments: [String]) throws {
        guard let found = try Program(named: tool)?.run(arguments, in: bench.scratch.path) else { return }
        #expect(found.status == 0, "\(tool): \(found.text) \(found.errors)")
    }

    private func compareMounted(_ bench: RestoreBench) throws {
        guard let mount = Program(named: "mount"), let umount = Program(named: "umount") else { return }
        try bench.with(file: bench.scratch.file("part")) { device in
            let place = bench.scratch.file("mounted")
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
            guard try mount.run(["-t", "ext4", "-o", "ro", device, place]).status == 0 else {
                return print("skipped: a file system cannot be mounted here")
            }
            defer { _ = try? umount.run([place]) }
            #expect(bench.scratch.read("mounted/deep/content").map { same($0, content) } == true)
        }
    }
}
