internal import ReimageCore

/// Makes the COPIED flags of the active tables say what the refcounts say.
struct CopiedRepair {
    let target: RepairStore
    let log: FindingLog

    /// - Parameter clearing: whether flags are cleared too; not where only space is given back, as that can but make
    ///   more clusters single.
    func run(clearing: Bool) throws(ImageError) {
        let image = try target.image()
        let stored = StoredRefcounts(image.store, image.header)
        let scanner = TableScanner(store: image.store, geometry: image.geometry)
        let state = MappingState(l1: image.l1, snapshotName: nil)
        let examiner = EntryExaminer(image)
        try scanner.forEachPiece(of: image.l1) { (entries) throws(ImageError) in
            var seen: Set<UInt64> = []
            for table in entries where table.offset != 0 && table.offset % image.clusterSize == 0 {
                let name = "L1 entry \(table.index) (\(table.value.hex))"
                let place = table.place
                try set(table.value, name, place, image.guest(l1Index: table.index), stored, image, clearing)
                guard table.offset < image.store.byteCount, seen.insert(table.offset).inserted else { continue }
                try scanner.forEachEntry(ofTableAt: table.offset) { (index, pair, place) throws(ImageError) in
                    guard !pair.isCompressed, examiner.claim(of: pair) != nil else { return }
                    let guest = image.guest(l1Index: table.index).start + index << image.geometry.clusterBits
                    try set(
                        pair.entry, ReferenceWalk.name(pair, state), place,
                        GuestRange(start: guest, count: image.clusterSize), stored, image, clearing)
                }
            }
        }
        try target.sync()
    }

    private func set(
        _ entry: UInt64, _ name: String, _ place: UInt64, _ guest: GuestRange, _ stored: StoredRefcounts,
        _ image: CheckedImage, _ clearing: Bool
    ) throws(ImageError) {
        let count = try stored.count((entry & L2Decoder.offsetMask) >> image.geometry.clusterBits)
        let isSet = entry & L2Decoder.copiedFlag != 0
        guard isSet != (count == 1), clearing || !isSet else { return }
        try target.put(entry ^ L2Decoder.copiedFlag, at: place)
        log.fixed(
            .corruption, "\(name): COPIED was \(isSet ? "cleared" : "set"), as the refcount is \(count)", at: place,
            guest: guest)
    }
}
