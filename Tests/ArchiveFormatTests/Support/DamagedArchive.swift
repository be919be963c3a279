import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageSystem
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// An archive with everything in it that can be damaged, and what is known of it while it is whole.
struct DamagedArchive: Sendable {
    /// What one slot is.
    enum Slot: Hashable, Sendable {
        case kind(SlotKind)
        case data(IndexEntry)
    }

    let bytes: [UInt8]
    let disk: [UInt8]
    let digest: String
    let slots: [Slot]
    /// The places of all records, in order, and behind them that of the tail.
    let places: [Int]
    let types: [RecordType]

    static let chunkSize = 65536

    /// An archive of more than 300 stored chunks: text, noise, copies of slots before, holes and zeros.
    static let standard = Result { () throws(ImageError) in try DamagedArchive(slots: 420, seed: 1) }

    /// A small one, of 40 slots.
    static let small = Result { () throws(ImageError) in try DamagedArchive(slots: 40, seed: 2) }

    init(slots count: Int, seed: UInt64, leafLog2: Int = 4) throws(ImageError) {
        var random = SeededGenerator(seed: seed)
        var disk: [UInt8] = []
        var runs: [(kind: Extent.Kind, count: UInt64)] = []
        disk.reserveCapacity(count * Self.chunkSize)
        for slot in 0..<count {
            let choice = slot < 4 ? slot : Int.random(in: 0..<20, using: &random)
            var kind = Extent.Kind.data
            switch choice {
            case 0: for _ in 0..<Self.chunkSize / 8 { disk += Self.bytes(random.next()) }
            case 1 where slot > 1:
                let source = Int.random(in: 0..<slot, using: &random)
                disk += Array(disk[source * Self.chunkSize..<(source + 1) * Self.chunkSize])
            case 2: kind = .hole
            case 3: kind = .zero
            default:
                // The same 4 KiB again and again, with the slot's number: small when it is encoded.
                var page: [UInt8] = []
                for _ in 0..<128 { page += Self.bytes(random.next() | 1) }
                for part in 0..<Self.chunkSize / 1024 {
                    page[0] = UInt8(truncatingIfNeeded: part)
                    disk += page
                }
            }
            if kind != .data { disk += [UInt8](repeating: 0, count: Self.chunkSize) }
            runs.append((kind, UInt64(Self.chunkSize)))
        }
        // A whole leaf range without a LEAF record, and one more with data.
        for kind in [Extent.Kind.hole, .zero] {
            let length = Self.chunkSize << leafLog2
            disk += [UInt8](repeating: 0, count: length)
            runs.append((kind, UInt64(length)))
        }
        disk += Array(disk.prefix(Self.chunkSize)) + [7, 7, 7]
        runs.append((.data, UInt64(Self.chunkSize + 3)))
        try self.init(disk, runs: runs, leafLog2: leafLog2)
    }

    init(
        _ disk: [UInt8], runs: [(kind: Extent.Kind, count: UInt64)], leafLog2: Int,
        _ change: (inout WriterSettings) -> Void = { _ in }
    ) throws(ImageError) {
        var settings = try WriterSettings(WritePlan(byteCount: nil))
        (settings.chunkLog2, settings.leafLog2, settings.coding) = (16, leafLog2, .zstd(level: 1))
        change(&settings)
        let writer = try ArchiveWriter(settings, byteCount: UInt64(disk.count))
        let target = MemoryStore([])
        let source = RunDisk(disk, runs: runs)
        _ = try CopyJob(.random(source), writer: writer, sink: target, options: JobOptions(threadCount: 2)).run()
        try self.init(target.bytes, disk: disk)
    }

    init(_ bytes: [UInt8], disk: [UInt8]) throws(ImageError) {
        self.bytes = bytes
        self.disk = disk
        let store = MemoryStore(bytes, name: "archive")
        let index = try ArchiveIndex(store, header: ArchiveImage.header(store))
        digest = index.digest.description
        slots = try Self.slots(RecoveredIndex(store, .root(index)))
        var chain = RecordChain(store, tag: index.rules.tag)
        var places: [Int] = []
        var types: [RecordType] = []
        while let link = try chain.next() {
            places.append(Int(link.record.place.value))
            types.append(link.record.header.type)
        }
        self.places = places + [Int(chain.place.value)]
        self.types = types
    }

