internal import ReimageCore

/// Everything the file's first cluster and its tables' places say, checked against each other: what an image is
/// before any reference is opened.
struct Layout: Sendable {
    let header: Header
    let extensions: Extensions
    let compression: CompressionType
    let geometry: Geometry
    /// The L1 table of the active state.
    let l1: TableRange
    /// What neither data nor L2 tables may lie in.
    private(set) var reserved: ReservedAreas

    /// Reads the header, its extensions, and the snapshot table where there is one.
    /// - Throws: `.damaged` or `.unsupported` with the field's name and place.
    init(_ store: any ByteStore) throws(ImageError) {
        let length = store.byteCount
        let head = try store.bytes(at: .zero, count: Int(min(length, UInt64(Header.knownLength))))
        let header = try head.withBytes { (bytes) throws(ImageError) in try Header(decoding: bytes) }
        let cluster = try store.bytes(at: .zero, count: Int(min(length, header.clusterSize)))
        let extensions = try cluster.withBytes { (bytes) throws(ImageError) in
            try Extensions(cluster: bytes, header: header)
        }
        compression = try header.checkFeatures(names: extensions.featureNames)
        geometry = Geometry(header)
        l1 = try TableRange(
            "l1_table_offset, l1_size: the L1 table", offset: header.l1TableOffset, count: UInt64(header.l1Size),
            stride: 8, within: length)
        reserved = try Self.reservedAreas(header, l1, fileByteCount: length)
        self.header = header
        self.extensions = extensions

        guard header.size <= geometry.coverage(l1Entries: header.l1Size) else {
            throw .damaged(
                "l1_size is \(header.l1Size): too few entries for a disk of \(header.size) bytes",
                at: HostOffset(UInt64(Header.Field.l1Size)))
        }
        guard !hasDataFile || extensions.dataFileName != nil else {
            throw .damaged(
                "incompatible_features: the image has a data file, but does not name it",
                at: HostOffset(UInt64(Header.Field.incompatibleFeatures)))
        }
        if let luks = extensions.encryption, luks.start.value >= length {
            throw .damaged(
                "the encryption header at \(luks.start) lies past the end of the file (\(length) bytes)",
                at: luks.start, advice: "Is the file cut short?")
        }
        var snapshots = SnapshotTable(store, header: header)
        try snapshots.forEach { _ in }
    }

    /// Whether guest data lies in another file.
    var hasDataFile: Bool { header.incompatible.contains(.dataFile) }

    private static func reservedAreas(
        _ header: Header, _ l1: TableRange, fileByteCount: UInt64
    ) throws(ImageError) -> ReservedAreas {
        let size = header.clusterSize
        var areas = ReservedAreas()
        areas.insert("the header", start: 0, count: size, clusterSize: size)
        let refcounts = UInt64(header.refcountTableClusters) * size
        // A reader has no use for refcounts, but where even their table is missing, so is what lies behind it.
        guard refcounts == 0 || header.refcountTableOffset < fileByteCount else {
            throw .damaged(
                "refcount_table_offset is \(header.refcountTableOffset), past the end of the file "
                    + "(\(fileByteCount) bytes)", at: HostOffset(UInt64(Header.Field.refcountTableOffset)),
                advice: "Is the file cut short?")
        }
        try areas.add(
            "the refcount table", start: header.refcountTableOffset, count: refcounts, clusterSize: size,
            place: HostOffset(UInt64(Header.Field.refcountTableOffset)))
        try areas.add(
            "the L1 table", start: l1.start.value, count: UInt64(l1.byteCount), clusterSize: size,
            place: HostOffset(UInt64(Header.Field.l1TableOffset)))
        return areas
    }
}

extension Layout {
    /// One state of the disk: its size, and the table that maps it.
    struct State {
        var byteCount: UInt64
        var l1: TableRange
        var reserved: ReservedAreas
    }

    /// The active state.
    var active: State { State(byteCount: header.size, l1: l1, reserved: reserved) }

    /// The state that a snapshot keeps.
    ///
    /// The disk is as long as it was when the snapshot was taken, where the entry tells. `qemu-img convert -l` uses
    /// today's size instead: after the disk was grown that adds zeros the guest never had, and after it was shrunk it
    /// cuts off data, silently. The size comes from the file, so it must not pass what the snapshot's L1 table maps.
    func state(of snapshot: Snapshot, fileByteCount: UInt64) throws(ImageError) -> State {
        guard !hasDataFile else {
            throw ImageError(
                .unsupported, "an image with a data file keeps no snapshots: the data file has only the active state",
                at: .host(snapshot.place))
        }
        let byteCount = snapshot.byteCount ?? header.size
        guard byteCount <= geometry.coverage(l1Entries: snapshot.l1Size) else {
            throw .damaged(
                "snapshot '\(snapshot.name)': its L1 table of \(snapshot.l1Size) entries is too small for a disk of "
                    + "\(byteCount) bytes", at: snapshot.place)
        }
        let table = try TableRange(
            "the L1 table of snapshot '\(snapshot.name)'", offset: snapshot.l1Offset, count: UInt64(snapshot.l1Size),
            stride: 8, within: fileByteCount)
        var areas = reserved
        try areas.add(
            "the L1 table of snapshot '\(snapshot.name)'", start: snapshot.l1Offset, count: UInt64(table.byteCount),
            clusterSize: header.clusterSize, place: snapshot.place)
        return State(byteCount: byteCount, l1: table, reserved: areas)
    }
}
