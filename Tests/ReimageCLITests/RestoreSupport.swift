import Foundation
import TestSupport
import Testing

/// What tests of restoring share: loop devices over scratch files, and the program run on them.
struct RestoreBench {
    let scratch: Scratch
    let reimage: Program
    let losetup: Program

    /// `nil`, with the reason printed, where there can be no loop devices.
    init?(_ scratch: Scratch = Scratch()) {
        guard getuid() == 0, let losetup = Program(named: "losetup") else {
            print("skipped: loop devices need root and losetup")
            return nil
        }
        guard let reimage = Program.reimage else { return nil }
        self.scratch = scratch
        self.losetup = losetup
        self.reimage = reimage
    }

    /// Runs `body` with loop devices over new files of these sizes, which are full of an old disk's bytes.
    func with(_ sizes: [Int], sector: Int = 512, _ body: ([String]) throws -> Void) throws {
        var devices: [String] = []
        defer { for device in devices { _ = try? losetup.run(["-d", device]) } }
        for (index, size) in sizes.enumerated() {
            // What is on it already must not pass for what was written.
            let file = scratch.write([UInt8](repeating: 0xEE, count: size), to: "disk-\(index)")
            let made = try losetup.run(["-f", "--show", "--sector-size", "\(sector)", file])
            guard made.status == 0 else { return print("skipped: no loop device can be had: \(made.errors)") }
            print("attached: \(made.text), sectors of \(sector)")
            devices.append(made.text)
        }
        try body(devices)
    }

    /// Runs `body` with a loop device over the file at `path`.
    func with(file path: String, sector: Int = 512, _ body: (String) throws -> Void) throws {
        let made = try losetup.run(["-f", "--show", "--sector-size", "\(sector)", path])
        guard made.status == 0 else { return print("skipped: no loop device can be had: \(made.errors)") }
        print("attached: \(made.text), sectors of \(sector)")
        defer { _ = try? losetup.run(["-d", made.text]) }
        try body(made.text)
    }

    /// What the disk behind the loop device of `index` holds.
    func disk(_ index: Int = 0) throws -> [UInt8] { try #require(scratch.read("disk-\(index)")) }

    /// Runs `reimage restore`; its journals stay in the scratch folder.
    func restore(_ arguments: [String], input: Data? = nil, seconds: Double = 60) throws -> ProgramResult {
        try reimage.run(
            ["restore"] + arguments, in: scratch.path, environment: environment, input: input, seconds: seconds)
    }

    var environment: [String: String] { ["XDG_STATE_HOME": scratch.file("state"), "PATH": "/usr/sbin:/usr/bin:/bin"] }

    /// The paths of the journals in the state folder, sorted.
    var journals: [String] {
        let folder = scratch.file("state/reimage")
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().map { "\(folder)/\($0)" }
    }
}

extension ProgramResult {
    /// Standard output as a JSON object.
    func json() throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: output) as? [String: Any])
    }
}

extension ArraySlice<UInt8> {
    /// Whether there is nothing but `byte`.
    func holdsOnly(_ byte: UInt8) -> Bool { Array(self) == [UInt8](repeating: byte, count: count) }
}

/// Whether both hold the same bytes. `#expect(a == b)` would look for every difference of megabytes.
func same(_ left: some Collection<UInt8>, _ right: some Collection<UInt8>) -> Bool { Array(left) == Array(right) }
