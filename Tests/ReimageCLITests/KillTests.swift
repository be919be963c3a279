import Foundation
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

/// SIGKILL at random moments of writing: there is no file under the final name, or a right one.
@Suite(.serialized) struct KillTests {
    private let scratch = Scratch()
    /// The same bytes at every run.
    private static let environment = ["SOURCE_DATE_EPOCH": "1767225600"]

    /// Each style is killed 52 times, from before the first byte to after the last.
    @Test(arguments: [
        ["-O", "qcow2"], ["-O", "qcow2", "-c"], ["-O", "qcow2", "-o", "extended_l2=on,cluster_size=16k"],
        ["-O", "qcow2", "-o", "data_file=out.data"], ["-O", "vhd"], ["-O", "vhd", "-o", "subformat=fixed"],
    ])
    func leavesNoHalfImage(_ flags: [String]) throws {
        let reimage = try #require(Program.reimage)
        let disk = pattern(6 << 20) + [UInt8](repeating: 0, count: 2 << 20) + pattern(4 << 20)
        scratch.write(disk, to: "in.raw")
        let arguments = ["convert", "-q", "-f", "raw"] + flags + ["in.raw", "out"]
        let clock = ContinuousClock()
        let begun = clock.now
        #expect(try reimage.run(arguments, in: scratch.path, environment: Self.environment).status == 0)
        let whole = clock.now - begun
        let expected = try #require(scratch.read("out"))
        var random = SeededGenerator(seed: 9)
        var finished = 0
        for _ in 0..<52 {
            for name in ["out", "out.data"] where scratch.names.contains(name) {
                try FileManager.default.removeItem(atPath: scratch.file(name))
            }
            let process = try reimage.start(arguments, in: scratch.path, environment: Self.environment)
            try process.run()
            let share = Double(random.next() % 1100) / 1000
            Thread.sleep(forTimeInterval: whole / .seconds(1) * share)
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            let allowed: Set<String> = ["in.raw", "out", "out.data", ".out.partial", ".out.data.partial"]
            #expect(scratch.names.isSubset(of: allowed))
            guard let found = scratch.read("out") else { continue }
            finished += 1
            #expect(found == expected)
            if flags.last == "data_file=out.data" { #expect(scratch.names.contains("out.data")) }
        }
        print("killed 52 times: \(finished) images were complete, of \(flags)")
        // What a kill left behind is in nobody's way.
        #expect(try reimage.run(arguments + ["--force"], in: scratch.path, environment: Self.environment).status == 0)
        #expect(scratch.read("out") == expected)
    }
}
