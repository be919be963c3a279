@testable import QCOW2Format
import ReimageCore
import ReimageTesting
import Testing

/// What `repair` makes of damaged images, and of being interrupted.
@Suite struct CheckRepairTests {
    struct Damaged: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        /// Words that a finding of the repair must have.
        var words: String
        var clusterSize = 512
        var backing: [UInt8]?
        var snapshot: String?

        var resolver: FakeResolver? { backing.map { FakeResolver(images: ["base": $0]) } }
        var testDescription: String { name }
    }

    @Test(arguments: Damaged.all) func isCleanAfterwardsAndReadsTheSame(damaged: Damaged) throws {
        let before = try check(damaged.bytes).summary
        let store = MemoryStore(damaged.bytes)
        let (summary, findings) = try repair(store, .all)
        #expect(summary.isClean, "\(findings.map(\.message))")
        #expect(summary.corruptionsFixed == before.corruptions && summary.leaksFixed == before.leaks)
        #expect(findings.contains { $0.isFixed && $0.message.contains(damaged.words) }, "\(findings.map(\.message))")
        let after = try check(store.bytes)
        #expect(after.summary.isClean && after.findings.isEmpty)
        try readsTheSame(store.bytes, damaged)
        // Once is enough.
        let once = store.bytes
        #expect(try repair(store, .all).findings.isEmpty)
        #expect(store.bytes == once)
    }

    /// The power goes after every change: the image opens, reads the same, and can be repaired to the end.
    @Test(arguments: Damaged.all) func anInterruptionLosesNothing(damaged: Damaged) throws {
        var count = 0
        while true {
            let memory = MemoryStore(damaged.bytes)
            let store = InterruptedStore(memory, after: count)
            do throws(ImageError) {
                _ = try repair(store, .all)
                break
            } catch {
                #expect(error.code == .targetFailed)
            }
            try readsTheSame(memory.bytes, damaged, "after \(count) changes")
            let (again, findings) = try repair(memory, .all)
            #expect(again.isClean, "after \(count) changes: \(findings.map(\.message))")
            try readsTheSame(memory.bytes, damaged, "after \(count) changes, repaired again")
            count += 1
        }
        #expect(count > 0)
    }

    /// What could be read reads the same, and what could not is an error or zeros.
    private func readsTheSame(_ bytes: [UInt8], _ damaged: Damaged, _ when: String = "") throws {
        let size = damaged.clusterSize
        for snapshot in [nil, damaged.snapshot].prefix(damaged.snapshot == nil ? 1 : 2) {
            let old = try? readableClusters(damaged.bytes, size: size, damaged.resolver, snapshot: snapshot)
            guard let old else {
                // Only a snapshot may be out of reach as a whole.
                #expect(snapshot != nil)
                continue
            }
            let new = try readableClusters(bytes, size: size, damaged.resolver, snapshot: snapshot)
            #expect(old.count == new.count)
            for (index, cluster) in old.enumerated() {
                guard let cluster else { continue }
                #expect(new[index] == cluster, "\(damaged.name) \(when): cluster \(index)")
            }
        }
    }

    @Test func lostBytesAreReportedAndZero() throws {
        var image = ImageBuilder(size: 4096)
        for cluster in 0..<3 { image.data(UInt64(cluster), pattern(cluster, 512)) }
        image.map(1, 1 << 30)
        let store = MemoryStore(image.finished())
        let findings = try repair(store, .all).findings
        #expect(
            findings.contains {
                $0.isFixed && $0.guest == GuestRange(start: GuestOffset(512), count: 512)
                    && $0.message.contains("are zeros now")
            })
        #expect(try contents(store.bytes)[512..<1024].allSatisfy { $0 == 0 })
    }

    @Test func leaksAreGivenBack() throws {
        var image = ImageBuilder(size: 4096)
        image.data(0, pattern(1, 512))
        image.map(0, image.plain[0] ?? 0)
        let place = Int(image.append(pattern(9, 512)))
        var bytes = image.finished()
        setRefcount(2, ofClusterAt: Int(image.plain[0] ?? 0), &bytes)
        #expect(try check(bytes).summary.leaks == 2)
        let store = MemoryStore(bytes)
        let summary = try repair(store, .leaks).summary
        #expect(summary.isClean && summary.leaksFixed == 2 && summary.corruptionsFixed == 0)
        #expect(try contents(store.bytes) == contents(bytes))
        // Nothing but the refcounts and one flag.
        let changed = zip(bytes, store.bytes).enumerated().filter { $0.element.0 != $0.element.1 }.map(\.offset)
        #expect(
            changed == [1024 + Int(image.plain[0] ?? 0) / 256 + 1, 1024 + place / 256 + 1, Int(image.tables[0] ?? 0)])
    }

    @Test(arguments: ["dirty", "too low", "lost table"]) func leaksStayWhereTheyMayBeData(reason: String) throws {
        var image = ImageBuilder(size: 4096)
        image.data(0, pattern(1, 512))
        _ = image.append(pattern(9, 512))
        if reason == "dirty" { image.incompatible |= 1 }
        if reason == "lost table" { image.put(UInt64(1 << 40), at: image.l1Offset) }
        var bytes = image.finished()
        if reason == "too low" { setRefcount(0, ofClusterAt: Int(image.plain[0] ?? 0), &bytes) }
        let store = MemoryStore(bytes)
        let (summary, findings) = try repair(store, .leaks)
        #expect(summary.leaks > 0 && summary.leaksFixed == 0)
        #expect(findings.contains { $0.kind == .remark && $0.message.contains("-r all") })
        #expect(store.bytes == bytes)
    }

    @Test func whatOnlyAGuessCouldRepairIsLeft() throws {
        var image = ImageBuilder(size: 4096)
        image.incompatible = 4
        image.extensions = [(0x4441_5441, Array("data".utf8))]
        image.map(0, 1 << 63)
        image.map(2, 1 << 63 | 512)
        let bytes = image.finished()
        let store = MemoryStore(bytes)
        let (summary, findings) = try repair(store, .all)
        #expect(summary.corruptions == 1 && summary.corruptionsFixed == 0)
        #expect(!findings.contains { $0.isFixed })
        #expect(store.bytes == bytes)
    }

    @Test func aCleanImageIsNotWrittenTo() throws {
        var image = ImageBuilder(size: 4096)
        image.data(0, pattern(1, 512))
        let store = InterruptedStore(MemoryStore(image.finished()), after: 0)
        #expect(try repair(store, .all).summary.isClean)
        #expect(try repair(store, .leaks).summary.isClean)
    }
}
