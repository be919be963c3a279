public import ReimageCore

/// A disk that knows the hashes of its parts without reading them: nodes of the tree that its content digest is made of.
///
/// Whoever reads a part gets bytes that were proved by its node, or an error.
public protocol DigestedDisk: BlockDevice {
    /// The length in bytes of the parts whose nodes are known: a power of two, at least a leaf. They start at multiples
    /// of it; the last one may be short.
    var nodeByteCount: UInt64 { get }

    /// The content digest of the whole disk.
    var contentDigest: ContentDigest { get }

    /// The node of the part at `offset`: that of ``nodeByteCount`` bytes, or of the whole tree where that is lower.
    func digestNode(at offset: GuestOffset) throws(ImageError) -> Hash256
}
