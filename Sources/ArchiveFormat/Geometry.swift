internal import ReimageCodecs
internal import ReimageCore

/// How the disk is cut: slots of one size, and leaf ranges of slots.
///
/// - Source: archive specification 1.0, sections 4.1, 5 and 12.
struct Geometry: Hashable, Sendable {
    /// log2 of the chunk sizes there are.
    static let chunkLog2s = 16...26
    /// log2 of the numbers of slots that a leaf range can have.
    static let leafLog2s = 1...16
    /// The most leaf ranges an archive can have.
    static let mostLeafRanges: UInt64 = 1 << 20

    /// The disk's length in bytes.
    let byteCount: UInt64
    let chunkLog2: Int
    let leafLog2: Int

    /// The geometry of a disk of `byteCount` bytes.
    /// - Throws: `.damaged` for numbers that no archive has, `.unsupported` for more leaf ranges than an index holds.
    init(byteCount: UInt64, chunkLog2: Int, leafLog2: Int) throws(ImageError) {
        guard Self.chunkLog2s.contains(chunkLog2) else {
            throw .damaged("a chunk size of 2^\(chunkLog2) bytes is out of range (2^16 to 2^26)")
        }
        guard Self.leafLog2s.contains(leafLog2) else {
            throw .damaged("2^\(leafLog2) slots in a leaf range are out of range (2^1 to 2^16)")
        }
        guard byteCount <= UInt64(Int64.max) else { throw .damaged("a disk of \(byteCount) bytes is out of range") }
        self.byteCount = byteCount
        self.chunkLog2 = chunkLog2
        self.leafLog2 = leafLog2
        guard leafRanges <= Self.mostLeafRanges else {
            throw ImageError(
                .unsupported, "the archive has \(leafRanges) leaf ranges, more than \(Self.mostLeafRanges)")
        }
    }

    /// The geometry of a disk whose length is not known: that of the longest one there can be. Where it matters, the
    /// height of a node above all, it is that of every disk that goes on.
    init(ofUnknownDisk chunkLog2: Int, leafLog2: Int) throws(ImageError) {
        try self.init(
            byteCount: Self.mostLeafRanges << UInt64(chunkLog2 + leafLog2), chunkLog2: chunkLog2, leafLog2: leafLog2)
    }

    /// The slot in bytes.
    var chunkSize: UInt64 { 1 << UInt64(chunkLog2) }
    /// The slots of the disk; the last one may be short.
    var slots: UInt64 { byteCount.dividedRoundingUp(by: chunkSize) }
    /// The slots of a full leaf range.
    var leafSlots: UInt64 { 1 << UInt64(leafLog2) }
    /// The leaf ranges of the disk; the last one may be short.
    var leafRanges: UInt64 { slots.dividedRoundingUp(by: leafSlots) }
    /// The height of a chunk's node in the digest's tree.
    var chunkHeight: Int { min(chunkLog2 - 16, DigestTree.height(ofDisk: byteCount)) }
    /// The height of a leaf range's node in the digest's tree.
    var leafHeight: Int { min(chunkLog2 - 16 + leafLog2, DigestTree.height(ofDisk: byteCount)) }

    /// The bytes of slot `slot`, which lies on the disk.
    func byteCount(ofSlot slot: UInt64) -> UInt64 { min(chunkSize, byteCount - slot << UInt64(chunkLog2)) }

    /// The slots of leaf range `range`, which lies on the disk.
    func slotCount(ofRange range: UInt64) -> UInt64 { min(leafSlots, slots - range << UInt64(leafLog2)) }

    /// The node of a chunk, whose bytes may be those of a short slot.
    func node(ofChunk bytes: RawSpan) -> Hash256 { Self.node(ofChunk: bytes, height: chunkHeight) }

    /// The node of `height` over the bytes of a chunk.
    static func node(ofChunk bytes: RawSpan, height: Int) -> Hash256 {
        var tree = DigestTree()
        tree.append(leavesOf: bytes)
        return tree.root(height: height)
    }
}
