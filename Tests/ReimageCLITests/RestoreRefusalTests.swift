import Foundation
import TestSupport
import Testing

/// What `reimage restore` must not do: every rule, with its exit code, and an untouched disk.
@Suite struct RestoreRefusalTests {
    private static let mebibyte = 1 << 20

    /// Runs `body` with a device of 8 MiB and an image of 4; no byte of the disk may change by it, and nothing is kept.
    private func refused(
        _ body: (RestoreBench, _ device: String) throws -> ProgramResult?, because reason: String, status: Int32 = 3
    ) throws {
        guard let bench = RestoreBench() else { return }
        bench.scratch.write(pattern(4 * Self.mebibyte), to: "in.raw")
        try bench.with([8 * Self.mebibyte]) { devices in
            guard let result = try body(bench, devices[0]) else { return }
            #expect(result.status == status, "\(reason): \(result.errors)")
            #expect(result.errors.contains(reason), "\(result.errors)")
            #expect(result.errors.split(separator: "\n").count > 1, "it must say what to do: \(result.errors)")
            // A restore that had begun would have made the head zeros before all else.
            #expect(try !bench.disk().prefix(Self.mebibyte).holdsOnly(0))
            #expect(bench.journals.isEmpty)
        }
    }

    private func image(_ bench: RestoreBench, _ device: String, _ flags: [String] = ["--yes"]) throws -> ProgramResult {
        try bench.restore(flags + ["-f", "raw", "in.raw", device])
    }

    @Test func whatNobodyConfirmed() throws {
        try refused({ try image($0, $1, []) }, because: "nobody confirmed")
        try refused({ try image($0, $1, ["--confirm", "WRONG-SERIAL"]) }, because: "identifies none")
        try refused({ try image($0, $1, ["--yes", "--confirm", "7MiB"]) }, because: "identifies none")
    }

