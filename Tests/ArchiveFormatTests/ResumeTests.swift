import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// Archives whose making was interrupted, gone on with.
@Suite struct ResumeTests {
    private static let chunk = 65536

    /// Data with duplicates, runs of every kind over the borders of leaf ranges, and ranges that cannot be read.
    private static func disk(seed: UInt64) -> RunDisk {
        let parts: [(kind: Extent.Kind, chunks: Int)] = [
            (.data, 9), (.hole, 30), (.data, 3), (.unreadable, 6), (.data, 5), (.zero, 9), (.hole, 8), (.data, 14),
            (.unreadable, 1), (.hole, 17), (.data, 1), (.zero, 13),
        ]
        var bytes: [UInt8] = []
        let data = mixed(40 * chunk, seed: seed)
        for part in parts {
            let count = part.chunks * chunk
            bytes +=
                part.kind == .data
                ? Array(data[bytes.count % 500_000..<bytes.count % 500_000 + count])
                : [UInt8](repeating: 0, count: count)
        }
        var runs = parts.map { (kind: $0.kind, count: UInt64($0.chunks * chunk)) }
        runs[runs.count - 1].count -= 700
        return RunDisk(bytes, runs: runs)
    }

    private func small(_ change: (inout WriterSettings) -> Void = { _ in }) throws -> WriterSettings {
        try settings {
            ($0.chunkLog2, $0.leafLog2, $0.dedupWindow) = (16, 2, 4)
            change(&$0)
        }
    }

    /// What going on from `partial` gives; `nil` where there is no LEAF record that counts.
    private func resumed(
        _ partial: [UInt8], _ disk: RunDisk, _ settings: WriterSettings, threads: Int = 2
    ) throws -> (start: UInt64, bytes: [UInt8])? {
        guard let found = try PartialArchive(MemoryStore(partial), cancellation: Cancellation()) else { return nil }
        let writer = try ArchiveWriter(settings, byteCount: disk.byteCount, resuming: found)
        let target = MemoryStore(Array(partial.prefix(Int(found.replay.position.value))))
        var job = CopyJob(
            .random(disk), writer: writer, sink: target, digest: true, options: JobOptions(threadCount: threads))
        job.start = GuestOffset(min(found.replay.index.slot << 16, disk.byteCount))
        job.prefix = try ProofJob(disk, options: JobOptions(threadCount: threads)).prove(
            found.replay.index.proofs, before: job.start)
        let summary = try job.run()
        #expect(try summary.digest == ArchiveFormat.indexDigest(of: source(target.bytes)))
        return (job.start.value, target.bytes)
    }

    @Test(arguments: [1, 2] as [UInt64])
    func theResultIsThatOfAnUndisturbedRun(_ seed: UInt64) throws {
        let disk = Self.disk(seed: seed)
        for settings in [try small(), try small { $0.dedupWindow = 0 }, try small { $0.leafLog2 = 1 }] {
            let whole = try write(disk, settings)
            var random = SeededGenerator(seed: seed)
            var starts: Set<UInt64> = []
            let cuts =
                (0..<50).map { _ in Int.random(in: 0..<whole.count, using: &random) } + [whole.count, 0, 4096, 5000]
            for cut in cuts {
                // What was not written yet may be there as zeros, or as something else.
                let rest = [UInt8](repeating: UInt8.random(in: 0...1, using: &random), count: 3000)
                guard let again = try resumed(whole.prefix(cut) + rest, disk, settings) else { continue }
                #expect(again.bytes == whole, "cut at \(cut)")
                starts.insert(again.start)
            }
            #expect(starts.count > 4)
        }
    }

    /// What a machine that lost its power left of a payload need not be what was written.
    @Test func aDamagedPayloadDoesNotCount() throws {
        let disk = Self.disk(seed: 3)
        let settings = try small()
        let whole = try write(disk, settings)
        var starts: [UInt64] = []
        for place in stride(from: 4096, to: whole.count, by: 6007) {
            var bytes = whole
            for index in place..<min(place + 512, whole.count) { bytes[index] = 0 }
            guard bytes != whole, let again = try resumed(bytes, disk, settings) else { continue }
            #expect(again.bytes == whole, "damaged at \(place)")
            starts.append(again.start)
        }
        #expect(starts == starts.sorted() && Set(starts).count > 2)
    }

