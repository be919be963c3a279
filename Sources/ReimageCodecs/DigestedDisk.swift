public import ReimageCore

/// A disk that knows the hashes of its parts without reading them: nodes of the tree that its content digest is made of.
///
/// Whoever reads a part gets bytes that were proved by its node, or an error.
public protocol DigestedDisk: BlockDevice {
    /// The length in bytes of the parts whose nodes are known: a power of two, at least a leaf. They start at multiples
    /// of it; the last one may be short.
    var nodeByteCount: UInt64 { get }

    /// Whether the disk is all that it was; else the image holds what was saved of another, and the digest is of that.
    var isWhole: Bool { get }

    /// The length in bytes of parts of which there are few, and whose nodes cost next to nothing.
    var coarseNodeByteCount: UInt64 { get }

    /// Node number `index` of `height`, counted in leaves of 64 KiB, that is at least as high as those of
    /// ``nodeByteCount``; what lies past the disk's end is zeros.
    func digestNode(height: Int, index: UInt64) throws(ImageError) -> Hash256

    /// The content digest of the whole disk.
    var contentDigest: ContentDigest { get }

    /// The node of the part at `offset`: that of ``nodeByteCount`` bytes, or of the whole tree where that is lower.
    func digestNode(at offset: GuestOffset) throws(ImageError) -> Hash256
}

extension DigestedDisk {
    public var isWhole: Bool { true }
    public var coarseNodeByteCount: UInt64 { nodeByteCount }

    public func digestNode(height: Int, index: UInt64) throws(ImageError) -> Hash256 {
        let known = nodeByteCount.trailingZeroBitCount - DigestTree.leafSize.trailingZeroBitCount
        let partHeight = min(known, DigestTree.height(ofDisk: byteCount))
        let size = UInt64(DigestTree.leafSize) << UInt64(height)
        var tree = DigestTree()
        var position = index * size
        while position < min((index + 1) * size, byteCount) {
            tree.append(try digestNode(at: GuestOffset(position)), height: partHeight)
            position += nodeByteCount
        }
        return tree.root(height: height)
    }
}
