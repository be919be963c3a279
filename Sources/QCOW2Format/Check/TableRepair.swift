internal import ReimageCore

/// Puts right what the header and the snapshot table say.
struct TableRepair {
    let target: RepairStore
    let log: FindingLog

    /// Sets or clears bits of a feature field; version 2 has none.
    func change(_ field: Int, clearing: UInt64 = 0, setting: UInt64 = 0) throws(ImageError) {
        let image = try target.image()
        guard image.header.version >= 3 else { return }
        let old = try image.store.bytes(at: HostOffset(UInt64(field)), count: 8).withBytes {
            (bytes) throws(ImageError) in try bytes.big(UInt64.self, at: 0)
        }
        let new = old & ~clearing | setting
        guard new != old else { return }
        try target.put(new, at: UInt64(field))
        try target.sync()
    }

    /// Takes the bitmaps off the image: they are out of step with the disk, or contradict themselves. Their clusters
    /// are free once the refcounts are counted.
    func dropBitmaps(because reason: String) throws(ImageError) {
        try change(Header.Field.autoclearFeatures, clearing: AutoclearFeatures.bitmaps.rawValue)
        let image = try target.image()
        guard let listed = image.extensions.bitmaps else { return }
        // The extensions behind it move up; zeros behind them are the end of the list.
        let header = image.header
        let start = listed.place.value - 8
        let length = 8 + (UInt64(listed.data.count) + 7) / 8 * 8
        let area = header.backingFileOffset == 0 ? header.clusterSize : header.backingFileOffset
        let end = min(area, image.store.byteCount)
        let rest = min(start + length, end)
        var bytes = try image.store.bytes(at: HostOffset(rest), count: Int(end - rest))
        bytes += [UInt8](repeating: 0, count: Int(rest - start))
        try target.write(bytes, at: start)
        try target.sync()
        log.fixed(.corruption, "the bitmaps \(reason) and were taken off", at: start)
    }

    /// Writes the snapshot table anew with what version 3 wants of every entry: the disk's size is today's, as readers
    /// have taken it to be, too.
    func completeSnapshots() throws(ImageError) {
        let image = try target.image()
        var table: [UInt8] = []
        for snapshot in image.snapshots {
            let old = try image.store.bytes(at: snapshot.place, count: 40)
            let extra = try image.store.bytes(at: snapshot.place + 40, count: Int(snapshot.extraSize))
            let strings = Int(old[12]) << 8 + Int(old[13]) + Int(old[14]) << 8 + Int(old[15])
            var entry = old
            if extra.count < 16 {
                entry[36...39] = [0, 0, 0, 24]
                for value in [snapshot.vmStateSize, image.header.size, .max] { entry += Self.bytes(value) }
            } else {
                entry += extra
            }
            entry += try image.store.bytes(at: snapshot.place + UInt64(40 + extra.count), count: strings)
            entry += [UInt8](repeating: 0, count: (8 - entry.count % 8) % 8)
            table += entry
        }
        let place = try target.append(clusters: UInt64(table.count).dividedRoundingUp(by: image.clusterSize))
        try target.write(table, at: place)
        try target.sync()
        try target.put(place, at: UInt64(Header.Field.snapshotsOffset))
        try target.sync()
        log.fixed(.corruption, "the snapshot table was completed and moved to \(place)", at: place)
    }

    private static func bytes(_ value: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: value >> UInt64(56 - 8 * $0)) }
    }
}
