import Foundation
import TestSupport
import Testing

/// Disks with partition tables on targets of other sizes and sectors, looked at with others' tools.
@Suite struct RestoreFixUpTests {
    private static let mebibyte = 1 << 20

    /// An image with these partitions by `sfdisk`'s script, and an ext2 in the second, from 5 MiB on.
    private func image(
        _ bench: RestoreBench, label: String, size: Int,
        parts: [String] = ["start=2048, size=8192", "start=10240, size=16384"]
    ) throws -> Bool {
        guard let sfdisk = Program(named: "sfdisk"), let mke2fs = Program(named: "mke2fs") else { return false }
        bench.scratch.write([UInt8](repeating: 0, count: size * Self.mebibyte), to: "in.raw")
        let script = (["label: \(label)"] + parts).joined(separator: "\n") + "\n"
        let made = try sfdisk.run(["-q", "in.raw"], in: bench.scratch.path, input: Data(script.utf8))
        #expect(made.status == 0, "\(made.errors)")
        try FileManager.default.createDirectory(atPath: bench.scratch.file("tree"), withIntermediateDirectories: true)
        bench.scratch.write(pattern(300_000), to: "tree/file")
        let system = try mke2fs.run(
            ["-q", "-F", "-t", "ext2", "-b", "1024", "-d", "tree", "-E", "offset=5242880", "in.raw", "8M"],
            in: bench.scratch.path)
        #expect(system.status == 0, "\(system.errors)")
        return true
    }

    /// Whether table and file system of the disk behind `device`, the loop device of `index`, are sound.
    private func check(_ bench: RestoreBench, _ device: String, _ index: Int = 0, isGPT: Bool = true) throws {
        if isGPT, let sgdisk = Program(named: "sgdisk") {
            let found = try sgdisk.run(["-v", device])
            #expect(found.status == 0 && found.text.contains("No problems found"), "\(found.text)")
        }
        if let sfdisk = Program(named: "sfdisk") {
            let found = try sfdisk.run(["--verify", device])
            #expect(found.status == 0, "\(found.text) \(found.errors)")
        }
        if let fsck = Program(named: "e2fsck") {
            let found = try fsck.run(["-f", "-n", "disk-\(index)?offset=5242880"], in: bench.scratch.path)
            #expect(found.status == 0, "\(found.text) \(found.errors)")
        }
    }

    @Test func aLargerDiskGetsItsBackupTableAtItsEnd() throws {
        guard let bench = RestoreBench(), try image(bench, label: "gpt", size: 16) else { return }
        let original = try #require(bench.scratch.read("in.raw"))
        guard let packed = Tool.output(["gzip", "-1"], input: original) else { return }
        bench.scratch.write(packed, to: "in.raw.gz")
        for source in ["in.raw", "in.raw.gz"] {
            try bench.with([16 * Self.mebibyte, 20 * Self.mebibyte, 33 * Self.mebibyte + 512]) { devices in
                let result = try bench.restore(["--yes", "--no-journal", source] + devices)
                #expect(result.status == 0, "\(result.errors)")
                for (index, device) in devices.enumerated() { try check(bench, device, index) }
                #expect(try same(bench.disk(0), original), "what fits stays as it is")
                #expect(result.text.contains("backup"), "each change is reported: \(result.text)")
            }
        }
    }

    @Test func aSmallerDiskTakesWhatIsInUse() throws {
        guard let bench = RestoreBench(), try image(bench, label: "gpt", size: 24) else { return }
        try bench.with([15 * Self.mebibyte, 12 * Self.mebibyte]) { devices in
            let result = try bench.restore(["--yes", "in.raw", devices[0]])
            #expect(result.status == 0, "\(result.errors)")
            try check(bench, devices[0])
            let refused = try bench.restore(["--yes", "in.raw", devices[1]])
            #expect(refused.status == 3 && refused.errors.contains("partition 2"), "\(refused.errors)")
            let exact = try bench.restore(["--yes", "--fixups", "none", "in.raw", devices[0]])
            #expect(exact.status == 3 && exact.errors.contains("less than the 24 MiB"), "\(exact.errors)")
        }
    }

