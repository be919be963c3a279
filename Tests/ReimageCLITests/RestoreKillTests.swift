import Foundation
import ReimageTesting
import TestSupport
import Testing

/// A restore that ends before its time: what is on the disk, and going on with it.
@Suite(.serialized) struct RestoreKillTests {
    private static let mebibyte = 1 << 20

    /// Blocks that all differ, so that no two places hold the same.
    private func disk(_ count: Int) -> [UInt8] {
        let noise = PatternDisk.bytes(count: 64 << 10, seed: 5)
        var bytes: [UInt8] = []
        for number in 0..<count / noise.count {
            bytes += noise
            bytes[bytes.count - noise.count] = UInt8(truncatingIfNeeded: number)
            bytes[bytes.count - noise.count + 1] = UInt8(truncatingIfNeeded: number >> 8) | 1
        }
        return bytes
    }

    /// SIGKILL at random moments; each time the disk is no half disk, and the journal leads to the whole one.
    @Test func aKillIsGoneOnFrom() throws {
        guard let bench = RestoreBench() else { return }
        let bytes = disk(48 * Self.mebibyte)
        bench.scratch.write(bytes, to: "in.raw")
        var random = SeededGenerator(seed: 11)
        var (resumed, complete) = (0, 0)
        try bench.with([48 * Self.mebibyte]) { devices in
            let old = try bench.disk()
            var isOld = true
            for round in 0..<6 {
                let journal = "journal-\(round)"
                let process = try bench.reimage.start(
                    ["restore", "-q", "--yes", "--checkpoint", "1M", "--journal", journal, "-f", "raw", "in.raw"]
                        + devices, in: bench.scratch.path, environment: bench.environment)
                process.standardError = Pipe()
                process.standardOutput = Pipe()
                try process.run()
                Thread.sleep(forTimeInterval: 0.05 + Double(random.next() % 350) / 1000)
                kill(process.processIdentifier, SIGKILL)
                process.waitUntilExit()
                let now = try bench.disk()
                // The MBR and the header of a GPT come last, in one request.
                let head = now.prefix(8 << 10)
                #expect(head.holdsOnly(0) || same(now, bytes) || (isOld && same(now, old)), "round \(round)")
                let arguments = ["--yes", "--json", "--resume", journal, "-f", "raw", "in.raw"] + devices
                let result = try bench.restore(arguments)
                switch result.status {
                case 4 where !bench.scratch.names.contains(journal):  // It had not begun.
                    #expect(result.errors.contains("Name the journal"), "\(result.errors)")
                case 0:
                    let target = try #require((try result.json()["targets"] as? [[String: Any]])?.first)
                    if target["resumed-bytes"] as? Int ?? 0 > 0 { resumed += 1 }
                case 3: complete += 1  // It had come to its end.
                case 4: #expect(result.errors.contains("the disk was not changed"), "\(result.errors)")
                default: Issue.record("round \(round): \(result.status) \(result.errors)")
                }
                guard result.status != 4 else { continue }
                isOld = false
                #expect(try same(bench.disk(), bytes))
            }
        }
        print("killed 6 times: \(resumed) restores were gone on with, \(complete) were complete")
    }

    @Test func anInterruptSaysHowToGoOn() throws {
        guard let bench = RestoreBench() else { return }
        let bytes = disk(64 * Self.mebibyte)
        bench.scratch.write(bytes, to: "in.raw")
        try bench.with([64 * Self.mebibyte]) { devices in
            let errors = Pipe()
            let process = try bench.reimage.start(
                ["restore", "--yes", "--checkpoint", "1M", "--journal", "journal", "-f", "raw", "in.raw"] + devices,
                in: bench.scratch.path, environment: bench.environment, output: Pipe())
            process.standardError = errors
            try process.run()
            // It has begun when the journal is there and sealed.
            for _ in 0..<400 where (bench.scratch.read("journal")?.count ?? 0) < 2 * Self.mebibyte + 300 {
                Thread.sleep(forTimeInterval: 0.005)
            }
            kill(process.processIdentifier, SIGINT)
            process.waitUntilExit()
            let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            guard process.terminationStatus != 0 else { return print("the restore was faster than the signal") }
            #expect(process.terminationReason == .exit && process.terminationStatus == 7, "\(text)")
            #expect(text.contains("--resume journal"), "\(text)")
            // Another image, or none, does not go on from there.
            bench.scratch.write(disk(63 * Self.mebibyte), to: "other.raw")
            let other = try bench.restore(["--yes", "--resume", "journal", "-f", "raw", "other.raw"] + devices)
            #expect(other.status == 3 && other.errors.contains("the image is not what"), "\(other.errors)")
            let result = try bench.restore(["-q", "--yes", "--resume", "journal", "-f", "raw", "in.raw"] + devices)
            #expect(result.status == 0, "\(result.errors)")
            #expect(try same(bench.disk(), bytes))
        }
    }
}
