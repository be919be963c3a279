internal import ReimageCore

/// Walks every root of an image and counts what they refer to; on the first pass it also tells what is wrong with the
/// entries on the way.
/// - Source: qcow2 specification, "Host cluster management", and what the roots' own sections say.
final class ReferenceWalk {
    let image: CheckedImage
    let examiner: EntryExaminer
    let scanner: TableScanner
    let stored: StoredRefcounts
    /// Takes findings; `nil` on later passes, which only count.
    let log: FindingLog?
    private(set) var facts = CheckFacts()
    private let counter: ReferenceCounter
    private var fragments = FragmentMeter()

    /// - Parameter counter: what is counted into.
    init(_ image: CheckedImage, _ stored: StoredRefcounts, _ counter: ReferenceCounter, log: FindingLog? = nil) {
        self.image = image
        self.stored = stored
        self.counter = counter
        self.log = log
        examiner = EntryExaminer(image)
        scanner = TableScanner(store: image.store, geometry: image.geometry)
    }

    /// Walks all roots.
    /// - Parameter countingRefcounts: whether the refcount table and its blocks count; not where they are replaced.
    func run(countingRefcounts: Bool = true) throws(ImageError) {
        counter.add(0..<1, .metadata)
        if countingRefcounts { try walkRefcounts() }
        try walkSnapshotTable()
        for state in image.states { try walk(state) }
        try walkBitmaps()
        if let luks = image.extensions.encryption {
            claim("the encryption header", at: luks.start.value, count: luks.count, .metadata, place: nil)
        }
        log?.measure { fragments.fill(&$0) }
    }

    /// Counts a structure, and tells where it passes the end of the file.
    private func claim(
        _ what: String, at offset: UInt64, count: UInt64, _ use: ReferenceCounter.Uses, weight: UInt64 = 1,
        place: UInt64?
    ) {
        counter.add(image.clusters(at: offset, count: count), use, weight: weight)
        if image.passesEnd(offset, count: count) {
            found("\(what) at \(offset) passes the end of the file", at: place)
        }
    }

    private func found(_ message: @autoclosure () -> String, at place: UInt64? = nil, guest: GuestRange? = nil) {
        log?.found(.corruption, message(), at: place, guest: guest)
    }
}

// MARK: - Refcount structures

extension ReferenceWalk {
    private func walkRefcounts() throws(ImageError) {
        let size = image.clusterSize
        let start = image.header.refcountTableOffset
        let count = UInt64(image.header.refcountTableClusters) * size
        if count == 0 {
            found("refcount_table_clusters is 0: there are no refcounts", at: UInt64(Header.Field.refcountTableOffset))
            facts.hasDamagedRefcounts = true
        } else if image.passesEnd(start, count: count) {
            facts.hasDamagedRefcounts = true
        }
        claim("the refcount table", at: start, count: count, .metadata, place: start)
        for index in 0..<stored.tableCount {
            let entry = try stored.tableEntry(index)
            if entry != 0 { walkRefcountEntry(index, entry) }
        }
    }

    private func walkRefcountEntry(_ index: UInt64, _ entry: UInt64) {
        let place = stored.tableEntryPlace(index)
        let what = "refcount table entry \(index) (\(entry.hex))"
        let offset = entry & ~StoredRefcounts.reservedMask
        if entry & StoredRefcounts.reservedMask != 0 {
            found("\(what): reserved bits are set", at: place)
            facts.hasDamagedRefcounts = true
            if offset == 0 { return }
        }
        if offset % image.clusterSize != 0 {
            found("\(what): the block's offset is not cluster aligned", at: place)
            facts.hasDamagedRefcounts = true
        } else if offset >= image.store.byteCount {
            found("\(what): the block lies past the end of the file", at: place)
            facts.hasDamagedRefcounts = true
        } else {
            counter.add(image.clusters(at: offset, count: image.clusterSize), .metadata)
        }
    }
}

// MARK: - Snapshots and bitmaps

