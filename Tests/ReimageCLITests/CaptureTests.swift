import Foundation
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

/// `reimage capture` on loop devices: what is refused, what is read, what is lost.
@Suite(.serialized) struct CaptureTests {
    private let scratch = Scratch()

    /// Runs `body` with a loop device over `file`; prints why where there can be none.
    private func withLoop(_ file: String, sector: Int = 512, _ body: (String, Program) throws -> Void) throws {
        guard let bench = RestoreBench(scratch) else { return }
        try bench.with(file: file, sector: sector) { try body($0, bench.reimage) }
    }

    private func digest(_ reimage: Program, _ file: String, _ arguments: String...) throws -> String {
        let result = try reimage.run(["digest"] + arguments + [file])
        #expect(result.status == 0, "\(result.errors)")
        return result.text.split(separator: " ").first.map(String.init) ?? ""
    }

    @Test(arguments: [512, 4096])
    func intoEveryFormat(_ sector: Int) throws {
        let bytes = PatternDisk.bytes(count: 5 << 20, seed: 9)
        let file = scratch.write(bytes, to: "disk")
        try withLoop(file, sector: sector) { path, reimage in
            let expected = try digest(reimage, file, "-f", "raw")
            for name in ["a.raw", "a.qcow2", "a.vhd", "a.rimg"] {
                let image = scratch.file(name)
                let result = try reimage.run(["capture", "--verify", path, image])
                #expect(result.status == 0, "\(name): \(result.errors)")
                #expect(result.text.split(separator: " ").first.map(String.init) == expected, "\(name)")
                let format = name.hasSuffix("vhd") ? "vhd" : String(name.split(separator: ".")[1])
                #expect(try digest(reimage, image, "-f", format) == expected, "\(name)")
            }
            #expect(scratch.read("a.raw") == bytes && scratch.read("disk") == bytes)
            // An existing image stands.
            let again = try reimage.run(["capture", path, scratch.file("a.raw")])
            #expect(again.status == 3)
            #expect(try reimage.run(["capture", "--force", path, scratch.file("a.raw")]).status == 0)
        }
    }

    @Test func whatAnArchiveKeepsOfIt() throws {
        let file = scratch.write(PatternDisk.bytes(count: 1 << 20), to: "disk")
        try withLoop(file) { path, reimage in
            let image = scratch.file("a.rimg")
            let result = try reimage.run(["capture", path, image])
            #expect(result.status == 0, "\(result.errors)")
            let stored = String(decoding: (scratch.read("a.rimg") ?? []).prefix(8192), as: UTF8.self)
            #expect(stored.contains("\"source\":{\"path\":\"\(path)\",\"size\":1048576}"))
        }
    }

    @Test func refusals() throws {
        let file = scratch.write([UInt8](repeating: 0, count: 16 << 20), to: "disk")
        try withLoop(file) { path, reimage in
            func expect(_ status: Int32, _ words: String, _ arguments: String...) throws {
                let result = try reimage.run(["capture"] + arguments)
                #expect(result.status == status && result.errors.contains(words), "\(arguments): \(result.errors)")
            }
            let image = scratch.file("image.raw")
            try expect(3, "reimage convert", file, image)
            try expect(3, "there is no such device", "/dev/nothing-of-that-name", image)
            try expect(3, "is no block device", "/dev/null", image)
            try expect(64, "--retries", "--retries", "-1", path, image)
            scratch.write([], to: "image.raw.map")
            try expect(3, "where the map of the image would be", path, image)
            try FileManager.default.removeItem(atPath: image + ".map")
            #expect(scratch.names == ["disk"])
            guard let mke2fs = Program(named: "mke2fs"), let mount = Program(named: "mount"),
                let umount = Program(named: "umount"), try mke2fs.run(["-qF", path]).status == 0
            else { return }
            let place = scratch.file("mnt")
            try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
            guard try mount.run([path, place]).status == 0 else { return print("skipped: mounting is not allowed") }
            defer { _ = try? umount.run([place]) }
            try expect(3, "it is mounted at \(place)", path, image)
            try expect(3, "lies on it", "--live", path, place + "/image.raw")
            _ = FileManager.default.createFile(atPath: place + "/file", contents: Data("content".utf8))
            let live = try reimage.run(["capture", "--live", path, image])
            #expect(live.status == 0 && live.errors.contains("as after a crash"), "\(live.errors)")
        }
    }

