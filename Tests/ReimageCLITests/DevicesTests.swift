import Foundation
import TestSupport
import Testing

/// `reimage devices` on this machine.
@Suite struct DevicesTests {
    private let scratch = Scratch()

    private func run(_ arguments: [String]) throws -> ProgramResult {
        try #require(Program.reimage).run(["devices"] + arguments, in: scratch.path)
    }

    /// Runs `body` with a loop device over a file that holds a labelled swap area; prints the reason where none can be.
    private func withLoopDevice(_ body: (String) throws -> Void) throws {
        guard getuid() == 0, let losetup = Program(named: "losetup"), let mkswap = Program(named: "mkswap") else {
            return print("skipped: loop devices need root, losetup and mkswap")
        }
        let file = scratch.write([UInt8](repeating: 0, count: 1 << 20), to: "disk")
        try #require(try mkswap.run(["-L", "sleep\u{1B}[2J", file]).status == 0)
        let made = try losetup.run(["-f", "--show", file])
        guard made.status == 0 else { return print("skipped: no loop device can be had: \(made.errors)") }
        defer { _ = try? losetup.run(["-d", made.text]) }
        try body(made.text)
    }

    private func isLinux() -> Bool {
        guard FileManager.default.fileExists(atPath: "/sys/class/block") else {
            print("skipped: there is no /sys/class/block")
            return false
        }
        return true
    }

    @Test func listsInEightyColumns() throws {
        guard isLinux() else { return }
        try withLoopDevice { device in
            for arguments in [[], ["--all"]] {
                let result = try run(arguments)
                #expect(result.status == 0, "\(result.errors)")
                let lines = result.text.split(separator: "\n")
                #expect(lines.first?.hasPrefix("Device ") == true)
                #expect(lines.allSatisfy { $0.count <= 80 })
                #expect(lines.contains { $0.hasPrefix(device + " ") && $0.contains("1 MiB") && $0.contains("free") })
                #expect(!result.text.contains("\u{1B}"), "a label must not move the cursor")
            }
        }
    }

    @Test func oneDeviceInFull() throws {
        try withLoopDevice { device in
            let text = try run([device])
            #expect(text.status == 0, "\(text.errors)")
            #expect(text.text.contains("size: 1 MiB (1048576 bytes)"))
            #expect(text.text.contains("contents: swap 'sleep"))
            #expect(text.text.contains("to confirm overwriting: type its size (1 MiB, or 1048576)"))
            let json = try run(["--json", device])
            let objects = try #require(try JSONSerialization.jsonObject(with: json.output) as? [[String: Any]])
            let object = try #require(objects.first)
            #expect(objects.count == 1 && object["path"] as? String == device)
            #expect(object["size"] as? Int == 1 << 20 && object["kind"] as? String == "loop")
            #expect(object["exclusive-open"] as? String == "free")
            #expect((object["restore-refusals"] as? [Any])?.isEmpty == true)
            let contents = try #require(object["contents"] as? [[String: Any]])
            #expect(contents.first?["type"] as? String == "swap")
            #expect(object["backing-file"] as? String == scratch.file("disk"))
        }
    }

    @Test func everythingAsJSON() throws {
        guard isLinux() else { return }
        let result = try run(["--json", "--all"])
        #expect(result.status == 0, "\(result.errors)")
        let objects = try #require(try JSONSerialization.jsonObject(with: result.output) as? [[String: Any]])
        #expect(objects.allSatisfy { $0["path"] is String && $0["size"] is Int && $0["uses"] is [Any] })
    }

    @Test func whatIsNoDevice() throws {
        guard isLinux() else { return }
        let missing = try run(["/dev/reimage-no-such-disk"])
        #expect(missing.status == 4 && missing.errors.contains("there is no such device"))
        for path in ["/dev/null", scratch.write([1], to: "file"), "/"] {
            let result = try run([path])
            #expect(result.status == 3 && result.errors.contains("is no block device"), "\(path)")
        }
    }
}
