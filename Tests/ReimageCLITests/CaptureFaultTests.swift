import Foundation
import ReimageTesting
import TestSupport
import Testing

/// `reimage capture` of devices that cannot be read everywhere, and what is gone on with.
@Suite(.serialized) struct CaptureFaultTests {
    private static let mebibyte = 1 << 20

    /// Bad sectors of a device in the midst of good ones: no more than they are lost, and JSON says which.
    @Test func badSectors() throws {
        guard let bench = RestoreBench() else { return }
        let bytes = PatternDisk.bytes(count: 4 << 20, seed: 5)
        let places = [Self.mebibyte + 8192, 3 * Self.mebibyte]
        bench.scratch.write(bytes, to: "disk")
        guard let bad = try FaultyDevice(bench, over: "disk", places.map { .failsReads(at: $0) }) else { return }
        func capture(_ arguments: String...) throws -> ProgramResult {
            try bench.reimage.run(["capture", "--retries", "1"] + arguments, in: bench.scratch.path)
        }
        for image in ["stop.rimg", "stop.raw", "stop.qcow2"] {
            let result = try capture("--json", bad.path, image)
            #expect(result.status == 4 && result.output.isEmpty, "\(result.errors)")
            // Many threads read; either may be found first.
            let isNamed = places.contains { result.errors.contains("(at byte \($0) of the disk)") }
            #expect(isNamed, "\(result.errors)")
            #expect(!bench.scratch.names.contains(image))
        }
        for image in ["lost.rimg", "lost.raw"] {
            let result = try capture("--json", "--verify", "--on-read-error", "zero", bad.path, image)
            #expect(result.status == 1 && result.errors.contains("in 2 places"), "\(result.errors)")
            let json = try result.json()
            let runs = try #require(json["unreadable"] as? [[String: Any]])
            #expect(runs.map { $0["start"] as? Int } == places, "\(runs)")
            #expect(runs.allSatisfy { $0["error"] as? Int == 5 && $0["tries"] as? Int == 2 })
            // The page of the file below is what fails.
            let lengths = runs.compactMap { $0["length"] as? Int }
            #expect(lengths.allSatisfy { $0 == 512 || $0 == 4096 }, "\(lengths)")
            #expect(json["unreadable-bytes"] as? Int == lengths.reduce(0, +))
            #expect((json["device"] as? [String: Any])?["path"] as? String == bad.path)
            let made = try #require(json["image"] as? [String: Any])
            #expect(made["filename"] as? String == image && made["verified"] as? Bool == true)
            #expect(made["virtual-size"] as? Int == bytes.count)
            #expect(json["map"] as? String == (image == "lost.raw" ? "lost.raw.map" : nil))
            var expected = bytes
            for (place, length) in zip(places, lengths) {
                expected.replaceSubrange(place..<place + length, with: [UInt8](repeating: 0, count: length))
            }
            bench.scratch.write(expected, to: "expected")
            let digest = try bench.reimage.run(["digest", "-f", "raw", bench.scratch.file("expected")])
            #expect(digest.text.hasPrefix(made["digest"] as? String ?? "none"), "\(digest.text)")
        }
        #expect(try capture("--json", bad.path, "-").status == 64)
    }

    /// A device that is pulled out is not one that is full of bad sectors.
    @Test func aDeviceThatGoesAway() throws {
        guard let bench = RestoreBench() else { return }
        bench.scratch.write(PatternDisk.bytes(count: 24 << 20, seed: 6), to: "disk")
        guard let gone = try FaultyDevice(bench, over: "disk", rate: 2 << 20) else { return }
        let process = try bench.reimage.start(
            ["capture", "--progress", "json", "--on-read-error", "zero", "--retries", "0", gone.path, "out.raw"],
            in: bench.scratch.path)
        let errors = Pipe()
        process.standardError = errors
        try process.run()
        // Once something was read, all that fails later may be the device.
        var text = ""
        while !text.contains(/"bytes":[1-9]/) {
            let more = errors.fileHandleForReading.availableData
            if more.isEmpty { break }
            text += String(decoding: more, as: UTF8.self)
        }
        gone.vanish()
        text += String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        #expect(process.terminationReason == .exit && process.terminationStatus == 4, "\(text)")
        #expect(text.contains("does not answer any longer"), "\(text)")
        #expect(!bench.scratch.names.contains { $0.hasPrefix("out.raw") || $0.contains("partial") })
    }

