import Foundation
import TestSupport
import Testing

/// Conversions within XFS and btrfs, where plain data goes over by sharing its blocks.
@Suite(.serialized) struct ReflinkConversionTests {
    /// A file system of its own over a loop device, unmounted at the end.
    private final class Mounted {
        let scratch = Scratch()
        let folder: String
        private let umount: Program

        /// `nil`, with the reason printed, where it cannot be had.
        init?(_ kind: String) throws {
            guard getuid() == 0, let make = Program(named: "mkfs.\(kind)"), let mount = Program(named: "mount"),
                let umount = Program(named: "umount")
            else {
                print("skipped: a \(kind) of one's own needs root, mkfs.\(kind) and mount")
                return nil
            }
            self.umount = umount
            folder = scratch.file("mounted")
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let image = try FileHandle(forWritingTo: URL(fileURLWithPath: scratch.write([], to: "image")))
            try image.truncate(atOffset: 400 << 20)
            try image.close()
            let made = try make.run(["-q", scratch.file("image")])
            let mounted = try mount.run(["-o", "loop", "-t", kind, scratch.file("image"), folder])
            guard made.status == 0, mounted.status == 0 else {
                print("skipped: no \(kind) can be made or mounted: \(made.errors)\(mounted.errors)")
                return nil
            }
        }

        deinit { _ = try? umount.run([folder]) }

        @discardableResult
        func succeed(_ program: Program?, _ arguments: [String]) throws -> ProgramResult {
            let result = try #require(program).run(arguments, in: folder)
            try #require(result.status == 0, "\(arguments): \(result.errors)\(result.text)")
            return result
        }

        /// How many bytes of the file at `name` are shared with another.
        func sharedByteCount(_ name: String) throws -> Int {
            let text = try succeed(Program(named: "filefrag"), ["-v", "-b4096", name]).text
            return text.split(separator: "\n").filter { $0.contains("shared") }.reduce(0) { sum, line in
                sum + 4096 * (Int(line.split(separator: ":")[3].trimmingCharacters(in: .whitespaces)) ?? 0)
            }
        }

        /// Puts a disk of data, holes, stored zeros and an odd end at `name`.
        func writeDisk(_ name: String) throws {
            _ = FileManager.default.createFile(atPath: folder + "/" + name, contents: nil)
            let file = try FileHandle(forWritingTo: URL(fileURLWithPath: folder + "/" + name))
            for (start, bytes) in [
                (0, pattern(3 << 20)), (5 << 20, pattern(70_000)), (9 << 20, [UInt8](repeating: 0, count: 1 << 20)),
                (12 << 20, pattern(4 << 20)), ((20 << 20) - 4096, pattern(4096 + 1000)),
            ] {
                try file.seek(toOffset: UInt64(start))
                try file.write(contentsOf: Data(bytes))
            }
            try file.synchronize()
            try file.close()
        }
    }

    private static let targets: [(name: String, options: [String], peer: String)] = [
        ("a.raw", ["-O", "raw"], "raw"), ("b.qcow2", ["-O", "qcow2"], "qcow2"),
        ("c.qcow2", ["-O", "qcow2", "-o", "cluster_size=4k,extended_l2=off"], "qcow2"),
        ("d.vhd", ["-O", "vhd"], "vpc"), ("e.vhd", ["-O", "vhd", "-o", "subformat=fixed"], "vpc"),
        ("f.qcow2", ["-O", "qcow2", "-o", "data_file=f.data,data_file_raw=on"], "qcow2"),
    ]

