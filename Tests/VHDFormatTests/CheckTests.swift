import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// What a check says of damaged images, and what a repair makes of them.
@Suite struct CheckTests {
    static let damages = CheckDamage.footers + CheckDamage.header + CheckDamage.blocks

    @Test(arguments: [CheckDamage.Base.dynamic, .fixed, .differencing])
    func aSoundImage(_ base: CheckDamage.Base) throws {
        let (summary, findings) = try check(try base.builder().finished(), base.references)
        #expect(summary.isClean && findings.isEmpty, "\(findings)")
        guard base != .fixed else { return }
        #expect(summary.totalClusters == 42 && summary.allocatedClusters == 4 && summary.fragmentedClusters == 0)
    }

    @Test(arguments: damages) func isFound(_ damage: CheckDamage) throws {
        let (summary, findings) = try check(
            try damage.image(), damage.base.references, options: damage.options)
        for expected in damage.expected {
            let found = findings.contains { finding in
                finding.kind == expected.kind && finding.message.contains(expected.text)
                    && (expected.place.map { finding.place == HostOffset(UInt64($0)) } ?? true)
                    && (expected.guest.map { finding.guest == $0.guestRange } ?? true)
            }
            #expect(found, "\(expected) is not among \(findings)")
        }
        let others = findings.filter { finding in
            !damage.expected.contains { $0.kind == finding.kind && finding.message.contains($0.text) }
        }
        #expect(others.isEmpty, "\(others)")
        #expect((summary.corruptions > 0) == damage.expected.contains { $0.kind == .corruption })
        #expect((summary.leaks > 0) == damage.expected.contains { $0.kind == .leak })
    }

    @Test(arguments: damages) func isRepaired(_ damage: CheckDamage) throws {
        let image = try damage.image()
        let store = MemoryStore(image, name: "test.vhd")
        let before = Result { try contents(image, damage.base.references, options: damage.options) }
        let log = Findings()
        let after: CheckSummary
        do {
            after = try VHDFormat().repair(
                UpdateTarget(store: store), .all,
                OpenContext(references: damage.base.references, options: damage.options), report: log.take)
        } catch {
            #expect(damage.outcome == .left && store.bytes == image, "\(error)")
            return
        }
        let sound = try contents(try damage.base.builder().finished(), damage.base.references)
        switch damage.outcome {
        case .left:
            #expect(!after.isClean && store.bytes == image, "\(log.all)")
            return
        case .partly: break
        case .remarked:
            #expect(after.corruptions == 0, "\(log.all)")
        case .whole, .zeros:
            #expect(after.isClean, "\(log.all)")
            #expect(log.all.contains { $0.isFixed })
        }
        // Only the options that say how to read the damaged one are left away.
        let now = try contents(store.bytes, damage.base.references)
        if case .success(let before) = before {
            #expect(now == before || isZeroed(now, before, damage.outcome), "the content changed")
        } else if case .zeros(let range) = damage.outcome, !range.isEmpty {
            #expect(isZeroed(now, sound, damage.outcome), "the rest of the disk changed")
        }
        guard damage.outcome == .whole else { return }
        let again = try VHDFormat().repair(
            UpdateTarget(store: store), .all, OpenContext(references: damage.base.references)
        ) { _ in }
        #expect(again.isClean && again.corruptionsFixed == 0 && again.leaksFixed == 0)
    }

    private func isZeroed(_ now: [UInt8], _ before: [UInt8], _ outcome: CheckDamage.Outcome) -> Bool {
        guard case .zeros(let range) = outcome else { return false }
        var wanted = before
        wanted.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
        return now == wanted
    }

    /// A guest may keep a VHD of its own, whose footer is no longer one: it is not written over.
    @Test func aLostFooterWhereTheGuestHasOne() throws {
        var builder = CheckDamage.Base.dynamic.builder()
        builder.store(20, pattern(20, 3584) + Array("conectix".utf8) + pattern(21, 504))
        let sound = try contents(try builder.finished())
        builder.endsWithFooter = false
        let store = MemoryStore(try builder.finished(), name: "test.vhd")
        expectError(.damaged, "reaches into the footer") { _ = try contents(store.bytes) }
        let after = try VHDFormat().repair(UpdateTarget(store: store), .all, OpenContext()) { _ in }
        #expect(after.isClean)
        #expect(try contents(store.bytes) == sound)
    }

    /// Repairing two blocks at one place makes a copy of one, which must not lie on what the footer cut of the last.
    @Test func aCopyBehindABlockThatTheFooterCut() throws {
        var file = PatchedFile(bytes: try CheckDamage.Base.dynamic.builder().finished())
        file.bytes.removeSubrange(file.tail - 1024..<file.tail)
        let (from, to) = (VHDBuilder.tablePlace + 4 * 3, VHDBuilder.tablePlace + 4 * 7)
        file.bytes.replaceSubrange(to..<to + 4, with: file.bytes[from..<from + 4])
        let store = MemoryStore(file.bytes, name: "test.vhd")
        let before = try contents(file.bytes)
        let after = try VHDFormat().repair(UpdateTarget(store: store), .all, OpenContext()) { _ in }
        #expect(after.isClean)
        #expect(try contents(store.bytes) == before)
    }

    /// Giving back space leaves damaged images alone.
    @Test(arguments: damages) func leaksAlone(_ damage: CheckDamage) throws {
        let image = try damage.image()
        let store = MemoryStore(image, name: "test.vhd")
        let hasDamage = damage.expected.contains { $0.kind == .corruption }
        let context = OpenContext(references: damage.base.references, options: damage.options)
        let before = try? contents(image, damage.base.references, options: damage.options)
        let after = try VHDFormat().repair(UpdateTarget(store: store), .leaks, context) { _ in }
        #expect(after.leaks == 0 || hasDamage)
        guard damage.expected.contains(where: { $0.kind == .leak }), !hasDamage else {
            #expect(store.bytes == image)
            return
        }
        #expect(store.bytes.count < image.count || after.leaksFixed == 1)
        #expect(try contents(store.bytes, damage.base.references) == before)
    }