    /// A capture that ended early goes on: what the archive has is proved, and the result is that of one run.
    @Test func resumes() throws {
        guard let bench = RestoreBench() else { return }
        let (range, size, good) = (256 << 20, 640 << 20, 400 << 20)
        let noise = PatternDisk.bytes(count: 2 * Self.mebibyte, seed: 8)
        func fill(from start: Int) throws {
            let file = try #require(FileHandle(forWritingAtPath: bench.scratch.file("disk")))
            try file.truncate(atOffset: UInt64(size))
            for place in [0, range + 4096, good + Self.mebibyte, 2 * range + 512] where place >= start {
                try file.seek(toOffset: UInt64(place))
                try file.write(contentsOf: Data(noise))
            }
            try file.close()
        }
        bench.scratch.write([], to: "disk")
        try fill(from: 0)
        try bench.with(file: bench.scratch.file("disk")) { device in
            func capture(_ arguments: String...) throws -> ProgramResult {
                try bench.reimage.run(
                    ["capture", "--retries", "0", "-o", "chunk_size=64k"] + arguments, in: bench.scratch.path,
                    environment: ["SOURCE_DATE_EPOCH": "1767225600"], seconds: 120)
            }
            let whole = try capture(device, "whole.rimg")
            #expect(whole.status == 0, "\(whole.errors)")
            // Its medium fails behind the first part, as if its connection were loose.
            try FileHandle(forWritingTo: URL(fileURLWithPath: bench.scratch.file("disk"))).truncate(
                atOffset: UInt64(good))
            let cut = try capture(device, "out.rimg")
            #expect(cut.status == 7 && cut.errors.contains("--resume"), "\(cut.errors)")
            #expect(
                cut.errors.contains("256 MiB of 640 MiB are kept in") && cut.errors.contains(".out.rimg.partial"),
                "\(cut.errors)")
            #expect(!bench.scratch.names.contains("out.rimg"))
            // Still bad: it stays what can be gone on with.
            let bad = try capture("--resume", device, "out.rimg")
            #expect(bad.status == 7, "\(bad.errors)")
            try fill(from: good)
            let result = try capture("--resume", "--verify", device, "out.rimg")
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.errors.contains("goes on behind 256 MiB of 640 MiB"), "\(result.errors)")
            #expect(bench.scratch.read("out.rimg") == bench.scratch.read("whole.rimg"))
            #expect(!bench.scratch.names.contains(".out.rimg.partial"))
            // Other formats say that they cannot, before they read anything.
            for image in ["out.qcow2", "out.raw", "out.vhd"] {
                let refused = try bench.reimage.run(["capture", "--resume", device, image], in: bench.scratch.path)
                #expect(refused.status == 63 && refused.errors.contains("Leave --resume away"), "\(refused.errors)")
                #expect(!bench.scratch.names.contains(image))
            }
        }
    }

    /// The disk has changed since: what the archive has of it is not what is there, and nothing is made of the two.
    @Test func doesNotGoOnWithAnotherDisk() throws {
        guard let bench = RestoreBench() else { return }
        bench.scratch.write([], to: "disk")
        let file = try #require(FileHandle(forWritingAtPath: bench.scratch.file("disk")))
        let bytes = PatternDisk.bytes(count: Self.mebibyte, seed: 9)
        try file.write(contentsOf: Data(bytes))
        try file.truncate(atOffset: 300 << 20)
        try bench.with(file: bench.scratch.file("disk")) { device in
            try file.truncate(atOffset: 260 << 20)
            let command = ["capture", "--retries", "0", "-o", "chunk_size=64k", device, "out.rimg"]
            let cut = try bench.reimage.run(command, in: bench.scratch.path)
            #expect(cut.status == 7, "\(cut.errors)")
            let before = bench.scratch.read(".out.rimg.partial")
            try file.truncate(atOffset: 300 << 20)
            try file.seek(toOffset: 5)
            try file.write(contentsOf: Data([bytes[5] ^ 1]))
            let other = try bench.reimage.run(command + ["--resume"], in: bench.scratch.path)
            #expect(other.status == 6 && other.errors.contains("not what it was"), "\(other.errors)")
            #expect(bench.scratch.read(".out.rimg.partial") == before && before != nil)
        }
        try file.close()
    }
}