extension ReferenceWalk {
    private func walkSnapshotTable() throws(ImageError) {
        let header = image.header
        guard header.snapshotCount > 0 else { return }
        claim(
            "the snapshot table", at: header.snapshotsOffset, count: image.snapshotTableSize, .metadata,
            place: header.snapshotsOffset)
        if image.hasDataFile {
            found("an image with a data file cannot keep snapshots", at: UInt64(Header.Field.snapshotCount))
        }
        for (index, snapshot) in image.snapshots.enumerated() {
            if header.version >= 3, snapshot.extraSize < 16 {
                found("snapshot table entry \(index) is incomplete for version 3", at: snapshot.place.value)
                facts.hasIncompleteSnapshots = true
            }
            do throws(ImageError) {
                try SnapshotTable.check(snapshot, UInt32(index), header, fileByteCount: image.store.byteCount)
            } catch {
                found(error.message, at: snapshot.place.value)
                facts.hasUnknownReferences = true
            }
        }
    }

    private func walkBitmaps() throws(ImageError) {
        guard let listed = image.extensions.bitmaps else { return }
        guard image.hasLiveBitmaps else {
            log?.found(
                .remark, "the bitmaps are out of step with the disk: a program that does not know them wrote to it",
                at: listed.place.value)
            return
        }
        do throws(ImageError) {
            let (_, directory) = try Bitmap.directory(
                of: listed, fileByteCount: image.store.byteCount, clusterSize: image.clusterSize)
            claim(
                "the bitmap directory", at: directory.start.value, count: UInt64(directory.byteCount), .metadata,
                place: listed.place.value)
            for bitmap in try Bitmap.list(image.store, extension: listed, clusterSize: image.clusterSize) {
                try walk(bitmap)
            }
        } catch {
            guard error.code == .damaged else { throw error }
            var place = listed.place
            if case .host(let offset) = error.place { place = offset }
            found("bitmaps: \(error.message)", at: place.value)
            facts.hasDamagedBitmaps = true
            facts.hasUnknownReferences = true
        }
    }

    private func walk(_ bitmap: Bitmap) throws(ImageError) {
        let name = "bitmap '\(bitmap.name.printable)'"
        if bitmap.flags.contains(.inUse) { log?.found(.remark, "\(name) was not closed: it cannot be trusted") }
        let table = try TableRange(
            "the table of \(name)", offset: bitmap.tableOffset, count: UInt64(bitmap.tableCount), stride: 8,
            within: image.store.byteCount)
        counter.add(image.clusters(at: table.start.value, count: UInt64(table.byteCount)), .metadata)
        try scanner.forEachPiece(of: table) { (entries) throws(ImageError) in
            for entry in entries {
                // Without an offset, bit 0 tells zeros from ones.
                let reserved: UInt64 = entry.offset == 0 ? ~1 : ~L2Decoder.offsetMask
                let isSound =
                    entry.value & reserved == 0 && entry.offset % image.clusterSize == 0
                    && entry.offset < image.store.byteCount
                guard isSound else {
                    throw .damaged(
                        "\(name): entry \(entry.index) (\(entry.value.hex)) of its table cannot be",
                        at: HostOffset(entry.place))
                }
                if entry.offset != 0 {
                    counter.add(image.clusters(at: entry.offset, count: image.clusterSize), .metadata)
                }
            }
        }
    }
}

// MARK: - Mappings

extension ReferenceWalk {
    private func walk(_ state: MappingState) throws(ImageError) {
        claim(
            "\(state.prefix)the L1 table", at: state.l1.start.value, count: UInt64(state.l1.byteCount), .metadata,
            weight: state.weight, place: state.l1.start.value)
        try scanner.forEachPiece(of: state.l1) { (entries) throws(ImageError) in
            // A hostile table may point to one L2 table from everywhere: it is walked once a piece, with a weight.
            var uses: [UInt64: UInt64] = [:]
            for entry in entries { uses[entry.offset, default: 0] += state.weight }
            for entry in entries {
                let isSound = try examine(entry, state)
                counter.add(
                    image.clusters(at: entry.offset, count: entry.offset == 0 ? 0 : image.clusterSize), .l2Table,
                    weight: state.weight)
                guard isSound, let weight = uses.removeValue(forKey: entry.offset) else { continue }
                try walkL2(entry, state, weight: weight)
            }
        }
    }

