import Foundation
import ReimageTesting
import TestSupport
import Testing

/// `reimage restore` on loop devices.
@Suite struct RestoreTests {
    private static let mebibyte = 1 << 20

    /// Blocks that all differ, and two MiB of zeros.
    private func disk(_ count: Int) -> [UInt8] {
        let noise = PatternDisk.bytes(count: 64 << 10, seed: 3)
        var bytes: [UInt8] = []
        for number in 0...count / noise.count {
            let isZero = 32..<64 ~= number
            bytes += isZero ? [UInt8](repeating: 0, count: noise.count) : noise
            if !isZero { bytes[bytes.count - noise.count] = UInt8(truncatingIfNeeded: number + 1) }
        }
        bytes.removeLast(bytes.count - count)
        return bytes
    }

    /// Every format, on both sector sizes, onto a disk of the same length and a longer one.
    @Test(arguments: [512, 4096])
    func everyFormat(_ sector: Int) throws {
        guard let bench = RestoreBench() else { return }
        let bytes = disk(6 * Self.mebibyte)
        bench.scratch.write(bytes, to: "in.raw")
        for format in ["raw", "qcow2", "vhd", "rimg"] {
            let image = "in.\(format)"
            if format != "raw" {
                let made = try bench.reimage.run(
                    ["convert", "-q", "-f", "raw", "-O", format, "in.raw", image], in: bench.scratch.path)
                #expect(made.status == 0, "\(made.errors)")
            }
            try bench.with([6 * Self.mebibyte, 9 * Self.mebibyte], sector: sector) { devices in
                let result = try bench.restore(["-q", "--yes", "-f", format, "--json", image] + devices)
                #expect(result.status == 0, "\(format): \(result.errors)")
                #expect(try same(bench.disk(0), bytes))
                let longer = try bench.disk(1)
                #expect(same(Array(longer.prefix(bytes.count)), bytes))
                // Only the end is wiped, where old tables and signatures lie.
                #expect(longer[6 * Self.mebibyte..<7 * Self.mebibyte].holdsOnly(0xEE))
                #expect(longer.suffix(Self.mebibyte).holdsOnly(0), "the old backup table is gone")
                let json = try result.json()
                let source = try #require(json["source"] as? [String: Any])
                let targets = try #require(json["targets"] as? [[String: Any]])
                #expect(targets.count == 2 && targets.allSatisfy { $0["complete"] as? Bool == true })
                #expect(targets.allSatisfy { $0["verification"] as? String == "passed" })
                #expect(targets[0]["digest"] as? String == source["digest"] as? String)
                let digest = try bench.reimage.run(["digest", "-f", "raw", "in.raw"], in: bench.scratch.path)
                #expect(source["digest"] as? String == digest.text)
                #expect((targets[0]["discarded-bytes"] as? Int ?? 0) > 0, "zeros are discarded on a loop device")
            }
        }
    }

    @Test func aCompressedStreamAndStandardInput() throws {
        guard let bench = RestoreBench(),
            let packed = Tool.output(["gzip", "-1"], input: disk(5 * Self.mebibyte + 512))
        else { return }
        let bytes = disk(5 * Self.mebibyte + 512)
        let path = bench.scratch.write(packed, to: "in.raw.gz")
        try bench.with([6 * Self.mebibyte]) { devices in
            let file = try bench.restore(["--yes", path] + devices)
            #expect(file.status == 0, "\(file.errors)")
            #expect(same(Array(try bench.disk().prefix(bytes.count)), bytes))
        }
        try bench.with([6 * Self.mebibyte]) { devices in
            let piped = try bench.restore(["-q", "--yes", "-"] + devices, input: Data(packed))
            #expect(piped.status == 0, "\(piped.errors)")
            #expect(same(Array(try bench.disk().prefix(bytes.count)), bytes))
            for flags in [["--delta"], ["--resume", bench.journals.first ?? ""]] {
                let refused = try bench.restore(flags + ["--yes", "-"] + devices, input: Data(packed))
                #expect(refused.status == 63 && refused.errors.contains("comes in order"), "\(refused.errors)")
            }
        }
        // It is too long: that shows only as it flows, and leaves no disk.
        try bench.with([4 * Self.mebibyte]) { devices in
            let result = try bench.restore(["--yes", "-f", "raw", "-"] + devices, input: Data(bytes))
            #expect(result.status == 5 && result.errors.contains("the image is longer"), "\(result.errors)")
            #expect(try bench.disk().prefix(Self.mebibyte).holdsOnly(0))
        }
    }