    @Test func theSizeConfirmsWhatHasNoSerial() throws {
        guard let bench = RestoreBench() else { return }
        bench.scratch.write(pattern(4 * Self.mebibyte), to: "in.raw")
        try bench.with([8 * Self.mebibyte]) { devices in
            let result = try image(bench, devices[0], ["-q", "--confirm", "8MiB"])
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test func whatIsNoDevice() throws {
        try refused(
            { bench, _ in try image(bench, bench.scratch.write([1], to: "file")) }, because: "reimage convert")
        try refused({ bench, _ in try image(bench, "/dev/reimage-none") }, because: "there is no such device")
        try refused({ bench, _ in try image(bench, "/dev/null") }, because: "lies below /dev, but is no block device")
        #expect(!FileManager.default.fileExists(atPath: "/dev/reimage-none"), "a missing node must not be made")
        try refused({ try $0.restore(["--yes", "-f", "raw", "in.raw", $1, $1]) }, because: "is named twice")
    }

    @Test func whatIsTooSmall() throws {
        try refused(
            { bench, device in
                bench.scratch.write(pattern(9 * Self.mebibyte), to: "in.raw")
                return try image(bench, device)
            }, because: "needs 9437184 bytes, 1048576 more than the target has")
    }

    @Test func whatHoldsTheSourceOrIsIt() throws {
        try refused({ try $0.restore(["--yes", "-f", "raw", $1, $1]) }, because: "it is the source itself")
        try refused(
            { bench, device in
                try bench.restore(["--yes", "-f", "raw", "disk-0", device])
            }, because: "loop device on the source")
    }

    /// The disk that this very system runs from. A plan is all that is asked for: were the rule broken, nothing happens.
    @Test func theSystemsOwnDisk() throws {
        guard let bench = RestoreBench() else { return }
        let all = try JSONSerialization.jsonObject(with: bench.reimage.run(["devices", "--json", "--all"]).output)
        let system = (all as? [[String: Any]] ?? []).first { device in
            (device["restore-refusals"] as? [[String: Any]] ?? []).contains { $0["reason"] as? String == "system-disk" }
        }
        guard let path = system?["path"] as? String else {
            return print("skipped: the system lies on no disk of this machine, as in a container")
        }
        bench.scratch.write(pattern(Self.mebibyte), to: "in.raw")
        for flags in [
            ["--dry-run"], ["--dry-run", "--yes", "--fixups", "none"], ["--dry-run", "--delta", "--no-journal"],
        ] {
            let result = try bench.restore(flags + ["-f", "raw", "in.raw", path])
            #expect(result.status == 3 && result.errors.contains("the running system lies on it"), "\(result.errors)")
            #expect(result.errors.contains("Start the machine from another medium"), "\(result.errors)")
        }
        let capture = try bench.reimage.run(["capture", path, "out.rimg"], in: bench.scratch.path)
        #expect(capture.status == 3 && capture.errors.contains("--live"), "\(capture.errors)")
        // What is written on the way lies on that disk too, here.
        let live = try bench.reimage.run(["capture", "--live", path, "/boot/reimage-none.rimg"])
        #expect(live.status == 3 && live.errors.contains("lies on it"), "\(live.errors)")
        #expect(bench.scratch.names == ["in.raw"] && bench.journals.isEmpty)
    }

    /// Journal, receipt and image must not lie on the disk, nor be the file that it stands for.
    @Test func whatHoldsTheFilesThatAreNeeded() throws {
        try refused(
            { try image($0, $1, ["--yes", "--journal", "disk-0"]) }, because: "a loop device on the journal, disk-0")
        try refused(
            { try image($0, $1, ["--yes", "--receipt", "disk-0"]) }, because: "a loop device on the receipt, disk-0")
        guard let mount = Program(named: "mount"), let umount = Program(named: "umount"),
            let mkfs = Program(named: "mke2fs")
        else { return }
        for (flags, source, reason) in [
            (["--journal", "there/journal"], "in.raw", "the journal, there/journal, lies on it"),
            (["--receipt", "there/receipt"], "in.raw", "the receipt, there/receipt, lies on it"),
            ([], "there/in.raw", "the source, there/in.raw, lies on it"),
        ] {
            try refused(
                { bench, device in
                    #expect(try mkfs.run(["-q", "-F", device]).status == 0)
                    let place = bench.scratch.file("there")
                    try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
                    guard try mount.run([device, place]).status == 0 else {
                        print("skipped: a file system cannot be mounted here")
                        return nil
                    }
                    defer { _ = try? umount.run([place]) }
                    bench.scratch.write(pattern(Self.mebibyte), to: "there/in.raw")
                    return try bench.restore(["--yes"] + flags + ["-f", "raw", source, device])
                }, because: reason)
        }
    }

    @Test func whatIsMountedOrHeld() throws {
        guard let mount = Program(named: "mount"), let umount = Program(named: "umount"),
            let mkfs = Program(named: "mke2fs"), let losetup = Program(named: "losetup")
        else { return }
        try refused(
            { bench, device in
                #expect(try mkfs.run(["-q", "-F", device]).status == 0)
                try FileManager.default.createDirectory(
                    atPath: bench.scratch.file("there"), withIntermediateDirectories: true)
                guard try mount.run([device, bench.scratch.file("there")]).status == 0 else {
                    print("skipped: a file system cannot be mounted here")
                    return nil
                }
                defer { _ = try? umount.run([bench.scratch.file("there")]) }
                // Even a journal of it cannot make it go on.
                return try image(bench, device)
            }, because: "it is mounted at")
        try refused(
            { bench, device in
                let upper = try losetup.run(["-f", "--show", device])
                guard upper.status == 0 else { return nil }
                defer { _ = try? losetup.run(["-d", upper.text]) }
                return try image(bench, device)
            }, because: "held by loop device")
    }

    @Test func whatIsSwappedToOrOpenExclusively() throws {
        guard let mkswap = Program(named: "mkswap"), let swapon = Program(named: "swapon"),
            let swapoff = Program(named: "swapoff")
        else { return }
        try refused(
            { bench, device in
                #expect(try mkswap.run([device]).status == 0)
                guard try swapon.run([device]).status == 0 else {
                    print("skipped: there can be no swap here")
                    return nil
                }
                defer { _ = try? swapoff.run([device]) }
                return try image(bench, device)
            }, because: "the system swaps to it")
        try refused(
            { bench, device in
                let held = unsafe open(device, O_RDONLY | O_EXCL)
                defer { close(held) }
                return try image(bench, device)
            }, because: "another process holds it")
    }

    @Test func whatIsReadOnly() throws {
        guard let blockdev = Program(named: "blockdev") else { return }
        try refused(
            { bench, device in
                #expect(try blockdev.run(["--setro", device]).status == 0)
                defer { _ = try? blockdev.run(["--setrw", device]) }
                return try image(bench, device)
            }, because: "it is read-only")
    }

    @Test func wrongUsage() throws {
        guard let bench = RestoreBench() else { return }
        for arguments in [
            ["in.raw"], [], ["--resume", "j", "--no-journal", "a", "/dev/b"], ["--undo", "j", "a", "b"],
        ] {
            #expect(try bench.restore(arguments).status == 64, "\(arguments)")
        }
    }
}
