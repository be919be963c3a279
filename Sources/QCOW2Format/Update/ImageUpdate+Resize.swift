internal import ReimageCore

extension ImageUpdate {
    /// Makes the disk as long as `request` says.
    ///
    /// - Throws: `.refused` for a disk that would be cut without leave; `.unsupported` for a length that the format
    ///   cannot have, and for what has a length of its own: bitmaps, and snapshots that do not tell theirs.
    mutating func resize(_ request: ResizeRequest) throws(ImageError) {
        let preallocation = try GrowthPreallocation(request)
        let size = try length(for: request)
        guard preallocation == .off || size > byteCount else {
            throw ImageError(.invalidArgument, "preallocation is for disks that grow")
        }
        guard size != byteCount else { return }
        guard size > byteCount || request.allowsShrinking else {
            throw ImageError(
                .refused, "the disk has \(byteCount) bytes; making it \(size) bytes long would cut off its end",
                advice: "If what lies there may be lost, pass --shrink.")
        }
        try checkOtherLengths()
        if size > byteCount { try grow(to: size, preallocation) } else { try shrink(to: size) }
    }

    /// The length that is stored: whole sectors, since QEMU shows no others.
    private func length(for request: ResizeRequest) throws(ImageError) -> UInt64 {
        let limit = UInt64(1) << 63
        let most = min(geometry.coverage(l1Entries: Header.mostL1Entries), limit - 512)
        guard request.byteCount != byteCount else { return byteCount }
        guard let size = request.byteCount.roundedUp(to: 512), size <= most else {
            throw ImageError(
                .unsupported,
                "the disk cannot have \(request.byteCount) bytes: with clusters of \(clusterSize) bytes the longest has "
                    + "\(most)", advice: "Convert the image to one with larger clusters.")
        }
        if size != request.byteCount {
            note(Note("\(store.name): the disk gets \(size) bytes, a whole number of sectors of 512 bytes."))
        }
        return size
    }

    /// Refuses what would have to follow, or would lose its own length.
    private func checkOtherLengths() throws(ImageError) {
        let header = layout.header
        if header.autoclear.contains(.bitmaps), layout.extensions.bitmaps != nil {
            throw ImageError(
                .unsupported, "the image has bitmaps, whose length cannot be changed yet",
                advice: "Remove them first: qemu-img bitmap --remove \(store.name) NAME")
        }
        guard header.snapshotCount > 0 else { return }
        guard !isVersion2 else {
            throw ImageError(
                .unsupported, "an image of version 2 that has snapshots cannot change its length",
                advice: "Convert it to version 3, or remove its snapshots first.")
        }
        var silent: String?
        var table = SnapshotTable(store, header: header)
        try table.forEach { if $0.byteCount == nil { silent = silent ?? $0.name } }
        if let silent {
            throw ImageError(
                .unsupported,
                "snapshot '\(silent)' does not tell the length of its disk, which would change with the "
                    + "image's", advice: Self.repairAdvice(store))
        }
    }

    /// Writes the length into the header, once everything that it takes is on the medium.
    private mutating func storeLength(_ size: UInt64) throws(ImageError) {
        try guarded { (update) throws(ImageError) in
            try update.sync()
            try update.store.writeWord(size, at: UInt64(Header.Field.size))
            try update.store.sync()
        }
    }

    // MARK: Growing

    private mutating func grow(to size: UInt64, _ preallocation: GrowthPreallocation) throws(ImageError) {
        let old = byteCount
        try begin()
        try growL1(to: size.dividedRoundingUp(by: 1 << geometry.l1CoverageBits))
        byteCount = size
        // The tables are changed before the length is: what they say behind the disk's end, nobody sees. Zeros hide
        // what the last cluster holds there, what was stored there by others, and what the layer below has.
        try zero(old..<size, mayUnmap: true)
        if let mode = preallocation.zeroMode { try preallocate(old..<size, mode) }
        if hasDataFile, isRawDataFile ? data.byteCount != size : data.byteCount < size {
            try guarded { (update) throws(ImageError) in try update.data.setByteCount(size) }
        }
        try storeLength(size)
    }

    /// Takes the clusters that begin in `range`.
    private mutating func preallocate(_ range: Range<UInt64>, _ mode: ZeroMode) throws(ImageError) {
        var position = range.lowerBound.dividedRoundingUp(by: clusterSize) << geometry.clusterBits
        while position < range.upperBound {
            let stop = min(range.upperBound, position + UInt64(Self.batchEntries) << geometry.clusterBits)
            try batch { (update) throws(ImageError) in
                let target = update.data
                try update.change(position..<stop) { (host, guest) throws(ImageError) in
                    try target.clear(HostRange(start: host, count: UInt64(guest.count)), mode: mode)
                }
            }
            position = stop
        }
    }

