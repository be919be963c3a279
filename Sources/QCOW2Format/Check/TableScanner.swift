internal import ReimageCore

/// One of the mappings that an image keeps: the active one, or those of snapshots.
struct MappingState {
    let l1: TableRange
    /// What its findings begin with; `nil` is the active state, whose entries have COPIED flags that count.
    let snapshotName: String?
    /// How many snapshots have this very table.
    var weight: UInt64 = 1

    var isActive: Bool { snapshotName == nil }
    /// What a finding begins with.
    var prefix: String { snapshotName.map { "snapshot '\($0.printable)': " } ?? "" }
}

/// Reads the entries of L1 and L2 tables, a piece at a time; entries that are 0 are left out.
struct TableScanner {
    /// An entry that is not 0.
    struct L1Entry {
        let index: Int
        let value: UInt64
        let place: UInt64

        var offset: UInt64 { value & L2Decoder.offsetMask }
    }

    let store: any ByteStore
    let geometry: Geometry

    /// Hands the entries of `table` to `body`, some thousands at a time.
    func forEachPiece(of table: TableRange, _ body: ([L1Entry]) throws(ImageError) -> Void) throws(ImageError) {
        let step = Int(TablePage.longest / 8)
        var first = 0
        while first < table.count {
            let count = min(step, table.count - first)
            let bytes = try store.bytes(at: table.entry(first), count: count * 8)
            let entries = try bytes.withBytes { (words) throws(ImageError) in
                var entries: [L1Entry] = []
                if words.isZero { return entries }
                for index in 0..<count {
                    let value = try words.big(UInt64.self, at: index * 8)
                    guard value != 0 else { continue }
                    let place = table.entry(first + index).value
                    entries.append(L1Entry(index: first + index, value: value, place: place))
                }
                return entries
            }
            if !entries.isEmpty { try body(entries) }
            first += count
        }
    }

    /// Hands the entries of the L2 table at `offset` to `body`, each with its index and its place in the file.
    func forEachEntry(
        ofTableAt offset: UInt64, _ body: (UInt64, L2Pair, UInt64) throws(ImageError) -> Void
    ) throws(ImageError) {
        let stride = geometry.l2Stride
        let step = min(geometry.clusterSize, TablePage.longest)
        var bytes = [UInt8](repeating: 0, count: Int(step))
        for piece in Swift.stride(from: 0, to: geometry.clusterSize, by: Int(step)) {
            try bytes.withMutableBytes { (span) throws(ImageError) in
                try store.read(into: &span, at: HostOffset(offset + piece))
            }
            try bytes.withBytes { (words) throws(ImageError) in
                if words.isZero { return }
                var position: UInt64 = 0
                while position < step {
                    var pair = L2Pair(entry: try words.big(at: Int(position)))
                    if geometry.hasSubclusters { pair.bitmap = try words.big(at: Int(position) + 8) }
                    if pair.entry != 0 || pair.bitmap != 0 {
                        try body((piece + position) / stride, pair, offset + piece + position)
                    }
                    position += stride
                }
            }
        }
    }
}

extension CheckedImage {
    /// The mappings whose L1 tables can be read: the active one first. Snapshots that name one table come as one.
    var states: [MappingState] {
        var states = [MappingState(l1: l1, snapshotName: nil)]
        var known: [TableRange: Int] = [:]
        for (index, snapshot) in snapshots.enumerated() where snapshot.l1Size > 0 {
            guard let table = l1(of: snapshot, UInt32(index)) else { continue }
            if let state = known[table] {
                states[state].weight += 1
            } else {
                known[table] = states.count
                states.append(MappingState(l1: table, snapshotName: snapshot.name))
            }
        }
        return states
    }

    /// The L1 table of a snapshot; `nil` where it cannot be.
    func l1(of snapshot: Snapshot, _ index: UInt32) -> TableRange? {
        guard
            (try? SnapshotTable.check(snapshot, index, header, fileByteCount: store.byteCount)) != nil
        else { return nil }
        return try? TableRange(
            "L1", offset: snapshot.l1Offset, count: UInt64(snapshot.l1Size), stride: 8, within: store.byteCount)
    }

    /// The guest's bytes below entry `index` of an L1 table.
    func guest(l1Index index: Int) -> GuestRange {
        GuestRange(
            start: GuestOffset(UInt64(index) << geometry.l1CoverageBits), count: 1 << geometry.l1CoverageBits)
    }
}