    static func bytes(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> UInt64(8 * $0)) }
    }

    /// What every slot is by `index`; a lost one is unreadable.
    static func slots(_ index: RecoveredIndex) throws(ImageError) -> [Slot] {
        var slots: [Slot] = []
        let count = Int(index.rules.geometry.slots)
        slots.reserveCapacity(count)
        while slots.count < count {
            switch try index.content(at: UInt64(slots.count)) {
            case .uniform(let kind, let limit):
                slots += Array(repeating: .kind(kind), count: Int(limit) - slots.count)
            case .lost(let limit):
                slots += Array(repeating: .kind(.unreadable), count: Int(limit) - slots.count)
            case .leaf(let leaf):
                for slot in Int(UInt64(slots.count) - leaf.first)..<leaf.slotCount {
                    slots.append(leaf.entry(of: slot).map { .data($0) } ?? .kind(leaf.kind(of: slot)))
                }
            }
        }
        return slots
    }

    /// The slots whose chunk's payload has any byte of `range`.
    func slots(storedIn range: Range<Int>) -> [Int] {
        slots.indices.filter { slot in
            guard case .data(let entry) = slots[slot] else { return false }
            let start = Int(entry.place.value) + 128
            return (start..<start + Int(entry.storedByteCount)).overlaps(range)
        }
    }

    /// The record that has byte `place`; `nil` in the file header and the tail.
    func record(at place: Int) -> Int? {
        guard place >= 4096, place < places[places.count - 1] else { return nil }
        return places.lastIndex { $0 <= place }
    }

    /// What can be read of the disk of `damaged`, a spoiled copy of this archive.
    ///
    /// Slots whose entry is as before and whose record was not `touched` need no reading: their bytes are those that were
    /// proved when the archive was whole.
    /// - Returns: the slots that are lost.
    /// - Throws: what keeps the disk from being opened at all.
    func lost(in damaged: [UInt8], touched: [Range<Int>]) throws(ImageError) -> [Int] {
        let store = MemoryStore(damaged, name: "damaged")
        let index = try RecoveredIndex(store, header: ArchiveImage.header(store), Cancellation())
        let found = try Self.slots(index)
        let recovered = RecoveredDisk(index)
        let cursor = try recovered.makeCursor()
        var lost: [Int] = []
        for slot in slots.indices {
            guard slot < found.count else {
                lost.append(slot)
                continue
            }
            if case .data(let entry) = found[slot], found[slot] == slots[slot] {
                let record = Int(entry.place.value)..<Int(entry.place.value) + entry.recordByteCount
                if !touched.contains(where: { $0.overlaps(record) }) { continue }
            } else if found[slot] == slots[slot] {
                continue
            } else if found[slot] == .kind(.unreadable) {
                lost.append(slot)
                continue
            }
            let start = slot * Self.chunkSize
            let count = min(Self.chunkSize, disk.count - start)
            let bytes = try cursor.bytes(at: GuestOffset(UInt64(start)), count: count)
            if !cursor.unreadable.isEmpty {
                lost.append(slot)
            } else if bytes.withBytes({ XXH3.hash64($0) })
                != disk.withBytes({ XXH3.hash64($0.extracting(start..<start + count)) })
            {
                Issue.record("slot \(slot) has other bytes, after damage at \(touched)")
            }
        }
        if found.count != slots.count, found.count > slots.count || damaged.count >= bytes.count {
            Issue.record("\(found.count) slots of \(slots.count), after damage at \(touched)")
        }
        return lost
    }
}

/// Threads to lend to a format.
func testThreads(_ count: Int) -> WorkThreads {
    WorkThreads(count: count) { (count, body) throws(ImageError) in try runOnThreads(count, body) }
}

extension Forgery {
    init(bytes: [UInt8]) { self.bytes = bytes }
}
