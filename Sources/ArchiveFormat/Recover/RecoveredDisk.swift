internal import ReimageCodecs
internal import ReimageCore
internal import Synchronization

/// The disk of an archive that may be damaged: what can be proved is given, the rest reads as zeros and is reported as
/// unreadable.
final class RecoveredDisk: BlockDevice, ChunkSource {
    let index: RecoveredIndex
    let sectorSize: Int
    private let lost = Atomic(false)

    init(_ index: RecoveredIndex) {
        self.index = index
        sectorSize = Int(index.rules.logicalSector)
    }

    var store: any ByteStore { index.store }
    var rules: RecordRules { index.rules }
    private var geometry: Geometry { index.rules.geometry }
    var byteCount: UInt64 { geometry.byteCount }
    var stores: [any ByteStore] { [store] }
    var readUnit: Int { Int(geometry.chunkSize) }

    /// Whether anything that was asked for so far could not be proved.
    var hasLost: Bool { lost.load(ordering: .relaxed) }

    func noteLost() { lost.store(true, ordering: .relaxed) }

    func makeCursor() throws(ImageError) -> any DiskCursor { RecoveringCursor(self) }

    /// See ``BlockDevice/extent(at:limit:layers:detail:)``. Data may still turn out to be unreadable when it is read.
    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        do {
            let most = min(limit, byteCount - offset.value)
            let first = try run(at: offset.value >> UInt64(geometry.chunkLog2))
            var end = first.end
            while end < geometry.slots, position(of: end) - offset.value < most {
                let next = try run(at: end)
                guard next.kind == first.kind else { break }
                end = next.end
            }
            return Extent(first.kind, count: min(most, position(of: end) - offset.value))
        } catch {
            throw error.inFile(store.name)
        }
    }

    private func position(of slot: UInt64) -> UInt64 {
        slot >= geometry.slots ? byteCount : slot << UInt64(geometry.chunkLog2)
    }

    /// What slot `slot` is, and the end of the run of its kind as far as one entry of the index tells.
    func run(at slot: UInt64) throws(ImageError) -> (kind: Extent.Kind, end: UInt64) {
        switch try index.content(at: slot) {
        case .uniform(let kind, let limit): return (kind.extent, limit)
        case .lost(let limit):
            noteLost()
            return (.unreadable, limit)
        case .leaf(let leaf):
            let run = leaf.run(from: Int(slot - leaf.first))
            if run.contains(where: { leaf.isLost($0) }) { noteLost() }
            return (leaf.kind(of: run.lowerBound).extent, leaf.first + UInt64(run.upperBound))
        }
    }

    /// Whether slot `slot` is known to be without bytes: the source could not be read, or no record tells of it.
    func isUnreadable(_ slot: UInt64) throws(ImageError) -> Bool { try run(at: slot).kind == .unreadable }

    func chunk(of slot: UInt64) throws(ImageError) -> IndexEntry? {
        guard case .leaf(let leaf) = try index.content(at: slot) else { return nil }
        return leaf.entry(of: Int(slot - leaf.first))
    }
}

/// One thread's reader of a disk that may be damaged.
final class RecoveringCursor: DiskCursor {
    private let disk: RecoveredDisk
    private let cursor: ArchiveCursor
    private(set) var unreadable: [LostRun] = []
    /// The slot that failed last, so that it is not decoded again for each of its pieces.
    private var failed: UInt64?

    init(_ disk: RecoveredDisk) {
        self.disk = disk
        cursor = ArchiveCursor(disk)
    }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        unreadable.removeAll()
        let geometry = disk.rules.geometry
        var done = 0
        while done < buffer.byteCount {
            let place = offset + UInt64(done)
            let slot = place.value >> UInt64(geometry.chunkLog2)
            let left = geometry.byteCount(ofSlot: slot) - place.value & (geometry.chunkSize - 1)
            let part = done..<done + Int(min(left, UInt64(buffer.byteCount - done)))
            if try !read(slot, into: &buffer, part, at: place) {
                buffer.zero(part)
                note(GuestRange(start: place, count: UInt64(part.count)))
            }
            done = part.upperBound
        }
    }

    private func note(_ range: GuestRange) {
        if let last = unreadable.last?.range, last.end == range.start {
            unreadable[unreadable.count - 1].range = GuestRange(from: last.start, to: range.end)
        } else {
            unreadable.append(LostRun(range))
        }
    }

    /// Reads a part of one slot.
    /// - Returns: whether its bytes could be proved.
    private func read(
        _ slot: UInt64, into buffer: inout MutableRawSpan, _ part: Range<Int>, at place: GuestOffset
    ) throws(ImageError) -> Bool {
        guard slot != failed else { return false }
        do throws(ImageError) {
            if try disk.isUnreadable(slot) { return false }
            try buffer.withSlice(part) { (slice) throws(ImageError) in try cursor.read(into: &slice, at: place) }
            return true
        } catch {
            guard [.damaged, .unreadable, .unsupported].contains(error.code) else { throw error }
            failed = slot
            disk.noteLost()
            return false
        }
    }
}
