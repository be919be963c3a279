internal import ReimageCore

/// The L1 table of a new image, and the L2 table that is being filled: from guest clusters to entries, in ascending
/// order.
struct MappingBuilder {
    private let geometry: Geometry
    /// The L1 entries so far.
    private(set) var l1: [UInt64] = []
    /// The L2 table that is being filled, by its L1 index; its bytes are kept for the next.
    private var current: (index: Int, place: HostOffset)?
    private var table: [UInt8]

    init(_ geometry: Geometry) {
        self.geometry = geometry
        table = [UInt8](repeating: 0, count: Int(geometry.clusterSize))
    }

    /// The bit pattern of an extended entry whose subclusters in `range` are set; shifted by 32 they are zeros.
    static func subclusters(_ range: Range<Int>) -> UInt64 {
        (range.upperBound == 64 ? .max : (1 << UInt64(range.upperBound)) - 1) & ~((1 << UInt64(range.lowerBound)) - 1)
    }

    /// Opens the L2 table that maps `cluster`, and completes the one before it.
    ///
    /// It is done before the cluster's data is given a place, so that a table lies before what it maps.
    mutating func open(
        cluster: UInt64, _ allocator: inout ClusterAllocator, into placement: inout Placement
    ) throws(ImageError) {
        let index = Int(cluster >> geometry.l2EntryBits)
        if let current {
            guard current.index != index else { return }
            flush(into: &placement)
        }
        guard index < Int(Header.mostL1Entries) else { throw Self.tooLarge(geometry) }
        if index >= l1.count { l1 += [UInt64](repeating: 0, count: index + 1 - l1.count) }
        let place = try allocator.allocate()
        l1[index] = place.value | L2Decoder.copiedFlag
        current = (index, place)
    }

    /// Sets the entry of `cluster`, whose table is open.
    mutating func set(_ entry: UInt64, bitmap: UInt64 = 0, cluster: UInt64) {
        let index = Int(cluster & ((1 << geometry.l2EntryBits) - 1))
        let stride = Int(geometry.l2Stride)
        let hasSubclusters = geometry.hasSubclusters
        table.withMutableBytes { entries in
            entries.storeBig(entry, at: index * stride)
            if hasSubclusters { entries.storeBig(bitmap, at: index * stride + 8) }
        }
    }

    /// Writes the L2 table that is open.
    mutating func flush(into placement: inout Placement) {
        guard let current else { return }
        placement.append(.write(.metadata(table), at: current.place))
        table = [UInt8](repeating: 0, count: table.count)
        self.current = nil
    }

    /// The bytes of the L1 table for a disk of `byteCount` bytes, which has one entry at least.
    func l1Bytes(byteCount: UInt64) throws(ImageError) -> [UInt8] {
        let count = try Self.l1Count(byteCount: byteCount, geometry)
        var bytes = [UInt8](repeating: 0, count: count * 8)
        bytes.withMutableBytes { entries in
            for (index, entry) in l1.enumerated() { entries.storeBig(entry, at: index * 8) }
        }
        return bytes
    }

    /// The L1 entries that a disk of `byteCount` bytes needs; never none, so that a disk without bytes can grow.
    static func l1Count(byteCount: UInt64, _ geometry: Geometry) throws(ImageError) -> Int {
        let count = max(1, byteCount.dividedRoundingUp(by: 1 << geometry.l1CoverageBits))
        guard count <= UInt64(Header.mostL1Entries), byteCount < 1 << 63 else { throw tooLarge(geometry) }
        return Int(count)
    }

    private static func tooLarge(_ geometry: Geometry) -> ImageError {
        let most = min(UInt64(Header.mostL1Entries) << geometry.l1CoverageBits, 1 << 62)
        return ImageError(
            .unsupported, "with clusters of \(geometry.clusterSize) bytes a disk can be \(humanSize(most)) at the most",
            advice: geometry.clusterBits < 21 ? "Take larger clusters: -o cluster_size=2M." : nil)
    }
}
