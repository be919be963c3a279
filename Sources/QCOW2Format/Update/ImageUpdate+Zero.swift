internal import ReimageCore

extension ImageUpdate {
    /// The L2 entries that one batch looks at.
    static let batchEntries = 8192

    /// Makes `range`, which lies inside the disk, read as zeros.
    mutating func zero(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
        guard let whole = wholeGrains(range) else { return try writeZeros(range) }
        try writeZeros(range.lowerBound..<whole.lowerBound)
        try zeroGrains(whole, mayUnmap: mayUnmap)
        try writeZeros(min(whole.upperBound, range.upperBound)..<range.upperBound)
    }

    /// Gives up the whole grains of `range`.
    mutating func discard(_ range: Range<UInt64>) throws(ImageError) {
        guard let whole = wholeGrains(range) else { return }
        try zeroGrains(whole, mayUnmap: true)
    }

    /// The grains that lie inside `range`; the last of the disk is whole where the disk ends in it.
    private func wholeGrains(_ range: Range<UInt64>) -> Range<UInt64>? {
        let first = range.lowerBound.dividedRoundingUp(by: grains.size) * grains.size
        let last =
            range.upperBound == byteCount
            ? range.upperBound.dividedRoundingUp(by: grains.size) * grains.size
            : range.upperBound.roundedDown(to: grains.size)
        return first < last ? first..<last : nil
    }

    /// Stores zeros in the part of `range` that does not read as zeros yet.
    private mutating func writeZeros(_ range: Range<UInt64>) throws(ImageError) {
        var position = range.lowerBound
        while position < range.upperBound {
            let limit = min(range.upperBound, (position + Self.batchBytes).roundedDown(to: clusterSize)) - position
            let extent = try disk().extent(at: GuestOffset(position), limit: limit)
            let next = position + min(extent.count, limit)
            if extent.kind != .zero, extent.kind != .hole {
                try batch { (update) throws(ImageError) in
                    let target = update.data
                    try update.change(position..<next) { (host, guest) throws(ImageError) in
                        try target.zero(HostRange(start: host, count: UInt64(guest.count)), mode: .written)
                    }
                }
            }
            position = next
        }
    }

    /// Makes whole grains read as zeros by what the tables say.
    private mutating func zeroGrains(_ range: Range<UInt64>, mayUnmap: Bool) throws(ImageError) {
        if isRawDataFile {
            // Read without the tables, the data file must show the zeros too.
            let end = HostOffset(min(range.upperBound, data.byteCount))
            let start = HostOffset(range.lowerBound)
            try begin()
            if start < end {
                try guarded { (update) throws(ImageError) in
                    try update.data.zero(HostRange(from: start, to: end), mode: mayUnmap ? .sparse : .allocated)
                }
            }
        }
        var position = range.lowerBound
        while position < range.upperBound {
            var unsettled: [Range<UInt64>] = []
            try batch { (update) throws(ImageError) in
                update.punchesFreed = mayUnmap
                for _ in 0..<Self.batchEntries where position < range.upperBound {
                    let index = position >> update.geometry.l1CoverageBits
                    if !update.isCoveredBelow(position), try update.l2Table(index) == nil {
                        position = min(range.upperBound, (index + 1) << update.geometry.l1CoverageBits)
                        continue
                    }
                    let start = position.roundedDown(to: update.clusterSize)
                    let stop = min(range.upperBound, start + update.clusterSize)
                    if try !update.zeroCluster(start, position - start..<stop - start, mayUnmap: mayUnmap) {
                        unsettled.append(position..<min(stop, update.byteCount))
                    }
                    position = stop
                }
            }
            for part in unsettled { try writeZeros(part) }
        }
    }

    /// Whether the layer below has bytes at `position`.
    private func isCoveredBelow(_ position: UInt64) -> Bool { below.map { position < $0.byteCount } ?? false }

    /// Makes the grains `bytes` of the cluster at `start` read as zeros.
    /// - Returns: whether that was done; where the tables cannot say it, zeros must be written.
    private mutating func zeroCluster(
        _ start: UInt64, _ bytes: Range<UInt64>, mayUnmap: Bool
    ) throws(ImageError) -> Bool {
        let cluster = start >> geometry.clusterBits
        let old = try state(of: cluster)
        let mask = grains.mask(grains.touched(by: bytes))
        let showsBelow = !old.isCompressed && ~(old.stored | old.zero) & mask != 0 && isCoveredBelow(start)
        let readsAsZero = !old.isCompressed && old.stored & mask == 0 && !showsBelow
        var new = old
        if isRawDataFile {
            // What is stored was overwritten with zeros already.
            guard showsBelow else { return true }
            new.zero |= mask & ~old.stored
        } else if isVersion2 {
            if readsAsZero { return true }
            if isCoveredBelow(start) { return false }
            new = ClusterState()
        } else if old.isCompressed {
            guard mask == grains.all else { return false }
            new = ClusterState()
            new.zero = grains.all
        } else {
            new.stored &= ~mask
            if !readsAsZero { new.zero |= mask }
        }
        if new.stored == 0, mayUnmap || old.ownPlace == nil, !isRawDataFile {
            new.place = .nowhere
            new.isCopied = false
        }
        guard new != old else { return true }
        try set(new, of: cluster)
        if new.place != old.place { try release(old) }
        if mayUnmap, let own = old.ownPlace, hasDataFile || new.place == old.place {
            for run in grains.runs(old.stored & ~new.stored) {
                punches.append((data, HostRange(start: HostOffset(own + run.lowerBound), count: UInt64(run.count))))
            }
        }
        return true
    }
}