    @Test func aReceiptSaysWhatWasDone() throws {
        guard let bench = RestoreBench() else { return }
        bench.scratch.write(disk(5 * Self.mebibyte), to: "in.raw")
        try bench.with([5 * Self.mebibyte]) { devices in
            let arguments = ["-q", "--yes", "--receipt", "receipt.json", "-f", "raw", "in.raw"] + devices
            #expect(try bench.restore(arguments).status == 0)
            let receipt =
                try JSONSerialization.jsonObject(
                    with: Data(try #require(bench.scratch.read("receipt.json")))) as? [String: Any]
            let target = try #require((receipt?["targets"] as? [[String: Any]])?.first)
            #expect((receipt?["tool"] as? String)?.hasPrefix("reimage ") == true)
            #expect((target["device"] as? [String: Any])?["path"] as? String == devices[0])
            #expect((target["device"] as? [String: Any])?["size"] as? Int == 5 * Self.mebibyte)
            #expect(target["verified-bytes"] as? Int ?? 0 >= 5 * Self.mebibyte)
            #expect(bench.scratch.names.contains("receipt.json.journal"), "the journal lies beside the receipt")
            // Neither is written over.
            let again = try bench.restore(arguments)
            #expect(again.status == 3 && again.errors.contains("receipt.json"), "\(again.errors)")
        }
    }

    @Test func aDeltaWritesWhatDiffers() throws {
        guard let bench = RestoreBench() else { return }
        var bytes = disk(6 * Self.mebibyte)
        for (name, format) in [("in.raw", "raw"), ("in.rimg", "rimg")] {
            try bench.with([6 * Self.mebibyte]) { devices in
                bench.scratch.write(bytes, to: "in.raw")
                #expect(try bench.restore(["-q", "--yes", "-f", "raw", "in.raw"] + devices).status == 0)
                bytes[4 * Self.mebibyte + 100_000] ^= 0xFF
                bench.scratch.write(bytes, to: "in.raw")
                if format == "rimg" {
                    let convert = ["convert", "-q", "-f", "raw", "-O", "rimg", "in.raw", "in.rimg"]
                    #expect(try bench.reimage.run(convert, in: bench.scratch.path).status == 0)
                }
                let arguments = ["-q", "--yes", "--no-journal", "--delta", "--json", "-f", format, name]
                let result = try bench.restore(arguments + devices)
                #expect(result.status == 0, "\(result.errors)")
                let target = try #require((try result.json()["targets"] as? [[String: Any]])?.first)
                // Both ends twice, and one leaf.
                #expect(target["written-bytes"] as? Int == 4 * Self.mebibyte + 65536)
                #expect(target["kept-bytes"] as? Int == 4 * Self.mebibyte - 65536)
                #expect(try same(bench.disk(), bytes))
            }
        }
    }

    @Test func undoPutsTheOldTablesBack() throws {
        guard let bench = RestoreBench() else { return }
        bench.scratch.write(disk(5 * Self.mebibyte), to: "in.raw")
        try bench.with([5 * Self.mebibyte, 5 * Self.mebibyte]) { devices in
            let arguments = ["-q", "--yes", "--journal", "way-back", "-f", "raw", "in.raw", devices[0]]
            #expect(try bench.restore(arguments).status == 0)
            // Neither another disk nor one that nobody confirmed.
            let other = try bench.restore(["--yes", "--undo", "way-back", devices[1]])
            #expect(other.status == 3 && other.errors.contains("the journal is of a disk with"), "\(other.errors)")
            let asked = try bench.restore(["--undo", "way-back"])
            #expect(asked.status == 3 && asked.errors.contains("nobody confirmed"), "\(asked.errors)")
            let undone = try bench.restore(["--yes", "--undo", "way-back"])
            #expect(undone.status == 0 && undone.text.contains("put back and verified  2 MiB"), "\(undone.errors)")
            let now = try bench.disk()
            #expect(now.prefix(Self.mebibyte).holdsOnly(0xEE))
            #expect(now.suffix(Self.mebibyte).holdsOnly(0xEE))
            #expect(now[2 * Self.mebibyte - 1] != 0xEE || now[Self.mebibyte] != 0xEE)
            let none = bench.scratch.write(pattern(5000), to: "no-journal")
            let wrong = try bench.restore(["--yes", "--undo", none])
            #expect(wrong.status == 4 && wrong.errors.contains("is no journal"), "\(wrong.errors)")
        }
    }

    @Test func aDryRunTellsThePlanAndWritesNothing() throws {
        guard let bench = RestoreBench() else { return }
        bench.scratch.write(disk(5 * Self.mebibyte), to: "in.raw")
        try bench.with([7 * Self.mebibyte]) { devices in
            let before = try bench.disk()
            let text = try bench.restore(["--dry-run", "-f", "raw", "in.raw"] + devices)
            #expect(text.status == 0, "\(text.errors)")
            for part in [
                "image: in.raw, raw, 5 MiB", "device: \(devices[0]), 7 MiB", "kept for undoing", "Nothing was written",
            ] {
                #expect(text.text.contains(part), "\(part) in \(text.text)")
            }
            let json = try bench.restore(["--dry-run", "--json", "-f", "raw", "in.raw"] + devices).json()
            #expect((json["source"] as? [String: Any])?["virtual-size"] as? Int == 5 * Self.mebibyte)
            #expect(try same(bench.disk(), before) && bench.journals.isEmpty)
        }
    }

    /// Of four disks one runs out of room in the midst: the others are complete, and it holds no disk.
    @Test func oneOfFourFailsMidway() throws {
        guard let bench = RestoreBench(), let mount = Program(named: "mount"), let umount = Program(named: "umount"),
            let losetup = Program(named: "losetup")
        else { return }
        let bytes = disk(8 * Self.mebibyte)
        bench.scratch.write(bytes, to: "in.raw")
        let small = bench.scratch.file("small")
        try FileManager.default.createDirectory(atPath: small, withIntermediateDirectories: false)
        guard try mount.run(["-t", "tmpfs", "-o", "size=4m", "tmpfs", small]).status == 0 else {
            return print("skipped: a tmpfs cannot be mounted here")
        }
        defer { _ = try? umount.run([small]) }
        _ = FileManager.default.createFile(atPath: small + "/disk", contents: nil)
        try FileHandle(forWritingTo: URL(fileURLWithPath: small + "/disk")).truncate(atOffset: 8 << 20)
        let made = try losetup.run(["-f", "--show", small + "/disk"])
        guard made.status == 0 else { return print("skipped: no loop device can be had: \(made.errors)") }
        defer { _ = try? losetup.run(["-d", made.text]) }
        try bench.with([8 * Self.mebibyte, 9 * Self.mebibyte, 8 * Self.mebibyte]) { devices in
            let result = try bench.restore(
                ["--yes", "-f", "raw", "in.raw", devices[0], made.text, devices[1], devices[2]])
            #expect(result.status == 5, "\(result.errors)")
            // What was put right stands indented below a target's row.
            let rows = result.text.split(separator: "\n").filter { !$0.hasPrefix(" ") }
            #expect(
                rows.count == 4 && rows.filter { $0.contains("restored and verified") }.count == 3, "\(result.text)")
            #expect(rows[1].hasPrefix(made.text) && rows[1].contains("FAILED"))
            #expect(result.errors.contains("\(made.text): ") && result.errors.contains("--resume"), "\(result.errors)")
            for index in 0..<3 { #expect(same(Array(try bench.disk(index).prefix(bytes.count)), bytes)) }
            let failed = try #require(FileManager.default.contents(atPath: small + "/disk"))
            #expect([UInt8](failed)[..<Self.mebibyte].holdsOnly(0))
        }
    }

    /// On a terminal the end of the serial number, or the size, is asked for; anything else is no consent.
    @Test(arguments: [("8 MiB", Int32(0)), ("y", 3), ("", 3)])
    func asksOnATerminal(_ answer: String, _ status: Int32) throws {
        guard let bench = RestoreBench(), let python = Program(named: "python3") else { return }
        bench.scratch.write(disk(6 * Self.mebibyte), to: "in.raw")
        let script = """
            import os, pty, sys, time
            pid, terminal = pty.fork()
            if pid == 0:
                os.execv(sys.argv[2], sys.argv[2:])
            seen = b""
            while b"To go on" not in seen:
                seen += os.read(terminal, 4096)
            os.write(terminal, sys.argv[1].encode() + b"\\n")
            try:
                while True:
                    piece = os.read(terminal, 4096)
                    if not piece: break
                    seen += piece
            except OSError:
                pass
            print(seen.decode(errors="replace"))
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            """
        try bench.with([8 * Self.mebibyte]) { devices in
            let before = try bench.disk()
            let result = try python.run(
                ["-c", script, answer, bench.reimage.path, "restore", "-f", "raw", "in.raw", devices[0]],
                in: bench.scratch.path, environment: bench.environment, seconds: 30)
            #expect(result.status == status, "\(result.text) \(result.errors)")
            #expect(result.text.contains("\(devices[0]): 8 MiB") && result.text.contains("type its size"))
            #expect(try (same(bench.disk(), before)) == (status != 0))
        }
    }
}
