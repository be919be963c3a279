internal import ReimageCore

/// What a check learned besides its findings: what a repair must know before it changes anything.
struct CheckFacts {
    /// The most overlaps that are remembered; a repair of an image with more is refused.
    static let mostOverlaps = 1 << 16

    /// Clusters whose uses exclude each other.
    private(set) var overlaps: [UInt64: ReferenceCounter.Uses] = [:]
    /// Whether there were too many overlaps to remember.
    private(set) var hasTooManyOverlaps = false
    /// Whether there are structures that could not be read, so that a cluster nobody refers to may still be in use.
    var hasUnknownReferences = false
    /// Whether the refcount table or a block cannot be used as it is.
    var hasDamagedRefcounts = false
    /// Whether a cluster has more references than it is counted for.
    var hasLowRefcounts = false
    /// Whether the bitmaps' structures contradict themselves.
    var hasDamagedBitmaps = false
    /// Whether entries of the snapshot table lack what version 3 wants.
    var hasIncompleteSnapshots = false
    /// Data clusters with more references than a refcount can say.
    private(set) var overflows: Set<UInt64> = []

    mutating func add(overlap cluster: UInt64, _ uses: ReferenceCounter.Uses) {
        guard overlaps.count < Self.mostOverlaps else { return hasTooManyOverlaps = true }
        overlaps[cluster] = uses
    }

    mutating func add(overflow cluster: UInt64) {
        guard overflows.count < Self.mostOverlaps else { return hasTooManyOverlaps = true }
        overflows.insert(cluster)
    }
}
