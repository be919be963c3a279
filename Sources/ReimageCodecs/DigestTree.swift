internal import ReimageCore

/// The hash tree of RDD1, built from its leaves in order.
///
/// A leaf is 64 KiB of the disk, the last one padded with zeros; a node is the hash of its two children; leaves past
/// the end are leaves of zeros. Only the finished subtrees on the path to the next leaf are kept: one a height.
///
/// A subtree whose node is known already is added by that node alone, so the same tree is made from the disk's bytes
/// and from an index that keeps the nodes of its parts.
public struct DigestTree: Sendable {
    /// The leaf in bytes; a part of the digest's name, not a setting.
    public static let leafSize = 64 << 10

    /// The hash of a whole leaf of zeros, and of every tree of nothing but such leaves, by height.
    public static let zeroNodes: [Hash256] = {
        let zeros = [UInt8](repeating: 0, count: leafSize)
        var nodes = [zeros.withBytes { SHA256Hasher.hash(prefix: 0, $0) }]
        while nodes.count < 64 - 16 + 1 { nodes.append(node(nodes[nodes.count - 1], nodes[nodes.count - 1])) }
        return nodes
    }()

    private var finished: [(height: Int, node: Hash256)] = []
    /// How many leaves were added, those of subtrees counted.
    public private(set) var leafCount: UInt64 = 0

    /// A tree without leaves.
    public init() {}

    /// The hash of one whole leaf.
    public static func leaf(of bytes: RawSpan) -> Hash256 {
        bytes.isZero ? zeroNodes[0] : SHA256Hasher.hash(prefix: 0, bytes)
    }

    /// The hash of two subtrees of one height.
    public static func node(_ left: Hash256, _ right: Hash256) -> Hash256 {
        SHA256Hasher.hash(prefix: 1, left, right)
    }

    /// The hash of the tree of `target` whose first leaves are those of the tree `node` of `height`; the rest is zeros.
    public static func node(_ node: Hash256, of height: Int, raisedTo target: Int) -> Hash256 {
        guard height < target else { return node }
        return (height..<target).reduce(node) { Self.node($0, zeroNodes[$1]) }
    }

    /// The height of the tree of a disk of `byteCount` bytes.
    public static func height(ofDisk byteCount: UInt64) -> Int {
        let leaves = max(1, byteCount.dividedRoundingUp(by: UInt64(leafSize)))
        return leaves == 1 ? 0 : UInt64.bitWidth - (leaves - 1).leadingZeroBitCount
    }

    /// Adds the next leaf.
    public mutating func append(_ leaf: Hash256) { append(leaf, height: 0) }

    /// Adds the leaves that `bytes` are cut into; the last one is padded with zeros.
    public mutating func append(leavesOf bytes: RawSpan) {
        let size = Self.leafSize
        let whole = bytes.byteCount / size * size
        for leaf in Self.leaves(of: bytes.extracting(0..<whole)) { append(leaf) }
        guard whole < bytes.byteCount else { return }
        let rest = bytes.extracting(whole..<bytes.byteCount)
        var padded = [UInt8](repeating: 0, count: size)
        padded.withMutableBytes { $0.copy(from: rest) }
        append(padded.withBytes { Self.leaf(of: $0) })
    }

    /// Adds `count` leaves of zeros, a subtree at a time.
    public mutating func appendZeros(_ count: UInt64) {
        var left = count
        while left > 0 {
            let fits = UInt64.bitWidth - 1 - left.leadingZeroBitCount
            let height = leafCount == 0 ? fits : min(leafCount.trailingZeroBitCount, fits)
            append(Self.zeroNodes[height], height: height)
            left -= 1 << UInt64(height)
        }
    }

    /// Adds the subtree of `height` whose hash is `node`; the leaves before it must fill whole subtrees of that height.
    public mutating func append(_ node: Hash256, height: Int) {
        leafCount += 1 << UInt64(height)
        var node = node
        var height = height
        while let last = finished.last, last.height == height {
            finished.removeLast()
            node = Self.node(last.node, node)
            height += 1
        }
        finished.append((height, node))
    }

    /// The hash of the tree of `height` over the leaves that were added, at most as many as it holds; the rest of it
    /// is zeros.
    public consuming func root(height: Int) -> Hash256 {
        appendZeros((1 << UInt64(height)) - leafCount)
        return finished[0].node
    }

    /// The digest of a disk of `byteCount` bytes, all of whose leaves were added.
    public consuming func digest(byteCount: UInt64) -> ContentDigest {
        ContentDigest(root: root(height: Self.height(ofDisk: byteCount)), byteCount: byteCount)
    }
}
