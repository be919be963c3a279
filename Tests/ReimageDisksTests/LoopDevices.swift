import Foundation
import TestSupport

/// Loop devices over scratch files, detached at the end.
struct LoopDevices {
    let scratch = Scratch()
    private let losetup: Program

    /// `nil`, with the reason printed, where there can be none.
    init?() {
        guard getuid() == 0, let losetup = Program(named: "losetup") else {
            print("skipped: loop devices need root and losetup")
            return nil
        }
        self.losetup = losetup
    }

    /// Runs `body` with a loop device over a new file of `size` zero bytes.
    func with(size: Int, sector: Int = 512, isReadOnly: Bool = false, _ body: (String) throws -> Void) throws {
        let file = try scratch.blank("disk-\(UUID().uuidString)", size: size)
        try with(file: file, sector: sector, isReadOnly: isReadOnly, body)
    }

    /// Runs `body` with a loop device over `file`.
    func with(file: String, sector: Int = 512, isReadOnly: Bool = false, _ body: (String) throws -> Void) throws {
        let options = ["-f", "--show", "--sector-size", "\(sector)"] + (isReadOnly ? ["-r"] : [])
        let made = try losetup.run(options + [file])
        guard made.status == 0 else { return print("skipped: no loop device can be had: \(made.errors)") }
        print("attached: \(made.text), sectors of \(sector)")
        defer { _ = try? losetup.run(["-d", made.text]) }
        try body(made.text)
    }

    /// Runs a program that must succeed; `false`, with the reason printed, where it is missing or fails.
    func ran(_ name: String, _ arguments: [String]) throws -> Bool {
        guard let program = Program(named: name) else { return false }
        let result = try program.run(arguments)
        if result.status != 0 { print("skipped: \(name) \(arguments.joined(separator: " ")): \(result.errors)") }
        return result.status == 0
    }
}

extension Scratch {
    /// Makes a file of `size` zero bytes that takes no space, and gives its path.
    func blank(_ name: String, size: Int) throws -> String {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: write([], to: name)))
        try handle.truncate(atOffset: UInt64(size))
        try handle.close()
        return file(name)
    }
}
