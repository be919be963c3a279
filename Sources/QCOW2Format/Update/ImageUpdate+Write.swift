internal import ReimageCore

extension ImageUpdate {
    /// The guest bytes that one batch writes: the price of a crash is at most so much space.
    static let batchBytes: UInt64 = 8 << 20
    /// The bytes copied by one read.
    private static let copyBytes = 1 << 20

    /// Guest bytes and their place in the data store.
    private struct Piece {
        var host: UInt64
        var guest: Range<UInt64>

        /// Takes in the piece that follows, where both go on.
        mutating func join(_ next: Piece) -> Bool {
            guard guest.upperBound == next.guest.lowerBound, host + UInt64(guest.count) == next.host else {
                return false
            }
            guest = guest.lowerBound..<next.guest.upperBound
            return true
        }
    }

    /// What a batch of writes does, before anything is done.
    private struct WritePlan {
        /// Bytes that the caller puts.
        var direct: [Piece] = []
        /// Bytes that are copied as the guest sees them now.
        var copies: [Piece] = []
        var changes: [(cluster: UInt64, state: ClusterState)] = []

        mutating func put(_ piece: Piece) {
            if direct.isEmpty || !direct[direct.count - 1].join(piece) { direct.append(piece) }
        }

        mutating func copy(_ piece: Piece) {
            guard !piece.guest.isEmpty else { return }
            if copies.isEmpty || !copies[copies.count - 1].join(piece) { copies.append(piece) }
        }
    }

    /// Writes `bytes` at `offset`; the range lies inside the disk.
    mutating func write(_ bytes: RawSpan, at offset: GuestOffset) throws(ImageError) {
        let end = offset.value + UInt64(bytes.byteCount)
        var position = offset.value
        while position < end {
            let stop = min(end, (position + Self.batchBytes).roundedDown(to: clusterSize))
            try batch { (update) throws(ImageError) in
                let target = update.data
                try update.change(position..<stop) { (host, guest) throws(ImageError) in
                    let first = Int(guest.lowerBound - offset.value)
                    try target.write(bytes.extracting(first..<first + guest.count), at: host)
                }
            }
            position = stop
        }
    }

    /// Makes the guest bytes `part` stored ones, which `put` writes to the places it is given; what else their grains
    /// hold stays as the guest sees it. For a batch.
    mutating func change(
        _ part: Range<UInt64>, put: (HostOffset, Range<UInt64>) throws(ImageError) -> Void
    ) throws(ImageError) {
        guard !part.isEmpty else { return }
        var plan = WritePlan()
        for cluster in part.lowerBound >> geometry.clusterBits...(part.upperBound - 1) >> geometry.clusterBits {
            let start = cluster << geometry.clusterBits
            let bytes = part.clamped(to: start..<start + clusterSize)
            try add(cluster, bytes.lowerBound - start..<bytes.upperBound - start, to: &plan)
        }
        if !plan.copies.isEmpty {
            let disk = try disk()
            let cursor = try disk.makeCursor()
            for piece in plan.copies { try copy(piece, disk, cursor) }
        }
        for piece in plan.direct { try put(HostOffset(piece.host), piece.guest) }
        for (cluster, state) in plan.changes { try set(state, of: cluster) }
    }

    /// Plans to write `bytes` of `cluster`.
    private mutating func add(
        _ cluster: UInt64, _ bytes: Range<UInt64>, to plan: inout WritePlan
    ) throws(ImageError) {
        let start = cluster << geometry.clusterBits
        let old = try state(of: cluster)
        let touched = grains.touched(by: bytes)
        let mask = grains.mask(touched)
        let host: UInt64
        // The grains whose bytes lie where they are to be, apart from those written.
        var kept: UInt32 = 0
        if let own = old.ownPlace {
            host = own
            kept = old.stored
        } else {
            host = hasDataFile ? start : try space.take()
            try release(old)
            let moved = (old.isCompressed ? grains.all : old.stored) & ~mask
            for run in grains.runs(moved) {
                plan.copy(Piece(host: host + run.lowerBound, guest: start + run.lowerBound..<start + run.upperBound))
            }
        }
        let head = touched.lowerBound * grains.size..<bytes.lowerBound
        if kept >> UInt32(touched.lowerBound) & 1 == 0 {
            plan.copy(Piece(host: host + head.lowerBound, guest: start + head.lowerBound..<start + head.upperBound))
        }
        plan.put(
            Piece(host: host + bytes.lowerBound, guest: start + bytes.lowerBound..<start + bytes.upperBound))
        let tail = bytes.upperBound..<touched.upperBound * grains.size
        if kept >> UInt32(touched.upperBound - 1) & 1 == 0 {
            plan.copy(Piece(host: host + tail.lowerBound, guest: start + tail.lowerBound..<start + tail.upperBound))
        }
        var new = old
        new.place = .plain(host)
        new.isCopied = true
        new.stored |= mask | (old.isCompressed ? grains.all : 0)
        new.zero &= ~mask
        if new != old { plan.changes.append((cluster, new)) }
    }

    /// Copies what the guest sees to the piece's place; zeros behind the disk's end.
    private func copy(_ piece: Piece, _ disk: QCOW2Disk, _ cursor: any DiskCursor) throws(ImageError) {
        var position = piece.guest.lowerBound
        let end = min(piece.guest.upperBound, disk.byteCount)
        let place = { (guest: UInt64) in HostOffset(piece.host + (guest - piece.guest.lowerBound)) }
        while position < end {
            let extent = try disk.extent(at: GuestOffset(position), limit: end - position)
            let next = position + min(extent.count, end - position)
            if extent.kind == .zero || extent.kind == .hole {
                try data.clear(HostRange(from: place(position), to: place(next)))
            } else {
                while position < next {
                    let count = min(Int(next - position), Self.copyBytes)
                    var bytes = [UInt8](repeating: 0, count: count)
                    try bytes.withMutableBytes { (span) throws(ImageError) in
                        try cursor.read(into: &span, at: GuestOffset(position))
                    }
                    try bytes.withBytes { (span) throws(ImageError) in try data.write(span, at: place(position)) }
                    position += UInt64(count)
                }
            }
            position = next
        }
        // The data file ends with the disk.
        guard !hasDataFile, piece.guest.upperBound > max(end, piece.guest.lowerBound) else { return }
        try data.clear(
            HostRange(from: place(max(end, piece.guest.lowerBound)), to: place(piece.guest.upperBound)))
    }
}