    @Test(arguments: ["xfs", "btrfs"])
    func sharesWhatLiesInOneFileSystem(_ kind: String) throws {
        guard let img = Program(named: "qemu-img"), let mounted = try Mounted(kind) else { return }
        try mounted.writeDisk("in.raw")
        let digest = try mounted.succeed(.reimage, ["digest", "-q", "-f", "raw", "in.raw"]).text.prefix(69)
        for target in Self.targets {
            try mounted.succeed(.reimage, ["convert", "-q", "-f", "raw"] + target.options + ["in.raw", target.name])
            try mounted.succeed(img, ["compare", "-f", "raw", "-F", target.peer, "in.raw", target.name])
            let holder = target.name == "f.qcow2" ? "f.data" : target.name
            #expect(try mounted.sharedByteCount(holder) >= 8 << 20, "\(target.name)")
            if target.peer == "qcow2" { try mounted.succeed(img, ["check", target.name]) }
            // And back, with the proof.
            let back = try mounted.succeed(
                .reimage, ["convert", "-q", "--force", "--verify", target.name, "back.raw"])
            #expect(target.name != "a.raw" || back.text.hasPrefix(digest))
            #expect(try mounted.sharedByteCount("back.raw") >= 8 << 20, "back from \(target.name)")
            let size = try FileManager.default.attributesOfItem(atPath: mounted.folder + "/back.raw")[.size] as? Int
            #expect((20 << 20) + 1000...(20 << 20) + 1024 ~= size ?? 0)
            try mounted.succeed(img, ["compare", "-f", "raw", "-F", "raw", "in.raw", "back.raw"])
        }
        // The number of threads makes no difference.
        for (threads, name) in [("1", "one.qcow2"), ("4", "four.qcow2")] {
            try mounted.succeed(.reimage, ["convert", "-q", "-j", threads, "-f", "raw", "in.raw", name])
        }
        try mounted.succeed(Program(named: "cmp"), ["one.qcow2", "four.qcow2"])
    }

    @Test(arguments: ["xfs", "btrfs"])
    func copiesWhatCannotBeShared(_ kind: String) throws {
        guard let mounted = try Mounted(kind) else { return }
        try mounted.writeDisk("in.raw")
        let raw = ["convert", "-q", "-f", "raw", "-O", "raw"]
        func check(_ name: String, _ what: String) throws {
            try mounted.succeed(Program(named: "cmp"), ["in.raw", name])
            #expect(try mounted.sharedByteCount(name) == 0, "\(what)")
            try FileManager.default.removeItem(atPath: mounted.folder + "/" + name)
        }
        // Only files that were shared before show as such: this comes first.
        try mounted.succeed(.reimage, raw + ["--no-reflink", "in.raw", "out.raw"])
        try check("out.raw", "--no-reflink")
        try mounted.succeed(.reimage, raw + ["-S", "0", "in.raw", "out.raw"])
        try check("out.raw", "-S 0")
        try mounted.succeed(.reimage, raw + ["-o", "preallocation=falloc", "in.raw", "out.raw"])
        try check("out.raw", "preallocation")
        // Another file system, and a device that is a file of this one.
        try mounted.succeed(Program(named: "cp"), ["in.raw", mounted.scratch.file("outside.raw")])
        try mounted.succeed(.reimage, raw + [mounted.scratch.file("outside.raw"), "out.raw"])
        try check("out.raw", "another file system")
        // An overlay stores only what differs, and so is read.
        try mounted.succeed(.reimage, raw + ["--no-reflink", "in.raw", "base.raw"])
        try mounted.succeed(
            .reimage, ["convert", "-q", "-f", "raw", "-b", "base.raw", "-F", "raw", "in.raw", "over.qcow2"])
        #expect(try mounted.sharedByteCount("over.qcow2") == 0)
        guard let losetup = Program(named: "losetup") else { return }
        let device = try losetup.run(["-f", "--show", mounted.folder + "/in.raw"])
        guard device.status == 0 else { return print("skipped: no loop device: \(device.errors)") }
        defer { _ = try? losetup.run(["-d", device.text]) }
        try mounted.succeed(.reimage, raw + [device.text, "out.raw"])
        try mounted.succeed(Program(named: "cmp"), ["-n", "\(20 << 20)", "in.raw", "out.raw"])
        #expect(try mounted.sharedByteCount("out.raw") == 0)
    }
}
