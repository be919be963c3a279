internal import ReimageCore

/// Sizes that follow from the header, and the masks to take entries apart with.
/// - Source: qcow2 specification, "Cluster mapping".
struct Geometry: Sendable {
    /// The number of subclusters of a cluster with an extended L2 entry.
    static let subclusterCount = 32

    /// log2 of the cluster in bytes, 9 to 21.
    let clusterBits: UInt64
    /// Whether L2 entries have subclusters.
    let hasSubclusters: Bool

    init(clusterBits: UInt64, hasSubclusters: Bool) {
        self.clusterBits = clusterBits
        self.hasSubclusters = hasSubclusters
    }

    init(_ header: Header) {
        self.init(
            clusterBits: UInt64(header.clusterBits), hasSubclusters: header.incompatible.contains(.extendedL2))
    }

    /// The cluster in bytes.
    var clusterSize: UInt64 { 1 << clusterBits }
    /// The subcluster in bytes.
    var subclusterSize: UInt64 { clusterSize / UInt64(Self.subclusterCount) }
    /// The L2 entry in bytes.
    var l2Stride: UInt64 { hasSubclusters ? 16 : 8 }
    /// log2 of the number of entries of an L2 table, which fills one cluster.
    var l2EntryBits: UInt64 { clusterBits - (hasSubclusters ? 4 : 3) }
    /// log2 of the guest bytes below one L1 entry; 15 to 39.
    var l1CoverageBits: UInt64 { clusterBits + l2EntryBits }
    /// The guest bytes that an L1 table of `count` entries maps; fits, as `count` has at most 23 bits.
    func coverage(l1Entries count: UInt32) -> UInt64 { UInt64(count) << l1CoverageBits }

    /// The bit at which a compressed entry's sector count begins, 49 to 61.
    var compressedSizeShift: UInt64 { 70 - clusterBits }
}

/// The parts of the file that no guest byte and no L2 table can lie in.
///
/// An entry that points there would show metadata to the guest.
struct ReservedAreas: Sendable {
    private var areas: [(name: String, start: UInt64, count: UInt64)] = []
    /// Where the last area ends: most entries point behind it, which one comparison tells.
    private var end: UInt64 = 0

    /// Adds an area; it is widened to whole clusters, which is how tables take space.
    /// - Throws: `.damaged` where it overlaps one that is there.
    mutating func add(
        _ name: String, start: UInt64, count: UInt64, clusterSize: UInt64, place: HostOffset
    ) throws(ImageError) {
        guard count > 0 else { return }
        if let other = owner(of: start, count: count) {
            throw .damaged("\(name) at \(start) overlaps \(other)", at: place)
        }
        insert(name, start: start, count: count, clusterSize: clusterSize)
    }

    /// Adds an area that may share clusters with others.
    mutating func insert(_ name: String, start: UInt64, count: UInt64, clusterSize: UInt64) {
        guard count > 0 else { return }
        let whole = count.roundedUp(to: clusterSize) ?? count
        areas.append((name, start, whole))
        end = max(end, start + whole)
    }

    /// Takes away the area that begins at `start`, when what lay there has moved.
    mutating func remove(at start: UInt64) {
        areas.removeAll { $0.start == start }
        end = areas.map { $0.start + $0.count }.max() ?? 0
    }

    /// The area that `count` bytes at `start` touch.
    func owner(of start: UInt64, count: UInt64) -> String? {
        guard start < end else { return nil }
        return areas.first { start < $0.start + $0.count && $0.start < start + count }?.name
    }
}
