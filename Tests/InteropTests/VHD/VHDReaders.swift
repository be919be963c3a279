import Foundation
import TestSupport
import Testing

/// Programs of others that read VHD images.
enum VHDReader: String, Sendable, CaseIterable {
    case qemu = "qemu-img"
    case sevenZip = "7z"
    case libvhdi

    enum Reading {
        case disk(Data)
        case refusal(String)

        /// The disk; a refusal ends the test with what the program said.
        var disk: Data {
            get throws {
                if case .refusal(let text) = self { try #require(Bool(false), "\(text)") }
                guard case .disk(let disk) = self else { return Data() }
                return disk
            }
        }
    }

    /// What it makes of an image in `folder`; `nil`, with the reason printed, where it is not installed.
    func read(_ name: String, in folder: Scratch) throws -> Reading? {
        switch self {
        case .qemu:
            guard let program = Program(named: "qemu-img") else { return nil }
            let target = "qemu.raw"
            let result = try program.run(["convert", "-f", "vpc", "-O", "raw", name, target], in: folder.path)
            guard result.status == 0 else { return .refusal(result.errors) }
            let disk = try Data(contentsOf: URL(fileURLWithPath: folder.file(target)))
            try FileManager.default.removeItem(atPath: folder.file(target))
            return .disk(disk)
        case .sevenZip:
            guard let program = Program(named: "7z") else { return nil }
            return Self.reading(try program.run(["x", "-tvhd", "-so", name], in: folder.path))
        case .libvhdi:
            guard let program = Self.python else { return nil }
            return Self.reading(try program.run(["-c", Self.script, name], in: folder.path))
        }
    }

    /// The disk as `reimage` reads it, which must succeed.
    static func ours(_ name: String, _ flags: [String] = ["-f", "vhd"], in folder: Scratch) throws -> Data {
        let reimage = try #require(Program.reimage)
        try reimage.succeed(["convert", "-q", "--force"] + flags + [name, "ours.raw"], in: folder)
        return try Data(contentsOf: URL(fileURLWithPath: folder.file("ours.raw")))
    }

    private static func reading(_ result: ProgramResult) -> Reading {
        result.status == 0 ? .disk(result.output) : .refusal(result.errors)
    }

    /// A Python that has libvhdi's module: the one that `Scripts/test` made, or the usual one.
    static let python: Program? = {
        let top = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let made = top.appendingPathComponent(".build/python/bin/python3").path
        let candidates = [Program(path: made), Program(named: "python3")]
        for case let program? in candidates where FileManager.default.isExecutableFile(atPath: program.path) {
            if let result = try? program.run(["-c", "import pyvhdi"]), result.status == 0 { return program }
        }
        print("skipped: no Python has libvhdi; Scripts/test installs it (pip install libvhdi-python)")
        return nil
    }()

    /// Opens the image with its parents, which lie beside it under the last part of the name in the header, and
    /// prints the disk; with more arguments, the size and the sectors at these offsets. It reads sector by sector:
    /// version 20260901 loses what lies behind the first block of a longer read.
    static let script = """
        import os, sys, pyvhdi
        def opened(path):
            disk = pyvhdi.file()
            disk.open(path)
            below = []
            if disk.disk_type == pyvhdi.disk_types.DIFFERENTIAL:
                name = disk.parent_filename.replace("\\\\", "/").split("/")[-1]
                folder = os.path.dirname(path)
                found = [os.path.join(folder, place, name) for place in ("", "base")]
                parent, below = opened(next(place for place in found if os.path.exists(place)))
                disk.set_parent(parent)
                below = below + [parent]
            return disk, below
        disk, below = opened(sys.argv[1])
        out = sys.stdout.buffer
        if len(sys.argv) > 2:
            print(disk.media_size)
            for offset in sys.argv[2:]:
                print(disk.read_buffer_at_offset(512, int(offset)).hex())
            sys.exit()
        left = disk.media_size
        while left > 0:
            data = disk.read_buffer(min(left, 512))
            if not data:
                sys.exit("the disk ends early")
            out.write(data)
            left -= len(data)
        """
}
