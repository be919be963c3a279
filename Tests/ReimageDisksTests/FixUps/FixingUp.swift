import Foundation
import ReimageCore
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

@testable import ReimageDisks

/// A store shown as a disk.
struct StoreDisk: BlockDevice {
    let store: any ByteStore

    init(_ store: any ByteStore) { self.store = store }
    init(_ bytes: [UInt8]) { store = MemoryStore(bytes, holeSize: 4096) }

    var byteCount: UInt64 { store.byteCount }
    var sectorSize: Int { 512 }
    var stores: [any ByteStore] { [store] }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        try store.extent(at: HostOffset(offset.value), limit: min(limit, byteCount - offset.value))
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { Cursor(store: store) }

    private final class Cursor: DiskCursor {
        let store: any ByteStore
        init(store: any ByteStore) { self.store = store }
        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            try store.read(into: &buffer, at: HostOffset(offset.value))
        }
    }
}

/// Images and the targets that they are put onto, as a restore would do it.
struct Workbench {
    let scratch = Scratch()

    /// The bytes of a disk that `sfdisk` partitions; `nil`, with the reason printed, where that cannot be done.
    func image(_ script: String, size: Int, sector: Int = 512) throws -> [UInt8]? {
        guard let made = try MadeTable(script, size: size, sector: sector, in: scratch) else { return nil }
        return try FileStore(path: made.path).bytes(at: .zero, count: size)
    }

    func plan(
        _ image: [UInt8], said: Int = 512, size: Int, sector: Int = 512, _ options: FixUpOptions = FixUpOptions()
    ) throws(ImageError) -> FixUpPlan {
        try FixUps.plan(
            disk: StoreDisk(image), imageSectorSize: said, targetByteCount: UInt64(size), targetSectorSize: sector,
            options: options)
    }

    /// What a target that held other things before holds after a restore.
    func restored(_ image: [UInt8], _ plan: FixUpPlan) throws -> [UInt8] {
        var target = [UInt8](repeating: 0xE5, count: Int(plan.targetByteCount))
        let disk = PatchedDisk(StoreDisk(image), plan)
        for range in disk.contentRanges {
            #expect(range.start.value % UInt64(plan.targetSectorSize) == 0)
            #expect(range.count % UInt64(plan.targetSectorSize) == 0)
            let bytes = try disk.bytes(at: range.start, count: Int(range.count))
            target.replaceSubrange(Int(range.start.value)..<Int(range.end.value), with: bytes)
        }
        return target
    }

    /// Expects that the table of `bytes` is whole, in our eyes and in those of `sgdisk` and `sfdisk`.
    func expectWhole(_ bytes: [UInt8], sector: Int = 512, _ comment: Comment? = nil) throws {
        let table = try #require(try PartitionTable.read(bytes, sectorSize: sector), comment)
        #expect(table.problems.isEmpty, comment)
        let path = scratch.write(bytes, to: "target-\(UUID().uuidString)")
        func look(_ device: String) throws {
            if case .gpt = table, let sgdisk = Program(named: "sgdisk") {
                let result = try sgdisk.run(["-v", device])
                #expect(result.text.contains("No problems found"), "\(result.text) \(comment?.rawValue ?? "")")
            }
            if let sfdisk = Program(named: "sfdisk") {
                let result = try sfdisk.run(["--verify", device])
                #expect(result.status == 0 && !result.errors.contains("rror"), "\(result.errors)")
                #expect(!result.errors.contains("corrupt") && !result.errors.contains("mismatch"), "\(result.errors)")
            }
        }
        if sector == 512 { return try look(path) }
        guard let loops = LoopDevices() else { return }
        try loops.with(file: path, sector: sector) { try look($0) }
    }

    /// Random bits that are the same in every run.
    static func seeded(_ seed: UInt64 = 1) -> @Sendable () -> UInt64 {
        let random = Monitor(SeededGenerator(seed: seed))
        return { random.withLock { $0.next() } }
    }
}

extension FixUpPlan {
    var kinds: Set<FixUp.Kind> { Set(changes.map(\.kind)) }
}

extension [UInt8] {
    func isZero(_ range: Range<Int>) -> Bool { withBytes { $0.extracting(range).isZero } }
}