    /// Makes the L1 table `count` entries long at least.
    private mutating func growL1(to count: UInt64) throws(ImageError) {
        guard count > UInt64(l1.count) else { return }
        let room = UInt64(l1.byteCount).dividedRoundingUp(by: clusterSize) * clusterSize
        if count * 8 <= room {
            try guarded { (update) throws(ImageError) in
                let start = update.l1.start
                let new = HostRange(from: start + UInt64(update.l1.byteCount), to: start + count * 8)
                try update.store.zero(new, mode: .written)
                update.l1Pages.forget(new.start.value, count: new.count)
                try update.setL1(start, count)
            }
        } else {
            try moveL1(count)
        }
    }

    /// Copies the L1 table to new clusters, and gives the old ones back.
    private mutating func moveL1(_ count: UInt64) throws(ImageError) {
        let old = HostRange(start: l1.start, count: UInt64(l1.byteCount))
        let size = (count * 8).dividedRoundingUp(by: clusterSize) * clusterSize
        try guarded { (update) throws(ImageError) in
            let place = try update.space.takeRun(size / update.clusterSize)
            var copied: UInt64 = 0
            while copied < old.count {
                let bytes = try update.store.bytes(at: old.start + copied, count: Int(min(old.count - copied, 1 << 20)))
                try bytes.withBytes { (span) throws(ImageError) in
                    try update.store.write(span, at: HostOffset(place + copied))
                }
                copied += UInt64(bytes.count)
            }
            try update.store.zero(HostRange(start: HostOffset(place + copied), count: size - copied), mode: .written)
            update.l1Pages.forget(place, count: size)
            try update.setL1(HostOffset(place), count)
        }
        try batch { (update) throws(ImageError) in try update.space.release(old) }
    }

    /// Lets the header point to an L1 table that is written.
    private mutating func setL1(_ start: HostOffset, _ count: UInt64) throws(ImageError) {
        try store.sync()
        var fields = [UInt8](repeating: 0, count: 12)
        fields.withMutableBytes { span in
            span.storeBig(UInt32(count), at: 0)
            span.storeBig(start.value, at: 4)
        }
        try fields.withBytes { (span) throws(ImageError) in
            try store.write(span, at: HostOffset(UInt64(Header.Field.l1Size)))
        }
        try store.sync()
        if l1.count > 0 { space.areas.remove(at: l1.start.value) }
        l1 = try TableRange("the L1 table", offset: start.value, count: count, stride: 8, within: store.byteCount)
        space.areas.insert("the L1 table", start: start.value, count: count * 8, clusterSize: clusterSize)
        forgetView()
    }

    // MARK: Shrinking

    /// The length is cut first: afterwards nothing behind the new end counts, and what a crash leaves there is space.
    private mutating func shrink(to size: UInt64) throws(ImageError) {
        try begin()
        try storeLength(size)
        byteCount = size
        let coverage = UInt64(1) << geometry.l1CoverageBits
        let firstTable = size.dividedRoundingUp(by: coverage)
        try dropEntries(from: size.dividedRoundingUp(by: clusterSize), to: firstTable << geometry.l2EntryBits)
        for index in firstTable..<max(firstTable, UInt64(l1.count)) { try dropTable(index) }
        try guarded { (update) throws(ImageError) in
            if update.hasDataFile, update.data.byteCount > size { try update.data.setByteCount(size) }
            try update.space.dropEmptyBlocks()
            let end = update.space.place(of: try update.space.endOfUse())
            if end < update.store.byteCount { try update.store.setByteCount(end) }
            try update.sync()
        }
    }

    /// Clears the entries of guest clusters `first` up to `end`, all of one L2 table.
    private mutating func dropEntries(from first: UInt64, to end: UInt64) throws(ImageError) {
        guard first < end, try l2Table(first >> geometry.l2EntryBits) != nil else { return }
        var cluster = first
        while cluster < end {
            try batch { (update) throws(ImageError) in
                update.punchesFreed = true
                for _ in 0..<Self.batchEntries where cluster < end {
                    let old = try update.state(of: cluster)
                    if old != ClusterState() {
                        try update.set(ClusterState(), of: cluster)
                        try update.release(old)
                    }
                    cluster += 1
                }
            }
        }
    }

    /// Takes L2 table `index`, and all that it refers to, out of the active state.
    private mutating func dropTable(_ index: UInt64) throws(ImageError) {
        guard let table = try l2Table(index) else { return }
        try batch { (update) throws(ImageError) in
            update.punchesFreed = true
            for entry in 0..<UInt64(1) << update.geometry.l2EntryBits {
                let cluster = index << update.geometry.l2EntryBits + entry
                try update.release(update.state(of: cluster, at: table.place + entry * update.geometry.l2Stride))
            }
            try update.space.release(HostRange(start: HostOffset(table.place), count: update.clusterSize))
            try update.l1Pages.set(0, at: update.l1Place(index))
        }
    }
}
