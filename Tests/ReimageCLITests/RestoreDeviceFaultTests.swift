import Foundation
import ReimageTesting
import TestSupport
import Testing

/// `reimage restore` onto devices that fail, go away or lie: what is said, and what is left on them.
@Suite(.serialized) struct RestoreDeviceFaultTests {
    private static let mebibyte = 1 << 20

    private func bench(_ mebibytes: Int) -> (RestoreBench, [UInt8])? {
        guard let bench = RestoreBench() else { return nil }
        let bytes = PatternDisk.bytes(count: mebibytes << 20, seed: 7)
        bench.scratch.write(bytes, to: "in.raw")
        return (bench, bytes)
    }

    private func looksLikeNothing(_ disk: [UInt8]) -> Bool {
        disk.prefix(Self.mebibyte).holdsOnly(0) && disk.suffix(Self.mebibyte).holdsOnly(0)
    }

    /// EIO at one sector of the second of four: it is named with its place, and the others are complete.
    @Test func aBadSectorAmongFour() throws {
        guard let (bench, bytes) = bench(8) else { return }
        let place = 5 * Self.mebibyte + 8192
        bench.scratch.write([UInt8](repeating: 0xEE, count: 8 << 20), to: "bad")
        guard let bad = try FaultyDevice(bench, over: "bad", [.failsWrites(at: place)]) else { return }
        try bench.with([8 << 20, 8 << 20, 8 << 20]) { devices in
            let result = try bench.restore(
                ["--yes", "--receipt", "r.json", "-f", "raw", "in.raw", devices[0], bad.path, devices[1], devices[2]])
            #expect(result.status == 5, "\(result.errors)")
            #expect(result.errors.contains("\(bad.path): ") && result.errors.contains("--resume"), "\(result.errors)")
            // Requests have a length: the place is that of the one that failed, or of the sector in it.
            #expect(
                result.errors.contains("byte \(5 << 20)") || result.errors.contains("byte \(place)"), "\(result.errors)"
            )
            for index in 0..<3 { #expect(try same(bench.disk(index), bytes)) }
            #expect(looksLikeNothing(try #require(bench.scratch.read("bad"))))
            let receipt =
                try JSONSerialization.jsonObject(with: Data(try #require(bench.scratch.read("r.json"))))
                as? [String: Any]
            let targets = try #require(receipt?["targets"] as? [[String: Any]])
            #expect(targets.map { $0["complete"] as? Bool } == [true, false, true, true])
            let error = try #require(targets[1]["error"] as? [String: Any])
            #expect(error["code"] as? String == "target-failed", "\(error)")
        }
    }

    @Test func whatCannotBeReadBack() throws {
        guard let (bench, _) = bench(6) else { return }
        bench.scratch.write([UInt8](repeating: 0xEE, count: 6 << 20), to: "bad")
        let place = 3 * Self.mebibyte
        guard let bad = try FaultyDevice(bench, over: "bad", [.failsReads(at: place)]) else { return }
        let result = try bench.restore(["--yes", "-f", "raw", "in.raw", bad.path])
        #expect(result.status == 5 && result.errors.contains("cannot be read back"), "\(result.errors)")
        #expect(result.errors.contains("byte \(place)"), "\(result.errors)")
        #expect(looksLikeNothing(try #require(bench.scratch.read("bad"))))
    }

    /// A device that is pulled out in the midst, beside one that stays.
    @Test func aDeviceThatGoesAway() throws {
        guard let (bench, bytes) = bench(24) else { return }
        bench.scratch.write([UInt8](repeating: 0xEE, count: 24 << 20), to: "gone")
        guard let gone = try FaultyDevice(bench, over: "gone", rate: 16 << 20) else { return }
        try bench.with([24 << 20]) { devices in
            let process = try bench.reimage.start(
                ["restore", "--yes", "-f", "raw", "in.raw", gone.path, devices[0]], in: bench.scratch.path,
                environment: bench.environment, output: Pipe())
            let errors = Pipe()
            process.standardError = errors
            try process.run()
            let file = try #require(FileHandle(forReadingAtPath: bench.scratch.file("gone")))
            for _ in 0..<3000 where process.isRunning {
                try file.seek(toOffset: 4 << 20)
                if try file.read(upToCount: 1)?.first != 0xEE { break }
                usleep(10_000)
            }
            gone.vanish()
            process.waitUntilExit()
            let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
            #expect(process.terminationReason == .exit && process.terminationStatus == 5, "\(text)")
            #expect(text.contains("\(gone.path): ") && text.contains("Input/output error"), "\(text)")
            #expect(try same(bench.disk(), bytes), "the other is complete")
            #expect(looksLikeNothing(try #require(bench.scratch.read("gone"))))
        }
    }

    /// A device that gives other bytes than were written: exit 6, and the range is named.
    @Test func aDeviceThatLies() throws {
        guard let (bench, _) = bench(16) else { return }
        let place = 3 * Self.mebibyte + 4096
        for attempt in 0..<5 {
            var status: Int32 = 0
            try bench.with([16 << 20]) { devices in
                // Someone else's bytes get to the medium again and again.
                let path = bench.scratch.file("disk-0")
                let liar = Thread {
                    let file = unsafe open(path, O_WRONLY)
                    var byte: UInt8 = 0
                    while !Thread.current.isCancelled {
                        byte &+= 1
                        _ = unsafe pwrite(file, &byte, 1, off_t(place + 77))
                    }
                    close(file)
                }
                liar.start()
                defer { liar.cancel() }
                let result = try bench.restore(["--yes", "--journal", "j-\(attempt)", "-f", "raw", "in.raw"] + devices)
                status = result.status
                guard status != 0 else { return }
                #expect(status == 6, "\(result.errors)")
                #expect(result.errors.contains("bytes \(place) to \(place + 4095)"), "\(result.errors)")
                #expect(result.text.contains("DIFFERS"), "\(result.text)")
                #expect(looksLikeNothing(try bench.disk()))
            }
            if status != 0 { return }
            print("the restore was faster than the liar")
        }
        Issue.record("five times the byte was right by chance")
    }
}