    @Test func theSourceMustBeTheSame() throws {
        let disk = Self.disk(seed: 4)
        let settings = try small()
        let whole = try write(disk, settings)
        let found = try #require(try PartialArchive(MemoryStore(whole), cancellation: Cancellation()))
        let end = GuestOffset(found.replay.index.slot << 16)
        for place in [0, 8 * Self.chunk + 5, 9 * Self.chunk, 60 * Self.chunk + 1] {
            var bytes = disk.bytes
            bytes[place] ^= 0xFF
            let changed = RunDisk(Array(bytes.prefix(Int(disk.byteCount))))
            let error = #expect(throws: ImageError.self) {
                try ProofJob(changed).prove(found.replay.index.proofs, before: end)
            }
            #expect(error?.code == .mismatch)
            guard case .guest(let offset) = error?.place else {
                Issue.record("no place: \(String(describing: error))")
                continue
            }
            #expect(offset.value <= UInt64(place), "\(place)")
        }
        #expect(found.samples.count > 10)
        #expect(try ProofJob(disk).firstChange(in: found.samples) == nil)
        var bytes = disk.bytes
        bytes[4] ^= 1
        #expect(try ProofJob(RunDisk(bytes)).firstChange(in: found.samples) == .zero)
    }

    @Test func theSettingsMustBeTheSame() throws {
        let disk = Self.disk(seed: 5)
        let whole = try write(disk, try small())
        let found = try #require(try PartialArchive(MemoryStore(whole), cancellation: Cancellation()))
        func refusal(_ byteCount: UInt64 = disk.byteCount, _ change: (inout WriterSettings) -> Void) throws -> String {
            let settings = try small(change)
            let error = #expect(throws: ImageError.self) {
                try ArchiveWriter(settings, byteCount: byteCount, resuming: found)
            }
            #expect(error?.code == .refused)
            return error?.message ?? ""
        }
        #expect(try refusal { $0.chunkLog2 = 17 }.contains("chunk size 65536 (now 131072)"))
        #expect(try refusal { $0.coding = .deflate(level: 6) }.contains("codecs"))
        #expect(try refusal { $0.dedupWindow = 0 }.contains("window"))
        #expect(try refusal { $0.seed = [1] }.contains("seed"))
        #expect(try refusal { $0.stamp = ImageStamp(seconds: 9) }.contains("time"))
        #expect(
            try refusal { $0.stamp = ImageStamp(seconds: 0, uniqueID: [UInt8](repeating: 1, count: 16)) }.contains(
                "deterministic"))
        #expect(try refusal { $0.metadata.members["note"] = .text("x") }.contains("options"))
        #expect(try refusal(disk.byteCount + 1) { _ in }.contains("disk size"))
        // Numbers that are random are those of the archive that was begun.
        let random = try small { $0.stamp = ImageStamp(seconds: 5, uniqueID: [UInt8](repeating: 3, count: 16)) }
        let other = try small { $0.stamp = ImageStamp(seconds: 6, uniqueID: [UInt8](repeating: 4, count: 16)) }
        let begun = try write(disk, random)
        #expect(try resumed(Array(begun.prefix(begun.count - 5000)), disk, other)?.bytes == begun)
    }

    @Test func tellsHowFarItGot() throws {
        let disk = Self.disk(seed: 6)
        let whole = try write(disk, try small())
        for share in [1, 3, 5] {
            let cut = whole.count * share / 6
            let bytes = Array(whole.prefix(cut))
            let info = try ArchiveFormat().open(source(bytes), OpenContext()).info()
            #expect(info.isDirty)
            #expect(info.remarks.contains { $0.contains("incomplete") })
            let fields = Dictionary(info.specific.map { ($0.name, $0.value) }) { first, _ in first }
            let start = try PartialArchive(MemoryStore(bytes), cancellation: Cancellation())?.replay.index.slot
            #expect(fields["committed-size"] == .number((start ?? 0) << 16))
        }
    }
}
