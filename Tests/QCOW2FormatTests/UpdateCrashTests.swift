import QCOW2Format
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

/// An image that is changed, and stops being changed at any moment: it opens, every byte is old or new, and nothing but
/// space is lost.
@Suite(.enabled(if: QEMU.isInstalled)) struct UpdateCrashTests {
    private let folder = Scratch()

    @Test(arguments: UpdateSample.all) func aCrashLosesNothing(_ sample: UpdateSample) throws {
        var random = SeededGenerator(seed: UInt64(sample.name.utf8.count) &* 77)
        let changes = (0..<10).map { _ in
            GuestChange.random(
                count: sample.byteCount, cluster: sample.clusterSize, largest: sample.largest, &random)
        }
        try crash(sample, changes, stride: 1)
    }

    @Test func aCrashWhileTheRefcountTableGrows() throws {
        let sample = UpdateSample.fullTable
        let changes: [GuestChange] = [
            .write(1_990_000..<2_100_000, seed: 1), .discard(100_000..<300_000), .write(2_100_000..<2_400_000, seed: 2),
        ]
        try crash(sample, changes, stride: 3)
    }

    @Test(arguments: UpdateSample.all.filter { !$0.options.contains("0.10") || !$0.hasSnapshot })
    func aCrashWhileTheLengthChanges(_ sample: UpdateSample) throws {
        let size = sample.byteCount
        let half = size / 1024 * 512
        let longer = size + (2 * sample.clusterSize + 51200)
        let changes: [GuestChange] = [
            .resize(longer), .write(size - 700..<longer - 300, seed: 1), .resize(half + 512),
            .write(half - 1000..<half + 100, seed: 2), .resize(size), .write(size - 5000..<size, seed: 3),
            .resize(size - 9728), .resize(longer, preallocation: "metadata"), .resize(1024),
            .resize(longer, preallocation: "full"),
        ]
        try crash(sample, changes, stride: 1)
    }

    /// The L1 table moves, and needs blocks that count its new place.
    @Test func aCrashWhileTheL1TableMoves() throws {
        var sample = UpdateSample.fullTable
        sample.byteCount = 200_192
        sample.steps = [["write -P 1 0 150k"]]
        let changes: [GuestChange] = [
            .resize(3 << 20), .write(1_000_000..<1_030_000, seed: 1), .resize(20 << 20),
            .resize(30 << 20), .resize(40 << 20), .resize(200_192),
        ]
        try crash(sample, changes, stride: 1)
    }

    private func crash(_ sample: UpdateSample, _ changes: [GuestChange], stride: Int) throws {
        let made = try sample.make(in: folder)
        let journal = Journal()
        let store = JournalStore(made.image, journal)
        let data = sample.hasDataFile ? JournalStore(made.data, journal, index: 1) : nil
        let context = OpenContext(references: sample.resolver(made, data, in: folder))
        let target = UpdateTarget(store: store)
        var disk = try QCOW2Format().openForWriting(target, context)
        var states = [made.disk]
        var ends: [Int] = []
        for change in changes {
            if case .resize(let count, let preallocation) = change {
                try QCOW2Format().resize(
                    target,
                    ResizeRequest(byteCount: UInt64(count), allowsShrinking: true, preallocation: preallocation),
                    context)
                disk = try QCOW2Format().openForWriting(target, context)
            } else {
                try change.apply(to: disk)
                try disk.flush()
            }
            var state = states[states.count - 1]
            change.apply(to: &state, grain: sample.grain)
            states.append(state)
            ends.append(journal.count)
        }
        #expect(isSame(try read(disk), states[states.count - 1]))

        let replay = Replay(sample: sample, made: made, folder: folder)
        var random = SeededGenerator(seed: 3)
        var moment = CrashMoment(files: [made.image, made.data])
        for (number, entry) in journal.changes.enumerated() {
            let isLookedAt = number < 200 || number % stride == 0
            let change = ends.firstIndex { number < $0 } ?? 0
            let between = (states[change], states[change + 1])
            if case .sync = entry.change {
                // What a medium does that writes in its own order between two syncs.
                for files in isLookedAt ? moment.reordered(&random) : [] {
                    try replay.check(files, between, "reordered before \(number), in \(changes[change])")
                }
                moment.take(entry)
            } else {
                moment.take(entry)
                guard isLookedAt else { continue }
                try replay.check(
                    moment.now, between, "after \(number), in \(changes[change])", asksQEMU: number % 11 == 0)
            }
        }
        let last = states[changes.count]
        try replay.check(moment.now, (last, last), "at the end", asksQEMU: true, mayLeak: false)
    }
}

