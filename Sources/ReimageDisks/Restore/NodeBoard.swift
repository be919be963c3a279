internal import ReimageCodecs
internal import ReimageCore
internal import Synchronization

/// What a disk must read as, kept as nodes of its digest's tree: one a unit, of which there are few whatever its size.
///
/// Nodes come in any order and from any thread. A unit's own node is made when all of it was told.
final class NodeBoard: Sendable {
    /// The most units; a node takes 32 bytes.
    static let mostUnits: UInt64 = 1 << 16
    /// The smallest unit in bytes.
    static let leastUnit: UInt64 = 1 << 20

    fileprivate struct Pending {
        var parts: [(leaf: UInt64, height: Int, node: Hash256)] = []
        var leaves: UInt64 = 0
    }

    fileprivate struct State {
        var byteCount: UInt64?
        var done: [UInt64: Hash256] = [:]
        var pending: [UInt64: Pending] = [:]
    }

    /// The unit in bytes: a power of two.
    let unit: UInt64
    private let unitHeight: Int
    private let state: Mutex<State>

    /// - Parameters:
    ///   - byteCount: the disk's length, where it is known.
    ///   - most: the most that it can be.
    ///   - part: a unit is at least this, a power of two.
    init(byteCount: UInt64?, most: UInt64, part: UInt64 = 0) {
        unit = Self.unit(forDisk: most, part: part)
        unitHeight = unit.trailingZeroBitCount - DigestTree.leafSize.trailingZeroBitCount
        state = Mutex(State(byteCount: byteCount))
    }

    /// The unit for a disk of at most `most` bytes.
    static func unit(forDisk most: UInt64, part: UInt64 = 0) -> UInt64 {
        var unit = max(leastUnit, part)
        while most.dividedRoundingUp(by: unit) > mostUnits, unit < 1 << 50 { unit <<= 1 }
        return unit
    }

    /// The disk's length, once it is known.
    var byteCount: UInt64? { state.withLock { $0.byteCount } }

    /// The number of the unit that holds `offset`.
    func index(of offset: UInt64) -> UInt64 { offset / unit }

    /// Adds the node of `height` that starts at `offset`, a multiple of its length. What lies past the disk's end is
    /// zeros.
    func add(_ node: Hash256, height: Int, at offset: UInt64) {
        state.withLock { $0.add(node, height: height, leaf: offset / Self.leafSize, unitHeight: unitHeight) }
    }

    /// Adds the leaves of `bytes`, which lie at `offset`: as one node where they are as long as one.
    func add(leavesOf bytes: RawSpan, at offset: UInt64) {
        let size = DigestTree.leafSize
        let leaves = (bytes.byteCount + size - 1) / size
        if leaves.nonzeroBitCount == 1, bytes.byteCount.isMultiple(of: size),
            (offset / Self.leafSize).isMultiple(of: UInt64(leaves))
        {
            let height = leaves.trailingZeroBitCount
            var tree = DigestTree()
            tree.append(leavesOf: bytes)
            return add(tree.root(height: height), height: height, at: offset)
        }
        for start in stride(from: 0, to: bytes.byteCount, by: size) {
            let part = bytes.extracting(start..<min(start + size, bytes.byteCount))
            var tree = DigestTree()
            tree.append(leavesOf: part)
            add(tree.root(height: 0), height: 0, at: offset + UInt64(start))
        }
    }

    /// Adds `count` zero bytes from `offset`, a multiple of a leaf; they end on one, or at the disk's end.
    func addZeros(at offset: UInt64, count: UInt64) {
        var leaf = offset / Self.leafSize
        let end = leaf + count.dividedRoundingUp(by: Self.leafSize)
        while leaf < end {
            let fits = UInt64.bitWidth - 1 - (end - leaf).leadingZeroBitCount
            let height = min(unitHeight, fits, leaf == 0 ? fits : leaf.trailingZeroBitCount)
            let node = DigestTree.zeroNodes[height]
            state.withLock { $0.add(node, height: height, leaf: leaf, unitHeight: unitHeight) }
            leaf += 1 << UInt64(height)
        }
    }

    /// Takes over the node of a whole unit that was told before; `nil` forgets it.
    func set(_ node: Hash256?, ofUnit index: UInt64) { state.withLock { $0.done[index] = node } }

    /// Says how long the disk is, once that is known.
    func finish(byteCount: UInt64) {
        state.withLock { state in
            state.byteCount = byteCount
            for index in state.pending.keys { state.complete(index, unitHeight: unitHeight) }
        }
    }

    /// The node of unit `index`; `nil` while it was not told in full.
    func node(ofUnit index: UInt64) -> Hash256? { state.withLock { $0.done[index] } }

    /// The digest of the whole disk; `nil` while parts of it were not told.
    ///
    /// - Parameter other: the units that are otherwise.
    func digest(_ other: (UInt64) -> Hash256? = { _ in nil }) -> ContentDigest? {
        state.withLock { state in
            guard let byteCount = state.byteCount else { return nil }
            var tree = DigestTree()
            let height = min(unitHeight, DigestTree.height(ofDisk: byteCount))
            for index in 0..<byteCount.dividedRoundingUp(by: unit) {
                guard let node = other(index) ?? state.done[index] else { return nil }
                tree.append(node, height: height)
            }
            return tree.digest(byteCount: byteCount)
        }
    }

    /// The height of unit nodes on a disk of `byteCount` bytes.
    func height(onDisk byteCount: UInt64) -> Int { min(unitHeight, DigestTree.height(ofDisk: byteCount)) }

    private static let leafSize = UInt64(DigestTree.leafSize)
}

extension NodeBoard.State {
    /// The leaves of a disk of the known length.
    private var leafCount: UInt64 {
        byteCount.map { $0.dividedRoundingUp(by: UInt64(DigestTree.leafSize)) } ?? .max
    }

    fileprivate mutating func add(_ node: Hash256, height: Int, leaf: UInt64, unitHeight: Int) {
        let index = leaf >> UInt64(unitHeight)
        guard done[index] == nil else { return }
        let most = leafCount > leaf ? leafCount - leaf : 0
        pending[index, default: .init()].parts.append((leaf, height, node))
        pending[index, default: .init()].leaves += min(1 << UInt64(height), most)
        complete(index, unitHeight: unitHeight)
    }

    /// Makes the node of unit `index` if all of it is there.
    fileprivate mutating func complete(_ index: UInt64, unitHeight: Int) {
        guard let unit = pending[index] else { return }
        let first = index << UInt64(unitHeight)
        let all = min(1 << UInt64(unitHeight), leafCount > first ? leafCount - first : 0)
        guard unit.leaves >= all else { return }
        var tree = DigestTree()
        for part in unit.parts.sorted(by: { $0.leaf < $1.leaf }) { tree.append(part.node, height: part.height) }
        let height = byteCount.map { min(unitHeight, DigestTree.height(ofDisk: $0)) } ?? unitHeight
        done[index] = tree.root(height: height)
        pending[index] = nil
    }
}