    /// Nobody can mount the disk while it is read.
    @Test func holdsTheDevice() throws {
        let file = scratch.write(PatternDisk.bytes(count: 8 << 20, seed: 2), to: "disk")
        try withLoop(file) { path, reimage in
            let running = try reimage.start(["capture", "-q", "-r", "4M", path, scratch.file("slow.raw")])
            try running.run()
            defer { running.waitUntilExit() }
            var isHeld = false
            for _ in 0..<200 where !isHeld && running.isRunning {
                let descriptor = unsafe open(path, O_RDONLY | O_EXCL)
                isHeld = descriptor < 0 && errno == EBUSY
                if descriptor >= 0 { close(descriptor) }
                usleep(10_000)
            }
            #expect(isHeld)
            running.terminate()
        }
        #expect(!scratch.names.contains("slow.raw"))
    }

    /// A device whose file became shorter gives EIO behind the file's new end, as a medium with bad sectors does.
    @Test func badSectors() throws {
        let bytes = PatternDisk.bytes(count: 4 << 20, seed: 3)
        let file = scratch.write(bytes, to: "disk")
        let left = 3 << 20 + 8192
        try withLoop(file) { path, reimage in
            let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
            try handle.truncate(atOffset: UInt64(left))
            try handle.close()
            for name in ["stop.raw", "stop.rimg"] {
                let result = try reimage.run(["capture", "--retries", "0", path, scratch.file(name)])
                #expect(
                    result.status == 4 && result.errors.contains("(at byte \(left) of the disk)"), "\(result.errors)")
                #expect(result.errors.contains("--on-read-error zero") && !scratch.names.contains(name))
            }
            let expected = Array(bytes[..<left]) + [UInt8](repeating: 0, count: bytes.count - left)
            let options = ["--on-read-error", "zero", "--retries", "0", "--verify"]
            let raw = try reimage.run(["capture"] + options + [path, scratch.file("lost.raw")])
            #expect(raw.status == 1 && raw.errors.contains("\(bytes.count - left) bytes in 1 place"), "\(raw.errors)")
            #expect(scratch.read("lost.raw") == expected)
            let map = String(decoding: scratch.read("lost.raw.map") ?? [], as: UTF8.self)
            let end = String(left, radix: 16, uppercase: true)
            #expect(map.contains("0x00\(end)  0x000FE000  -"), "\(map)")
            // An archive keeps it itself, with the error and the number of tries.
            let archive = try reimage.run(["capture"] + options + [path, scratch.file("lost.rimg")])
            #expect(archive.status == 1 && !scratch.names.contains("lost.rimg.map"), "\(archive.errors)")
            #expect(try digest(reimage, scratch.file("lost.rimg")) == digest(reimage, scratch.file("lost.raw")))
            let entry = [left, bytes.count - left].flatMap { number in
                (0..<8).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
            }
            let stored = try #require(scratch.read("lost.rimg"))
            let found = stored.indices.contains { index in
                stored[index] == entry[0] && stored[index...].starts(with: entry + [5, 0, 0, 0, 1, 0, 0, 0])
            }
            #expect(found, "no ERRS entry")
            let piped = try reimage.run(["capture", "-q"] + options.dropLast() + [path, "-"])
            #expect(piped.status == 1 && [UInt8](piped.output) == expected)
            #expect(piped.errors.contains("from byte \(left)"))
        }
    }
}