    @Test func otherSectorsGetATableOfTheirOwn() throws {
        guard let bench = RestoreBench(), try image(bench, label: "gpt", size: 16) else { return }
        try bench.with([20 * Self.mebibyte], sector: 4096) { devices in
            let result = try bench.restore(["--yes", "in.raw"] + devices)
            #expect(result.status == 0, "\(result.errors)")
            try check(bench, devices[0])
        }
    }

    @Test func anMBRDisk() throws {
        guard let bench = RestoreBench(),
            try image(
                bench, label: "dos", size: 16,
                parts: [
                    "start=2048, size=8192", "start=10240, size=16384", "start=26624, type=5", "start=28672, size=1024",
                ])
        else { return }
        try bench.with([16 * Self.mebibyte, 40 * Self.mebibyte]) { devices in
            let result = try bench.restore(["--yes", "--grow-last", "--new-ids", "--journal", "j", "in.raw"] + devices)
            #expect(result.status == 0, "\(result.errors)")
            for (index, device) in devices.enumerated() { try check(bench, device, index, isGPT: false) }
            // The second restore keeps the records of the first one's logical partitions, wherever they are.
            let again = try bench.restore(["--yes", "--fixups", "none", "--journal", "k", "in.raw", devices[0]])
            #expect(again.status == 0, "\(again.errors)")
            let journal = try #require(bench.scratch.read("k"))
            #expect(journal.count > 2 * Self.mebibyte + 512 + 600, "the extended boot record is kept too")
        }
    }

    @Test func newIdsAndAGrownPartition() throws {
        guard let bench = RestoreBench(), let sfdisk = Program(named: "sfdisk"),
            try image(bench, label: "gpt", size: 16)
        else { return }
        func table(_ path: String) throws -> [String: Any] {
            let json = try sfdisk.run(["-J", path], in: bench.scratch.path).json()
            return try #require(json["partitiontable"] as? [String: Any])
        }
        try bench.with([32 * Self.mebibyte]) { devices in
            let flags = ["--yes", "--grow-last", "--new-ids", "--receipt", "r.json"]
            let result = try bench.restore(flags + ["in.raw"] + devices)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.errors.contains("resize2fs"), "it says how to grow the file system: \(result.errors)")
            try check(bench, devices[0])
            let (old, new) = (try table("in.raw"), try table(devices[0]))
            #expect(old["id"] as? String != new["id"] as? String)
            let last = try #require((new["partitions"] as? [[String: Any]])?.last)
            #expect(last["size"] as? Int ?? 0 > 16384)
            let receipt = try JSONSerialization.jsonObject(with: Data(try #require(bench.scratch.read("r.json"))))
            let target = ((receipt as? [String: Any])?["targets"] as? [[String: Any]])?.first
            let kinds = (target?["fix-ups"] as? [[String: Any]])?.compactMap { $0["kind"] as? String } ?? []
            #expect(kinds.contains("disk-id") && kinds.contains("partition-grown"), "\(kinds)")
            let plan = try bench.restore(["--dry-run"] + flags.prefix(3) + ["in.raw"] + devices)
            #expect(plan.text.contains("put right: "), "\(plan.text)")
        }
    }

    @Test func nothingIsPutRightUnlessItIsWanted() throws {
        guard let bench = RestoreBench(), try image(bench, label: "gpt", size: 16) else { return }
        try bench.with([20 * Self.mebibyte]) { devices in
            let result = try bench.restore(["--yes", "--fixups", "none", "in.raw"] + devices)
            #expect(result.status == 0, "\(result.errors)")
            let original = try #require(bench.scratch.read("in.raw"))
            #expect(try same(bench.disk().prefix(16 * Self.mebibyte), original))
            #expect(try bench.restore(["--fixups", "none", "--new-ids", "in.raw"] + devices).status == 64)
        }
    }
}