/// The files as they are on the medium at one moment.
struct CrashMoment {
    /// With everything that was written.
    private(set) var now: [[UInt8]]
    /// With what was synced alone.
    private var synced: [[UInt8]]
    /// What was written since.
    private(set) var pending: [(store: Int, change: Journal.Change)] = []

    init(files: [[UInt8]]) {
        now = files
        synced = files
    }

    mutating func take(_ entry: (store: Int, change: Journal.Change)) {
        guard case .sync = entry.change else {
            entry.change.apply(to: &now[entry.store])
            return pending.append(entry)
        }
        for old in pending where old.store == entry.store { old.change.apply(to: &synced[old.store]) }
        pending.removeAll { $0.store == entry.store }
    }

    /// The files when some of what was not synced yet is lost: all but the last change, the first, and any.
    func reordered(_ random: inout SeededGenerator) -> [[[UInt8]]] {
        guard pending.count > 1 else { return [] }
        var kept = [Array(repeating: false, count: pending.count), Array(repeating: true, count: pending.count)]
        kept[0][pending.count - 1] = true
        kept[1][0] = false
        if pending.count > 2 { kept += (0..<2).map { _ in pending.map { _ in Bool.random(using: &random) } } }
        return kept.map { kept in
            var files = synced
            for (entry, isKept) in zip(pending, kept) where isKept { entry.change.apply(to: &files[entry.store]) }
            return files
        }
    }
}

/// Looks at the files that a crash left.
struct Replay {
    let sample: UpdateSample
    let made: UpdateSample.Made
    let folder: Scratch

    func check(
        _ files: [[UInt8]], _ between: (old: [UInt8], new: [UInt8]), _ moment: String, asksQEMU: Bool = false,
        mayLeak: Bool = true
    ) throws {
        let data = sample.hasDataFile ? MemoryStore(files[1]) : nil
        let resolver = sample.resolver(made, data, in: folder)
        do {
            let source = ImageSource(store: MemoryStore(files[0], name: "crashed"))
            let image = try QCOW2Format().open(source, OpenContext(references: resolver))
            let bytes = try read(try device(image))
            let place = firstForeignSector(bytes, between)
            #expect(place == nil, "\(sample.name) \(moment): byte \(place ?? 0) is neither old nor new")
            let findings = try check(source, resolver, mayLeak: mayLeak)
            #expect(findings.isEmpty, "\(sample.name) \(moment): \(findings.prefix(3))")
            if sample.hasSnapshot {
                let context = OpenContext(references: resolver, snapshot: "before")
                let before = try read(try device(try QCOW2Format().open(source, context)))
                #expect(isSame(before, made.snapshot), "\(sample.name) \(moment): the snapshot changed")
            }
        } catch {
            Issue.record("\(sample.name) \(moment): \(error)")
        }
        guard asksQEMU else { return }
        folder.write(files[0], to: "crashed.qcow2")
        if sample.hasDataFile { folder.write(files[1], to: "data") }
        let result = try #require(Program(named: "qemu-img")).run(["check", folder.file("crashed.qcow2")])
        #expect(
            result.status == 0 || (result.status == 3 && mayLeak),
            "\(sample.name) \(moment): \(result.text.suffix(300)) \(result.errors.suffix(500))")
    }

    /// What the image's structures say that they must not.
    private func check(
        _ source: ImageSource, _ resolver: UpdateResolver, mayLeak: Bool
    ) throws(ImageError) -> [String] {
        var findings: [String] = []
        let summary = try QCOW2Format().check(source, OpenContext(references: resolver)) { finding in
            if finding.kind == .corruption || (finding.kind == .leak && !mayLeak) { findings.append(finding.message) }
        }
        if summary.checkErrors > 0 { findings.append("\(summary.checkErrors) structures could not be examined") }
        return findings
    }

    /// The first sector that is neither that of the old disk nor of the new; a length that is neither, too.
    private func firstForeignSector(_ bytes: [UInt8], _ between: (old: [UInt8], new: [UInt8])) -> Int? {
        if isSame(bytes, between.old) || isSame(bytes, between.new) { return nil }
        guard bytes.count == between.old.count || bytes.count == between.new.count else { return bytes.count }
        return (0..<(bytes.count + 511) / 512).map { $0 * 512 }.first { start in
            !isSame(bytes, between.old, start, 512) && !isSame(bytes, between.new, start, 512)
        }
    }
}
