import Foundation
import TestSupport
import Testing

/// QEMU itself starts from what `reimage` wrote.
@Suite struct BootTests {
    private let folder = Scratch()

    /// A boot sector for a BIOS: prints a line to the first serial port, and halts.
    private static func bootSector(saying line: String) -> [UInt8] {
        var code: [UInt8] = [
            0xFA,  // cli
            0x31, 0xC0,  // xor ax, ax
            0x8E, 0xD8,  // mov ds, ax
            0xBE, 0x1A, 0x7C,  // mov si, 0x7C1A: the text
            0xBA, 0xF8, 0x03,  // mov dx, 0x3F8: the first serial port
            0xFC,  // cld
            0xAC,  // lodsb
            0x84, 0xC0,  // test al, al
            0x74, 0x03,  // jz to the halt
            0xEE,  // out dx, al
            0xEB, 0xF8,  // jmp back to lodsb
            0xF4,  // hlt
            0xEB, 0xFD,  // jmp back to the halt
        ]
        code += [UInt8](repeating: 0x90, count: 0x1A - code.count) + Array(line.utf8) + [13, 10, 0]
        return code + [UInt8](repeating: 0, count: 510 - code.count) + [0x55, 0xAA]
    }

    @Test(arguments: [
        [], ["-c"], ["-c", "--codec", "zstd"], ["-o", "extended_l2=on"], ["-o", "compat=0.10,cluster_size=4k"],
        ["-o", "data_file=data.raw"], ["-O", "vhd"], ["-O", "vhd", "-o", "subformat=fixed"],
    ])
    func aConvertedDiskBoots(_ flags: [String]) throws {
        guard let qemu = Program(named: "qemu-system-x86_64") else { return }
        let reimage = try #require(Program.reimage)
        let isVHD = flags.contains("vhd")
        let name = isVHD ? "disk.vhd" : "disk.qcow2"
        let line = "reimage boots \(flags.joined(separator: " "))"
        folder.write(Self.bootSector(saying: line) + pattern(3 << 20), to: "disk.raw")
        try reimage.succeed(["convert", "-q", "-f", "raw"] + flags + ["disk.raw", name], in: folder)
        let process = try qemu.start(
            [
                "-accel", "tcg", "-m", "32", "-display", "none", "-monitor", "none", "-nic", "none", "-no-reboot",
                "-serial", "file:serial.txt", "-snapshot", "-drive",
                "file=\(name),format=\(isVHD ? "vpc" : "qcow2"),if=ide",
            ], in: folder.path)
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        defer {
            kill(process.processIdentifier, SIGKILL)  // it inherits a mask that holds every other signal back
            process.waitUntilExit()
        }
        for _ in 0..<600 where process.isRunning {
            if let said = folder.read("serial.txt"), String(decoding: said, as: UTF8.self).contains(line) { return }
            Thread.sleep(forTimeInterval: 0.1)
        }
        let said = String(decoding: folder.read("serial.txt") ?? [], as: UTF8.self)
        Issue.record("the boot sector did not speak; the serial port has '\(said)'")
    }
}
