internal import ReimageCore

extension ImageUpdate {
    /// Notes every place that no data may be put on.
    mutating func reserve() throws(ImageError) {
        let header = layout.header
        let clusterSize = geometry.clusterSize
        var areas = layout.reserved
        var snapshots = SnapshotTable(store, header: header)
        let count = try snapshots.forEachUnchecked { (snapshot) throws(ImageError) in
            try areas.add(
                "the L1 table of snapshot '\(snapshot.name)'", start: snapshot.l1Offset,
                count: UInt64(snapshot.l1Size) * 8, clusterSize: clusterSize, place: snapshot.place)
        }
        areas.insert("the snapshot table", start: header.snapshotsOffset, count: count, clusterSize: clusterSize)
        space.areas = areas
        for index in 0..<UInt64(l1.count) {
            let entry = try l1Pages.word(at: l1.start.value + index * 8)
            l1Pages.trim()
            if entry & L2Decoder.offsetMask != 0 { space.tables.insert(entry & L2Decoder.offsetMask) }
        }
    }

    /// The place of L1 entry `index`.
    func l1Place(_ index: UInt64) -> UInt64 { l1.start.value + index * 8 }

    /// The offset of L2 table `index`, and whether the active state alone refers to it; `nil` where there is none.
    mutating func l2Table(_ index: UInt64) throws(ImageError) -> (place: UInt64, isOwn: Bool)? {
        let entry = try l1Pages.word(at: l1Place(index))
        let offset = entry & L2Decoder.offsetMask
        guard entry & L2Decoder.l1ReservedMask == 0, offset % clusterSize == 0,
            space.areas.owner(of: offset, count: clusterSize) == nil || offset == 0
        else {
            throw damaged("L1 entry \(index) (0x\(String(entry, radix: 16))) points to no L2 table", l1Place(index))
        }
        guard offset != 0 else { return nil }
        let length = store.byteCount
        guard length >= clusterSize, offset <= length - clusterSize else {
            throw damaged(
                "L1 entry \(index): the L2 table at \(offset) passes the end of the file (\(length) bytes)",
                l1Place(index))
        }
        let isOwn = entry & L2Decoder.copiedFlag != 0
        try checkCopied(isOwn, offset, "L1 entry \(index)", l1Place(index))
        return (offset, isOwn)
    }

    /// Refuses a cluster whose COPIED flag and refcount do not agree: a write might change what others share.
    private mutating func checkCopied(
        _ flag: Bool, _ offset: UInt64, _ what: @autoclosure () -> String, _ place: UInt64
    ) throws(ImageError) {
        let count = try space.count(of: space.cluster(of: offset))
        guard count > 0, flag == (count == 1) else {
            throw damaged(
                "\(what()): the refcount of its cluster at \(offset) is \(count), and the COPIED flag is "
                    + (flag ? "set" : "clear"), place)
        }
    }

    private func damaged(_ message: String, _ place: UInt64) -> ImageError {
        .damaged(message, at: HostOffset(place), advice: Self.repairAdvice(store))
    }

    /// Where the entry of guest cluster `cluster` lies: the index of its L2 table, and its byte there.
    private func position(of cluster: UInt64) -> (l1Index: UInt64, inTable: UInt64) {
        (cluster >> geometry.l2EntryBits, (cluster & ((1 << geometry.l2EntryBits) - 1)) * geometry.l2Stride)
    }

    /// What the tables say of guest cluster `cluster`, checked so that it may be acted on.
    mutating func state(of cluster: UInt64) throws(ImageError) -> ClusterState {
        let (index, inTable) = position(of: cluster)
        guard let table = try l2Table(index) else { return ClusterState() }
        return try state(of: cluster, at: table.place + inTable)
    }

    /// What the entry at `place` says.
    mutating func state(of cluster: UInt64, at place: UInt64) throws(ImageError) -> ClusterState {
        let entry = try l2Pages.word(at: place)
        let bitmap = geometry.hasSubclusters ? try l2Pages.word(at: place + 8) : 0
        if entry == 0, bitmap == 0 { return ClusterState() }
        let guest = cluster << geometry.clusterBits
        let state: ClusterState
        do throws(L2Fault) {
            state = try decoder().state(entry, bitmap: bitmap, cluster: guest)
        } catch {
            throw error.error(entry: entry, place: HostOffset(place), guest: guest)
        }
        guard case .plain(let offset) = state.place else { return state }
        if hasDataFile {
            guard state.isCopied else {
                throw damaged("the L2 entry of guest offset \(guest): its COPIED flag is clear", place)
            }
        } else {
            if let owner = space.owner(of: offset) {
                throw damaged("the L2 entry of guest offset \(guest): \(owner) lies at \(offset)", place)
            }
            try checkCopied(state.isCopied, offset, "the L2 entry of guest offset \(guest)", place)
        }
        return state
    }

    /// Changes what the tables say of guest cluster `cluster`, in memory; makes the L2 table where it is missing, and
    /// copies it where it is shared.
    mutating func set(_ state: ClusterState, of cluster: UInt64) throws(ImageError) {
        let (index, inTable) = position(of: cluster)
        let place = try ownTable(index) + inTable
        let (entry, bitmap) = decoder().entry(of: state)
        try l2Pages.set(entry, at: place)
        if geometry.hasSubclusters { try l2Pages.set(bitmap, at: place + 8) }
    }

    private mutating func ownTable(_ index: UInt64) throws(ImageError) -> UInt64 {
        let old = try l2Table(index)
        if let old, old.isOwn { return old.place }
        let new = try space.take()
        if let old {
            let bytes = try store.bytes(at: HostOffset(old.place), count: Int(clusterSize))
            try bytes.withBytes { (span) throws(ImageError) in try store.write(span, at: HostOffset(new)) }
            try space.release(HostRange(start: HostOffset(old.place), count: clusterSize))
        } else {
            try store.zero(HostRange(start: HostOffset(new), count: clusterSize), mode: .written)
        }
        l2Pages.forget(new, count: clusterSize)
        space.tables.insert(new)
        try l1Pages.set(new | L2Decoder.copiedFlag, at: l1Place(index))
        return new
    }

    /// Notes that one reference to what `state` takes is gone.
    mutating func release(_ state: ClusterState) throws(ImageError) {
        switch state.place {
        case .nowhere: break
        case .plain(let offset):
            // With a data file its clusters are not counted. Without snapshots, whoever shares the cluster is another
            // entry of the active state, whose flag would have to be set then: the count stays, and is a leak.
            guard !hasDataFile, state.isCopied || layout.header.snapshotCount > 0 else { break }
            try space.release(HostRange(start: HostOffset(offset), count: clusterSize))
        case .compressed(let range): try space.release(range)
        }
    }
}