    @Test func neitherFooterIsSound() throws {
        var file = PatchedFile(bytes: try CheckDamage.Base.dynamic.builder().finished())
        file.bytes[70] ^= 1
        file.bytes[file.tail + 70] ^= 1
        expectError(.damaged, "the footer's checksum is wrong", at: 0) { _ = try check(file.bytes) }
        file.set(UInt64(0), at: 0)
        file.set(UInt64(0), at: file.tail)
        expectError(.damaged, "there is no VHD footer at either end") { _ = try check(file.bytes) }
    }

    @Test func anAbsentParentCannotBeExamined() throws {
        let image = try CheckDamage.Base.differencing.builder().finished()
        let (summary, findings) = try check(image, FakeResolver())
        #expect(summary.checkErrors == 1 && summary.corruptions == 0)
        #expect(findings.contains { $0.message.contains("the parent 'parent.vhd' could not be examined") })
        // Without leave to open references nothing is said of it.
        #expect(try check(image).summary.isClean)
    }

    /// A table of 2^32 entries, most of which are a hole, takes neither memory nor time.
    @Test func aHugeTable() throws {
        var builder = VHDBuilder(size: 4096 * 8)
        builder.header.entries = .max
        builder.header.tableOffset = 1 << 20
        let store = LongStore(head: try builder.finished(), byteCount: 20 << 30, footer: try builder.footer.bytes())
        let log = Findings()
        let summary = try VHDFormat().check(ImageSource(store: store), OpenContext(), report: log.take)
        #expect(summary.corruptions == 8)
        #expect(log.all.contains { $0.message.contains("blocks 0 to 7 are said to lie at byte 0") })
    }

    @Test func manyBlocksAtOnePlace() throws {
        var builder = VHDBuilder(size: 512 * 1000, blockSize: 512)
        builder.store(0, pattern(1, 512))
        for index in 1..<1000 { builder.setEntry(index, UInt32((builder.blocks[0] ?? 0) / 512)) }
        let log = FindingLog()
        var checker = try Checker(MemoryStore(try builder.finished()), ReaderOptions(), log: log)
        checker.mostPlaces = 16
        try checker.run()
        #expect(log.summary.checkErrors == 1 && checker.facts.isIncomplete)
        #expect(checker.facts.overlapping.count == 16)
    }

    /// However few blocks are compared at a time, the findings are the same.
    @Test func manyWalks() throws {
        var builder = VHDBuilder(size: 512 * 200, blockSize: 512)
        for index in 0..<100 { builder.store((index * 37) % 200, pattern(index, 512)) }
        builder.setEntry(199, UInt32((builder.blocks[37] ?? 0) / 512 + 1))
        let bytes = try builder.finished()
        var results: [[String]] = []
        for most in [BlockPlaces.most, 7, 1] {
            var findings: [String] = []
            let log = FindingLog { if $0.message.contains("the same bytes") { findings.append($0.message) } }
            var checker = try Checker(MemoryStore(bytes), ReaderOptions(), log: log)
            checker.mostPlaces = most
            try checker.run()
            results.append(findings)
        }
        #expect(results[0].count == 1 && results[0] == results[1] && results[0] == results[2], "\(results)")
    }

    @Test func isCancelled() throws {
        let context = OpenContext()
        context.cancellation.cancel()
        let store = MemoryStore(try CheckDamage.Base.dynamic.builder().finished(), name: "test.vhd")
        expectError(.cancelled, "interrupted") {
            _ = try VHDFormat().check(ImageSource(store: store), context) { _ in }
        }
    }

    private func check(
        _ bytes: [UInt8], _ references: FakeResolver? = nil, options: [String: String] = [:]
    ) throws -> (summary: CheckSummary, findings: [CheckFinding]) {
        let log = Findings()
        let source = ImageSource(store: MemoryStore(bytes, name: "test.vhd", holeSize: 512))
        let summary = try VHDFormat().check(
            source, OpenContext(references: references, options: options), report: log.take)
        return (summary, log.all)
    }
}

/// Takes findings.
final class Findings {
    private(set) var all: [CheckFinding] = []
    var take: (CheckFinding) -> Void { { self.all.append($0) } }
}

extension Range<Int> {
    var guestRange: GuestRange {
        GuestRange(start: GuestOffset(UInt64(lowerBound)), count: UInt64(count))
    }
}

/// A long file with a hole between its start and the footer at its end.
private struct LongStore: ByteStore {
    let head: [UInt8]
    let byteCount: UInt64
    let footer: [UInt8]
    let id = StoreID()
    let name = "long.vhd"
    let identity: StoreIdentity? = nil
    let traits = StoreTraits()

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        buffer.zero()
        for (start, bytes) in [(UInt64(0), head), (byteCount - 512, footer)] {
            for (index, byte) in bytes.enumerated() {
                let place = start + UInt64(index)
                guard place >= offset.value, place - offset.value < UInt64(buffer.byteCount) else { continue }
                buffer.storeBig(byte, at: Int(place - offset.value))
            }
        }
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        let start = (UInt64(head.count) + 4095) / 4096 * 4096
        if offset.value < start { return Extent(.data, count: min(limit, start - offset.value)) }
        let end = byteCount - 4096
        if offset.value < end { return Extent(.hole, count: min(limit, end - offset.value)) }
        return Extent(.data, count: min(limit, byteCount - offset.value))
    }
}
