@testable import QCOW2Format
import ReimageCore
import ReimageTesting
import Synchronization

/// Checks an image in memory.
func check(
    _ bytes: [UInt8], mostPages: Int = ReferenceCounter.mostPages
) throws(ImageError) -> (summary: CheckSummary, findings: [CheckFinding]) {
    var findings: [CheckFinding] = []
    do throws(ImageError) {
        let log = FindingLog { findings.append($0) }
        var checker = try Checker(MemoryStore(bytes, name: "test.qcow2"), log: log)
        checker.mostPages = mostPages
        try checker.run()
        return (log.summary, findings)
    } catch {
        throw error.inFile("test.qcow2")
    }
}

/// Repairs an image in place.
func repair(
    _ store: any UpdatableStore, _ level: RepairLevel
) throws(ImageError) -> (summary: CheckSummary, findings: [CheckFinding]) {
    var findings: [CheckFinding] = []
    let summary = try QCOW2Format().repair(UpdateTarget(store: store), level, OpenContext()) { findings.append($0) }
    return (summary, findings)
}

/// Sets a 16 bit refcount in the block that ``ImageBuilder`` makes.
func setRefcount(_ count: UInt16, ofClusterAt place: Int, bits: Int = 9, _ bytes: inout [UInt8]) {
    let offset = (2 << bits) + (place >> bits) * 2
    bytes[offset] = UInt8(count >> 8)
    bytes[offset + 1] = UInt8(count & 255)
}

/// The guest's clusters as far as they can be read; `nil` for those that cannot.
func readableClusters(
    _ bytes: [UInt8], size: Int, _ references: FakeResolver? = nil, snapshot: String? = nil
) throws(ImageError) -> [[UInt8]?] {
    let disk = try device(try open(bytes, references, snapshot: snapshot))
    let cursor = try disk.makeCursor()
    return stride(from: 0, to: disk.byteCount, by: size).map { start in
        try? read(cursor, start..<min(start + UInt64(size), disk.byteCount))
    }
}

/// A file that is mostly a hole.
final class SparseStore: ByteStore {
    private let head: MemoryStore
    let byteCount: UInt64
    let id = StoreID()
    let name = "sparse"
    let identity: StoreIdentity? = nil
    let traits = StoreTraits()

    init(_ bytes: [UInt8], byteCount: UInt64) {
        head = MemoryStore(bytes)
        self.byteCount = byteCount
    }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try PaddedStore(head).read(into: &buffer, at: offset)
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        Extent(.data, count: min(limit, byteCount - offset.value))
    }
}
