internal import ReimageCodecs
internal import ReimageCore

/// The hash tree of RDD1, built from leaves in order.
///
/// A leaf is 64 KiB of the disk, the last one padded with zeros; a node is the hash of its two children; leaves past
/// the end are leaves of zeros. Only the finished subtrees on the path to the next leaf are kept: one a height.
struct DigestTree {
    /// The leaf in bytes; a part of the digest's name, not a setting.
    static let leafSize = 64 << 10

    /// The hash of a whole leaf of zeros, and of every tree of nothing but such leaves, by height.
    static let zeroNodes: [Hash256] = {
        var nodes = [leaf(of: [UInt8](repeating: 0, count: leafSize))]
        while nodes.count < 64 - 16 + 1 { nodes.append(node(nodes[nodes.count - 1], nodes[nodes.count - 1])) }
        return nodes
    }()

    private var finished: [(height: Int, node: Hash256)] = []
    private(set) var leafCount: UInt64 = 0

    /// The hash of one whole leaf.
    static func leaf(of bytes: RawSpan) -> Hash256 { SHA256Hasher.hash(prefix: 0, bytes) }

    private static func leaf(of bytes: [UInt8]) -> Hash256 { bytes.withBytes { leaf(of: $0) } }

    private static func node(_ left: Hash256, _ right: Hash256) -> Hash256 {
        SHA256Hasher.hash(prefix: 1, left, right)
    }

    /// Adds the next leaf.
    mutating func append(_ leaf: Hash256) { append(leaf, height: 0) }

    /// Adds `count` leaves of zeros, a subtree at a time.
    mutating func appendZeros(_ count: UInt64) {
        var left = count
        while left > 0 {
            let fits = UInt64.bitWidth - 1 - left.leadingZeroBitCount
            let height = leafCount == 0 ? fits : min(leafCount.trailingZeroBitCount, fits)
            append(Self.zeroNodes[height], height: height)
            left -= 1 << UInt64(height)
        }
    }

    private mutating func append(_ node: Hash256, height: Int) {
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

    /// The digest of a disk of `byteCount` bytes, all of whose leaves were added.
    mutating func finish(byteCount: UInt64) -> ContentDigest {
        let leaves = max(1, byteCount.dividedRoundingUp(by: UInt64(Self.leafSize)))
        let height = leaves == 1 ? 0 : UInt64.bitWidth - (leaves - 1).leadingZeroBitCount
        appendZeros((1 << UInt64(height)) - leafCount)
        var text = Array("RIMG-RDD1-SHA256".utf8)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            text.append(UInt8(truncatingIfNeeded: byteCount >> shift))
        }
        text.append(contentsOf: finished[0].node.bytes)
        return ContentDigest(hash: SHA256Hasher.hash(text))
    }
}
