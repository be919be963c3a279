internal import ReimageCore

/// Puts the entries of L1 and L2 tables right, and parts structures that share clusters though they must not.
struct MappingRepair {
    let target: RepairStore
    let facts: CheckFacts
    let log: FindingLog

    /// Makes every entry sound, in place; tables in clusters that others use too are left for later.
    /// - Returns: whether anything was changed.
    func fixEntries(parted: Bool) throws(ImageError) {
        let image = try target.image()
        let scanner = TableScanner(store: image.store, geometry: image.geometry)
        for state in image.states {
            try scanner.forEachPiece(of: state.l1) { (entries) throws(ImageError) in
                var seen: Set<UInt64> = []
                for entry in entries {
                    guard parted || !isShared(entry.place, image) else { continue }
                    guard try fix(entry, state, image) else { continue }
                    guard parted || !isShared(entry.offset, image), seen.insert(entry.offset).inserted else { continue }
                    try fixTable(entry, state, image, scanner)
                }
            }
        }
        try target.sync()
    }

    private func isShared(_ place: UInt64, _ image: CheckedImage) -> Bool {
        facts.overlaps[place >> image.geometry.clusterBits] != nil
    }

    /// Puts an L1 entry right.
    /// - Returns: whether there is an L2 table behind it.
    private func fix(
        _ entry: TableScanner.L1Entry, _ state: MappingState, _ image: CheckedImage
    ) throws(ImageError) -> Bool {
        let guest = state.isActive ? image.guest(l1Index: entry.index) : nil
        let what = "\(state.prefix)L1 entry \(entry.index) (\(entry.value.hex))"
        if entry.offset % image.clusterSize != 0 || entry.offset >= image.store.byteCount {
            try target.put(0, at: entry.place)
            log.fixed(
                .corruption, "\(what): it pointed to no L2 table and was cleared; its guest bytes are lost",
                at: entry.place, guest: guest)
            return false
        }
        if entry.value & L2Decoder.l1ReservedMask != 0 {
            try target.put(entry.value & ~L2Decoder.l1ReservedMask, at: entry.place)
            log.fixed(.corruption, "\(what): reserved bits were cleared", at: entry.place, guest: guest)
        }
        guard entry.offset != 0 else { return false }
        if image.clusterSize > image.store.byteCount - entry.offset {
            try target.fillLastCluster()
            log.fixed(
                .corruption, "\(what): the L2 table was cut by the end of the file; what it lacked is lost",
                at: entry.place, guest: guest)
        }
        return true
    }

    private func fixTable(
        _ table: TableScanner.L1Entry, _ state: MappingState, _ image: CheckedImage, _ scanner: TableScanner
    ) throws(ImageError) {
        let repair = EntryRepair(image)
        let base = UInt64(table.index) << image.geometry.l1CoverageBits
        try scanner.forEachEntry(ofTableAt: table.offset) { (index, pair, place) throws(ImageError) in
            let guest = base + index << image.geometry.clusterBits
            guard var outcome = repair.outcome(pair, guest: guest) else { return }
            if outcome.wantsZeroCluster {
                outcome.pair.entry = try target.append(clusters: 1)
                try target.sync()
            }
            try put(outcome.pair, at: place, image)
            var text = "\(ReferenceWalk.name(pair, state)) became \(outcome.pair.entry.hex)"
            if image.geometry.hasSubclusters { text += ", bitmap \(outcome.pair.bitmap.hex)" }
            if outcome.loss != .nothing { text += "; its guest bytes could not be read and are zeros now" }
            log.fixed(
                .corruption, text, at: place,
                guest: state.isActive ? Self.range(outcome.loss, guest, image.geometry) : nil)
        }
    }

    private func put(_ pair: L2Pair, at place: UInt64, _ image: CheckedImage) throws(ImageError) {
        try target.put(image.geometry.hasSubclusters ? [pair.entry, pair.bitmap] : [pair.entry], at: place)
    }

    /// The guest bytes of a cluster that a loss is about: all of it where nothing is lost.
    private static func range(_ loss: EntryRepair.Loss, _ guest: UInt64, _ geometry: Geometry) -> GuestRange {
        guard case .subclusters(let mask) = loss else {
            return GuestRange(start: GuestOffset(guest), count: geometry.clusterSize)
        }
        let first = UInt64(mask.trailingZeroBitCount)
        let end = UInt64(32 - mask.leadingZeroBitCount)
        return GuestRange(
            start: GuestOffset(guest + first * geometry.subclusterSize), count: (end - first) * geometry.subclusterSize)
    }
}

// MARK: - Parting what shares clusters

extension MappingRepair {
    /// Moves L1 tables, then L2 tables and data away from clusters that they must not share.
    ///
    /// Each gets a copy of what it has read so far: that is what the guest saw.
    func part() throws(ImageError) {
        guard !facts.overlaps.isEmpty || !facts.overflows.isEmpty else { return }
        try moveL1Tables()
        try moveL2Tables()
        try moveData()
    }

    private func moveL1Tables() throws(ImageError) {
        let image = try target.image()
        try moveL1Table(image.l1, pointerAt: UInt64(Header.Field.l1TableOffset), "the L1 table", image)
        for (index, snapshot) in image.snapshots.enumerated() {
            guard let table = image.l1(of: snapshot, UInt32(index)) else { continue }
            let what = "the L1 table of snapshot '\(snapshot.name.printable)'"
            try moveL1Table(table, pointerAt: snapshot.place.value, what, image)
        }
    }

