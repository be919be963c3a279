internal import ReimageCore

/// What a check knows of an image before it walks its tables: as little as it can do with.
///
/// ``Layout`` refuses what a reader cannot trust; a check goes on where the damage can be described, and throws only
/// where it would not know what to look at.
struct CheckedImage {
    /// The longest LUKS header that a check believes; real ones have a few MiB.
    private static let longestLUKSHeader: UInt64 = 1 << 30

    let store: PaddedStore
    let header: Header
    let extensions: Extensions
    let geometry: Geometry
    let l1: TableRange
    let snapshots: [Snapshot]
    /// The bytes of the snapshot table.
    let snapshotTableSize: UInt64

    /// - Throws: `.damaged` or `.unsupported` where the header, the place of the active L1 table or the snapshot table
    ///   cannot be.
    init(_ store: any ByteStore, _ cancellation: Cancellation = Cancellation()) throws(ImageError) {
        let length = store.byteCount
        let padded = PaddedStore(store, cancellation)
        let head = try store.bytes(at: .zero, count: Int(min(length, UInt64(Header.knownLength))))
        header = try head.withBytes { (bytes) throws(ImageError) in try Header(decoding: bytes) }
        let cluster = try store.bytes(at: .zero, count: Int(min(length, header.clusterSize)))
        let header = header
        extensions = try cluster.withBytes { (bytes) throws(ImageError) in
            try Extensions(cluster: bytes, header: header)
        }
        _ = try header.checkFeatures(names: extensions.featureNames)
        geometry = Geometry(header)
        l1 = try TableRange(
            "l1_table_offset, l1_size: the L1 table", offset: header.l1TableOffset, count: UInt64(header.l1Size),
            stride: 8, within: length)
        guard header.size <= geometry.coverage(l1Entries: header.l1Size) else {
            throw .damaged(
                "l1_size is \(header.l1Size): too few entries for a disk of \(header.size) bytes",
                at: HostOffset(UInt64(Header.Field.l1Size)))
        }
        if let luks = extensions.encryption, luks.count > Self.longestLUKSHeader {
            throw .damaged("the encryption header of \(luks.count) bytes cannot be", at: luks.start)
        }
        var table = SnapshotTable(store, header: header)
        var snapshots: [Snapshot] = []
        snapshotTableSize = try table.forEachUnchecked { snapshots.append($0) }
        self.snapshots = snapshots
        self.store = padded
    }

    var clusterSize: UInt64 { geometry.clusterSize }

    /// The clusters of the file, the last of which may be cut.
    var clusterCount: UInt64 { store.byteCount.dividedRoundingUp(by: clusterSize) }

    /// Whether guest data lies in another file.
    var hasDataFile: Bool { header.incompatible.contains(.dataFile) }

    /// Whether the bitmaps are in step with the disk; where not, what the extension says counts for nothing.
    var hasLiveBitmaps: Bool { extensions.bitmaps != nil && header.autoclear.contains(.bitmaps) }

    /// The clusters that `count` bytes at `offset` touch, as far as the file goes.
    func clusters(at offset: UInt64, count: UInt64) -> Range<UInt64> {
        guard count > 0 else { return 0..<0 }
        let first = min(offset >> geometry.clusterBits, clusterCount)
        let (last, overflow) = offset.addingReportingOverflow(count - 1)
        let end = overflow ? clusterCount : min((last >> geometry.clusterBits) + 1, clusterCount)
        return first..<max(first, end)
    }

    /// Whether a structure misses a cluster or more of its bytes, as the file is too short. What lacks less was never
    /// written, and reads as zeros.
    func passesEnd(_ offset: UInt64, count: UInt64) -> Bool {
        let (end, overflow) = offset.addingReportingOverflow(count)
        return overflow || (end > store.byteCount && end - store.byteCount >= clusterSize)
    }
}
