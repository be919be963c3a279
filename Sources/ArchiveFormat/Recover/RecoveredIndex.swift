internal import ReimageCodecs
internal import ReimageCore

/// The index of an archive that may be damaged: that of its ROOT and LEAF records where they are whole, else what the
/// CHNK and RUN records tell. Safe from any thread.
///
/// - Source: archive specification 1.0, section 9.
final class RecoveredIndex: Sendable {
    /// Where leaf ranges are looked up.
    enum Basis: Sendable {
        /// The ROOT record, which is whole.
        case root(ArchiveIndex)
        /// What a scan found.
        case scan(ArchiveScan)
    }

    /// What the slots of a leaf range are.
    enum Content {
        /// All slots from this one up to `limit`, as far as one record tells, are of one kind.
        case uniform(SlotKind, limit: UInt64)
        case leaf(Leaf)
        /// All slots from this one up to `limit` are told of by no record.
        case lost(limit: UInt64)
    }

    let store: any ByteStore
    let basis: Basis
    let rules: RecordRules
    private let cache: LeafCache

    init(_ store: any ByteStore, _ basis: Basis) {
        self.store = store
        self.basis = basis
        rules =
            switch basis {
            case .root(let index): index.rules
            case .scan(let scan): scan.rules
            }
        cache = LeafCache(store, rules)
    }

    /// The index of the archive in `store`, by its ROOT record where that is whole, else by a scan.
    /// - Throws: `.damaged` where nothing of an archive is found; `.unsupported` for what 1.0 does not have.
    convenience init(
        _ store: any ByteStore, header: Result<FileHeader, ImageError>, _ cancellation: Cancellation
    ) throws(ImageError) {
        do throws(ImageError) {
            self.init(store, .root(try ArchiveIndex(store, header: header)))
        } catch {
            guard error.code == .damaged || error.code == .unreadable else { throw error }
            self.init(store, .scan(try ArchiveScan(store, header: header, cancellation)))
        }
    }

    private var geometry: Geometry { rules.geometry }

    /// What slot `slot` and those behind it in its leaf range are.
    func content(at slot: UInt64) throws(ImageError) -> Content {
        let range = slot >> UInt64(geometry.leafLog2)
        switch basis {
        case .root(let index):
            let entry = try index.root.entry(try index.root.index(of: range))
            guard entry.kind == .data else {
                let end = (entry.first + entry.count) << UInt64(geometry.leafLog2)
                return .uniform(entry.kind, limit: min(end, geometry.slots))
            }
        case .scan(let scan):
            guard scan.leaves[range] == nil else { break }
            if slot >= scan.knownLimit { return .lost(limit: geometry.slots) }
            if let run = run(at: slot, scan) { return run }
        }
        return .leaf(try leaf(of: range))
    }

    /// The run that one long RUN record alone tells of.
    private func run(at slot: UInt64, _ scan: ArchiveScan) -> Content? {
        let found = scan.slots.segments(of: slot..<slot + 1)
        guard found.count == 1, let kind = found[0].kind, scan.slots.strays.isEmpty else { return nil }
        // The ranges that it reaches only in part may have a LEAF record.
        let limit =
            found[0].limit == geometry.slots ? found[0].limit : found[0].limit.roundedDown(to: geometry.leafSlots)
        let first = slot.roundedDown(to: geometry.leafSlots)
        guard first >= found[0].first, limit > slot else { return nil }
        return .uniform(kind, limit: limit)
    }

    /// The index of leaf range `range`, by its LEAF record or in its place.
    private func leaf(of range: UInt64) throws(ImageError) -> Leaf {
        try cache.leaf(range << UInt64(geometry.leafLog2)) { () throws(ImageError) in
            if let leaf = stored(range) { return leaf }
            return try rebuilt(range)
        }
    }

    /// The LEAF record of a leaf range, where it has one that is whole.
    func stored(_ range: UInt64) -> Leaf? {
        switch basis {
        case .root(let index):
            guard let number = try? index.root.index(of: range), let entry = try? index.root.entry(number),
                entry.kind == .data
            else { return nil }
            return try? cache.read(entry)
        case .scan(let scan):
            guard let place = scan.leaves[range] else { return nil }
            var reader = RecordReader(store, tag: rules.tag)
            return ((try? reader.record(at: place)) ?? nil)?.leaf(store, rules)
        }
    }

    private func rebuilt(_ range: UInt64) throws(ImageError) -> Leaf {
        var rebuild = RangeRebuild(rules, range: range)
        try forEachRecord(of: range) { (record) throws(ImageError) in
            try rebuild.add(record) { (slots) throws(ImageError) in try ownChunks(of: slots) }
        }
        return rebuild.leaf()
    }

    /// The chunks that are stored for `slots` themselves.
    private func ownChunks(of slots: Range<UInt64>) throws(ImageError) -> [UInt64: IndexEntry] {
        var found: [UInt64: IndexEntry] = [:]
        let log2 = UInt64(geometry.leafLog2)
        for range in slots.lowerBound >> log2...(slots.upperBound - 1) >> log2 {
            let first = range << log2
            let wanted = (first..<first + geometry.slotCount(ofRange: range)).clamped(to: slots)
            if let leaf = cache.held(first) ?? stored(range) {
                for slot in wanted {
                    if let entry = leaf.entry(of: Int(slot - first)) { found[slot] = entry }
                }
            } else {
                try forEachRecord(of: range) { (record) throws(ImageError) in
                    guard let (slot, entry) = record.chunk(rules), wanted.contains(slot), found[slot] == nil else {
                        return
                    }
                    found[slot] = entry
                }
            }
        }
        return found
    }

    /// Hands out the records that may tell of leaf range `range`, in the order in which they count.
    private func forEachRecord(
        of range: UInt64, _ body: (PlacedRecord) throws(ImageError) -> Void
    ) throws(ImageError) {
        switch basis {
        case .root(let index):
            // Between the LEAF record before and the place of its own.
            guard let bounds = try index.recordBounds(of: range) else { return }
            var scan = RecordScan(store, tag: rules.tag, in: bounds)
            while let record = try scan.next() { try body(record) }
        case .scan(let scan):
            let first = range << UInt64(geometry.leafLog2)
            var reader = RecordReader(store, tag: rules.tag)
            for segment in scan.slots.segments(of: first..<first + geometry.slotCount(ofRange: range)) {
                var place = segment.place
                while place < segment.end, let record = (try? reader.record(at: place)) ?? nil {
                    try body(record)
                    guard let next = record.header.end else { break }
                    place = next
                }
            }
        }
    }
}

extension ArchiveIndex {
    /// Where the records of a leaf range lie that has a LEAF record: from the LEAF record before up to its own.
    func recordBounds(of range: UInt64) throws(ImageError) -> HostRange? {
        var number = try root.index(of: range)
        let own = try root.entry(number)
        guard own.kind == .data else { return nil }
        var start = HostOffset(UInt64(FileHeader.byteCount))
        while number > 0 {
            number -= 1
            let entry = try root.entry(number)
            guard entry.kind == .data else { continue }
            start = HostOffset((entry.place.value + UInt64(entry.byteCount)).roundedUp(to: 8) ?? own.place.value)
            break
        }
        guard start <= own.place else { return nil }
        return HostRange(from: start, to: own.place)
    }
}