    private func moveL1Table(
        _ table: TableRange, pointerAt place: UInt64, _ what: String, _ image: CheckedImage
    ) throws(ImageError) {
        let clusters = image.clusters(at: table.start.value, count: UInt64(table.byteCount))
        guard clusters.contains(where: { facts.overlaps[$0] != nil }) else { return }
        let copy = try target.appendCopy(of: table.start.value, count: UInt64(table.byteCount))
        try target.sync()
        try target.put(copy, at: place)
        try target.sync()
        log.fixed(.corruption, "\(what) shared clusters with others and was moved to \(copy)", at: table.start.value)
    }

    private func moveL2Tables() throws(ImageError) {
        let image = try target.image()
        let scanner = TableScanner(store: image.store, geometry: image.geometry)
        var moved: [UInt64: UInt64] = [:]
        for state in image.states {
            try scanner.forEachPiece(of: state.l1) { (entries) throws(ImageError) in
                for entry in entries {
                    let uses = facts.overlaps[entry.offset >> image.geometry.clusterBits] ?? []
                    guard uses.isSuperset(of: [.metadata, .l2Table]), entry.offset % image.clusterSize == 0,
                        entry.offset != 0
                    else { continue }
                    if moved[entry.offset] == nil {
                        moved[entry.offset] = try target.appendCopy(of: entry.offset, count: image.clusterSize)
                        try target.sync()
                    }
                    guard let copy = moved[entry.offset] else { continue }
                    try target.put(copy, at: entry.place)
                    log.fixed(
                        .corruption,
                        "\(state.prefix)the L2 table at \(entry.offset) shared its cluster with other metadata and was "
                            + "copied to \(copy)", at: entry.place)
                }
            }
        }
        try target.sync()
    }

    /// Moves data off clusters that metadata has too, and shares of a cluster that its refcount has no number for.
    private func moveData() throws(ImageError) {
        let image = try target.image()
        // LUKS makes each sector's key from its place: a copy elsewhere would not decrypt.
        guard image.header.cryptMethod != .luks else { return }
        let scanner = TableScanner(store: image.store, geometry: image.geometry)
        var mover = DataMover(
            target: target, facts: facts, examiner: EntryExaminer(image), most: RefcountCoding(image.header).most)
        for state in image.states {
            try scanner.forEachPiece(of: state.l1) { (entries) throws(ImageError) in
                var seen: Set<UInt64> = []
                for table in entries {
                    let isTable = table.offset != 0 && table.offset % image.clusterSize == 0
                    guard isTable, table.offset < image.store.byteCount, seen.insert(table.offset).inserted else {
                        continue
                    }
                    try scanner.forEachEntry(ofTableAt: table.offset) { (index, pair, place) throws(ImageError) in
                        guard let copy = try mover.move(pair) else { return }
                        try target.sync()
                        try put(copy, at: place, image)
                        let guest =
                            UInt64(table.index) << image.geometry.l1CoverageBits + index << image.geometry.clusterBits
                        log.fixed(
                            .corruption,
                            "\(ReferenceWalk.name(pair, state)) shared its cluster and has a copy now (\(copy.entry.hex))",
                            at: place,
                            guest: state.isActive
                                ? GuestRange(start: GuestOffset(guest), count: image.clusterSize) : nil)
                    }
                }
            }
        }
        try target.sync()
    }
}

/// Gives data entries clusters of their own.
private struct DataMover {
    let target: RepairStore
    let facts: CheckFacts
    let examiner: EntryExaminer
    /// The largest refcount.
    let most: UInt64
    private var copies: [UInt64: UInt64] = [:]
    private var kept: [UInt64: UInt64] = [:]

    init(target: RepairStore, facts: CheckFacts, examiner: EntryExaminer, most: UInt64) {
        self.target = target
        self.facts = facts
        self.examiner = examiner
        self.most = most
    }

    /// The entry that points to a copy; `nil` where `pair` may stay.
    mutating func move(_ pair: L2Pair) throws(ImageError) -> L2Pair? {
        guard let claim = examiner.claim(of: pair), examiner.faults(pair, guest: 0).isEmpty else { return nil }
        let bits = examiner.geometry.clusterBits
        let clusters = claim.start >> bits...(claim.start + claim.count - 1) >> bits
        let isOverlap = clusters.contains { facts.overlaps[$0]?.contains(.data) ?? false }
        if pair.isCompressed {
            // Overflowing counts of compressed clusters stay: parting them would need room for each.
            guard isOverlap else { return nil }
            let copy = try target.appendCopy(of: claim.start, count: claim.count, lead: claim.start % 512)
            guard copy >> examiner.geometry.compressedSizeShift == 0 else {
                throw ImageError(.targetFailed, "has no room for a compressed cluster at \(copy)")
            }
            let mask: UInt64 = (1 << examiner.geometry.compressedSizeShift) - 1
            return L2Pair(entry: pair.entry & ~mask | copy)
        }
        if isOverlap {
            let copy: UInt64
            if let known = copies[pair.offset] {
                copy = known
            } else {
                copy = try target.appendCopy(of: pair.offset, count: claim.count)
                copies[pair.offset] = copy
            }
            return moved(pair, to: copy)
        }
        guard facts.overflows.contains(claim.start >> bits) else { return nil }
        kept[pair.offset, default: 0] += 1
        guard kept[pair.offset, default: 0] > most else { return nil }
        return moved(pair, to: try target.appendCopy(of: pair.offset, count: claim.count))
    }

    /// The same entry at another place; its COPIED flag is set once the refcounts are known.
    private func moved(_ pair: L2Pair, to copy: UInt64) -> L2Pair {
        L2Pair(entry: pair.entry & ~(L2Decoder.offsetMask | L2Decoder.copiedFlag) | copy, bitmap: pair.bitmap)
    }
}