    /// Tells what is wrong with an L1 entry.
    /// - Returns: whether its L2 table can be walked.
    private func examine(_ entry: TableScanner.L1Entry, _ state: MappingState) throws(ImageError) -> Bool {
        let what = "\(state.prefix)L1 entry \(entry.index) (\(entry.value.hex))"
        let guest = state.isActive ? image.guest(l1Index: entry.index) : nil
        if entry.value & L2Decoder.l1ReservedMask != 0 {
            found("\(what): reserved bits are set", at: entry.place, guest: guest)
        }
        guard entry.offset != 0 else { return false }
        var isSound = true
        if entry.offset % image.clusterSize != 0 {
            found("\(what): the L2 table's offset is not cluster aligned", at: entry.place, guest: guest)
            facts.hasUnknownReferences = true
            isSound = false
        } else if entry.offset >= image.store.byteCount {
            found("\(what): the L2 table lies past the end of the file", at: entry.place, guest: guest)
            facts.hasUnknownReferences = true
            isSound = false
        } else if image.clusterSize > image.store.byteCount - entry.offset {
            // Data may end early, but the entries that a table lacks are mappings that are lost.
            found("\(what): the end of the file cuts the L2 table", at: entry.place, guest: guest)
        }
        if state.isActive, log != nil { try checkCopied(entry.value, what, entry.place, guest) }
        return isSound
    }

    /// The COPIED flag says that the refcount is 1; only in the active state, as those of snapshots are stale.
    private func checkCopied(
        _ entry: UInt64, _ what: String, _ place: UInt64, _ guest: GuestRange?
    ) throws(ImageError) {
        let offset = entry & L2Decoder.offsetMask
        let count = try stored.count(offset >> image.geometry.clusterBits)
        let isSet = entry & L2Decoder.copiedFlag != 0
        if isSet != (count == 1) {
            found(
                "\(what): COPIED is \(isSet ? "set" : "clear"), but the refcount is \(count)", at: place, guest: guest)
        }
    }

    private func walkL2(_ table: TableScanner.L1Entry, _ state: MappingState, weight: UInt64) throws(ImageError) {
        let geometry = image.geometry
        let base = UInt64(table.index) << geometry.l1CoverageBits
        fragments.beginTable()
        try scanner.forEachEntry(ofTableAt: table.offset) { (index, pair, place) throws(ImageError) in
            let guest = base + index << geometry.clusterBits
            let claim = examiner.claim(of: pair)
            if let claim {
                counter.add(image.clusters(at: claim.start, count: claim.count), .data, weight: weight)
            }
            guard log != nil else { return }
            let faults = examiner.faults(pair, guest: guest)
            if !faults.isEmpty { report(faults, pair, state, guest, place) }
            guard state.isActive else { return }
            fragments.take(pair, isAllocated: examiner.isAllocated(pair), geometry)
            guard !pair.isCompressed, claim != nil else { return }
            let isSet = pair.entry & L2Decoder.copiedFlag != 0
            if isSet != (try stored.count(pair.offset >> geometry.clusterBits) == 1) {
                try checkCopied(pair.entry, Self.name(pair, state), place, range(guest))
            }
        }
    }

    private func report(_ faults: EntryFaults, _ pair: L2Pair, _ state: MappingState, _ guest: UInt64, _ place: UInt64)
    {
        for (fault, text) in EntryFaults.all where faults.contains(fault) {
            found("\(Self.name(pair, state)): \(text)", at: place, guest: state.isActive ? range(guest) : nil)
        }
    }

    private func range(_ guest: UInt64) -> GuestRange {
        GuestRange(start: GuestOffset(guest), count: image.clusterSize)
    }

    static func name(_ pair: L2Pair, _ state: MappingState) -> String {
        let bitmap = pair.bitmap == 0 ? "" : ", bitmap \(pair.bitmap.hex)"
        return "\(state.prefix)L2 entry (\(pair.entry.hex)\(bitmap))"
    }
}

/// Counts the clusters of the active state as `qemu-img check` does.
struct FragmentMeter {
    private var allocated: UInt64 = 0
    private var compressed: UInt64 = 0
    private var fragmented: UInt64 = 0
    /// Where the cluster after the last plain one would lie.
    private var next: UInt64 = 0

    /// Each L2 table stands for itself.
    mutating func beginTable() { next = 0 }

    mutating func take(_ pair: L2Pair, isAllocated: Bool, _ geometry: Geometry) {
        guard isAllocated else { return }
        allocated += 1
        if pair.isCompressed {
            // Compressed clusters do not begin where others end.
            compressed += 1
            fragmented += 1
            return
        }
        if next != 0, pair.offset != next { fragmented += 1 }
        next = pair.offset + geometry.clusterSize
    }

    func fill(_ summary: inout CheckSummary) {
        summary.allocatedClusters = allocated
        summary.compressedClusters = compressed
        summary.fragmentedClusters = fragmented
    }
}
