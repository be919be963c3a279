import ReimageCore
import ReimageTesting
import Synchronization
import Testing

@testable import VHDFormat

/// An image that is resized or repaired, and stops being changed at any moment: it opens, and its disk is the old one or
/// the new one.
@Suite struct ResizeCrashTests {
    @Test(arguments: [CheckDamage.Base.dynamic, .fixed, .differencing], [512, 8704, 40 * 4096, 60 * 4096, 400 * 4096])
    func aCrashWhileTheLengthChanges(_ base: CheckDamage.Base, _ size: Int) throws {
        let image = try base.builder().finished()
        let references = base.references
        let old = try contents(image, references)
        try crash(image, references, between: (old, ResizeTests.resized(old, size)), cutAt: min(size, old.count)) {
            try VHDFormat().resize(
                UpdateTarget(store: $0), ResizeRequest(byteCount: UInt64(size), allowsShrinking: true),
                OpenContext(references: references))
        }
    }

    @Test(arguments: CheckTests.damages.filter { $0.outcome == .whole || $0.name.contains("end of the disk") })
    func aCrashWhileItIsRepaired(_ damage: CheckDamage) throws {
        let image = try damage.image()
        let references = damage.base.references
        let context = OpenContext(references: references, options: damage.options)
        guard let old = try? contents(image, references, options: damage.options) else { return }
        for level in [RepairLevel.all, .leaks] {
            try crash(image, references, options: damage.options, between: (old, old), cutAt: old.count) {
                _ = try VHDFormat().repair(UpdateTarget(store: $0), level, context) { _ in }
            }
        }
    }

    /// Runs `body`, and looks at the file after each change, and at what is left where some of the changes since the
    /// last sync are lost.
    private func crash(
        _ image: [UInt8], _ references: FakeResolver?, options: [String: String] = [:],
        between: (old: [UInt8], new: [UInt8]), cutAt: Int, _ body: (any UpdatableStore) throws -> Void
    ) throws {
        let store = RecordingStore(image)
        try body(store)
        var now = image
        var synced = image
        var pending: [RecordingStore.Change] = []
        var random = SeededGenerator(seed: 5)
        for (number, change) in store.changes.enumerated() {
            guard case .sync = change else {
                change.apply(to: &now)
                pending.append(change)
                look(now, references, options, between, cutAt, "after \(number)")
                continue
            }
            for round in 0..<4 where pending.count > 1 {
                var bytes = synced
                for (index, change) in pending.enumerated() {
                    let isKept =
                        switch round {
                        case 0: index == pending.count - 1
                        case 1: index > 0
                        default: Bool.random(using: &random)
                        }
                    if isKept { change.apply(to: &bytes) }
                }
                look(bytes, references, options, between, cutAt, "reordered before \(number)")
            }
            pending = []
            synced = now
        }
        #expect(pending.isEmpty, "the last change was not synced")
        #expect(try contents(now, references, options: options) == between.new)
    }

    private func look(
        _ bytes: [UInt8], _ references: FakeResolver?, _ options: [String: String],
        _ between: (old: [UInt8], new: [UInt8]), _ cutAt: Int, _ moment: String
    ) {
        do {
            let disk = try contents(bytes, references, options: options)
            let isEither = disk == between.old || disk == between.new
            // What is being cut off may be lost before the length says so.
            let isCut = disk.count == between.old.count && disk.prefix(cutAt) == between.old.prefix(cutAt)
            // The old footer of a fixed image stands in what the disk gains until it is wiped.
            var wiped = disk
            if disk.count == between.new.count, disk.count >= between.old.count + 512 {
                wiped.replaceSubrange(between.old.count..<between.old.count + 512, with: repeatElement(0, count: 512))
            }
            #expect(isEither || wiped == between.new || (isCut && between.new.count < between.old.count), "\(moment)")
        } catch {
            Issue.record("\(moment): \(error)")
        }
    }
}

/// A store in memory that writes down what is done to it.
private final class RecordingStore: UpdatableStore {
    enum Change: Sendable {
        case write([UInt8], at: Int)
        case setByteCount(Int)
        case sync

        func apply(to bytes: inout [UInt8]) {
            switch self {
            case .write(let data, let offset):
                let missing = offset + data.count - bytes.count
                if missing > 0 { bytes += [UInt8](repeating: 0, count: missing) }
                bytes.replaceSubrange(offset..<offset + data.count, with: data)
            case .setByteCount(let count):
                if bytes.count > count { bytes.removeLast(bytes.count - count) }
                if bytes.count < count { bytes += [UInt8](repeating: 0, count: count - bytes.count) }
            case .sync: break
            }
        }
    }

    private let inner: MemoryStore
    private let entries = Mutex<[Change]>([])
    var changes: [Change] { entries.withLock { $0 } }

    init(_ bytes: [UInt8]) { inner = MemoryStore(bytes, name: "test.vhd") }

    var id: StoreID { inner.id }
    var name: String { inner.name }
    var identity: StoreIdentity? { nil }
    var byteCount: UInt64 { inner.byteCount }
    var traits: StoreTraits { inner.traits }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try inner.read(into: &buffer, at: offset)
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try inner.extent(at: offset, limit: limit)
    }

    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let copy = try bytes.bytes(0..<bytes.byteCount)
        entries.withLock { $0.append(.write(copy, at: Int(offset.value))) }
        try inner.write(bytes, at: offset)
    }

    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        entries.withLock {
            $0.append(.write([UInt8](repeating: 0, count: Int(range.count)), at: Int(range.start.value)))
        }
        try inner.zero(range, mode: mode)
    }

    func setByteCount(_ count: UInt64) throws(ImageError) {
        entries.withLock { $0.append(.setByteCount(Int(count))) }
        try inner.setByteCount(count)
    }

    func sync() throws(ImageError) { entries.withLock { $0.append(.sync) } }
}
