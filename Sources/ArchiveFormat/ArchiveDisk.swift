internal import ReimageCodecs
internal import ReimageCore

/// The disk of an archive, read by its index.
final class ArchiveDisk: BlockDevice, ChunkSource {
    let store: any ByteStore
    let index: ArchiveIndex
    private let leaves: LeafCache

    init(_ store: any ByteStore, _ index: ArchiveIndex) {
        self.store = store
        self.index = index
        leaves = LeafCache(store, index.rules)
    }

    var rules: RecordRules { index.rules }
    var byteCount: UInt64 { index.geometry.byteCount }
    var sectorSize: Int { Int(index.header.logicalSector) }
    var stores: [any ByteStore] { [store] }
    var readUnit: Int { Int(index.geometry.chunkSize) }

    func makeCursor() throws(ImageError) -> any DiskCursor { ArchiveCursor(self) }

    /// See ``BlockDevice/extent(at:limit:layers:detail:)``. Data has no place of its own in the file: every chunk must be
    /// decoded and proved, so no run of it is lent out to be copied as it is.
    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        do {
            let geometry = index.geometry
            let most = min(limit, byteCount - offset.value)
            let first = try run(at: offset.value >> UInt64(geometry.chunkLog2))
            var end = first.end
            // Runs of one kind go on over the borders of leaf ranges.
            while end < geometry.slots, position(of: end) - offset.value < most {
                let next = try run(at: end)
                guard next.kind == first.kind else { break }
                end = next.end
            }
            return Extent(first.kind.extent, count: min(most, position(of: end) - offset.value))
        } catch {
            throw error.suggestingPartial.inFile(store.name)
        }
    }

    /// The place on the disk where slot `slot` starts, or the disk's end.
    private func position(of slot: UInt64) -> UInt64 {
        slot >= index.geometry.slots ? byteCount : slot << UInt64(index.geometry.chunkLog2)
    }

    /// The kind of slot `slot`, and the end of the run of that kind as far as one entry of the index tells.
    private func run(at slot: UInt64) throws(ImageError) -> (kind: SlotKind, end: UInt64) {
        let geometry = index.geometry
        let entry = try index.root.entry(try index.root.index(of: slot >> UInt64(geometry.leafLog2)))
        guard entry.kind == .data else {
            let end = (entry.first + entry.count) << UInt64(geometry.leafLog2)
            return (entry.kind, min(end, geometry.slots))
        }
        let leaf = try leaves.leaf(entry)
        let run = leaf.run(from: Int(slot - leaf.first))
        return (leaf.kind(of: run.lowerBound), leaf.first + UInt64(run.upperBound))
    }

    /// What slot `slot` is: a stored chunk, or `nil` for one that reads as zeros.
    func chunk(of slot: UInt64) throws(ImageError) -> IndexEntry? {
        let entry = try index.root.entry(try index.root.index(of: slot >> UInt64(index.geometry.leafLog2)))
        guard entry.kind == .data else { return nil }
        let leaf = try leaves.leaf(entry)
        return leaf.entry(of: Int(slot - leaf.first))
    }
}

extension SlotKind {
    /// What the slot's bytes are to the guest.
    var extent: Extent.Kind {
        switch self {
        case .data, .duplicate: .data
        case .zero: .zero
        case .unallocated: .hole
        case .unreadable: .unreadable
        }
    }
}
