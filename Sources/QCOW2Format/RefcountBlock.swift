internal import ReimageCore

/// How refcounts lie in a block: their width, and how the small ones share a byte.
/// - Source: qcow2 specification, "Host cluster management".
struct RefcountCoding: Sendable, Hashable {
    /// log2 of the width in bits, 0 to 6.
    let order: Int
    /// log2 of the cluster in bytes.
    let clusterBits: UInt64

    /// Counts of `1 << order` bits in clusters of `1 << clusterBits` bytes.
    init(order: Int, clusterBits: UInt64) {
        self.order = order
        self.clusterBits = clusterBits
    }

    init(_ header: Header) { self.init(order: header.refcountOrder, clusterBits: UInt64(header.clusterBits)) }

    /// log2 of the number of counts in a block, which fills one cluster.
    var entryBits: UInt64 { clusterBits + 3 - UInt64(order) }
    /// The number of counts in a block.
    var entriesPerBlock: UInt64 { 1 << entryBits }
    /// The largest count.
    var most: UInt64 { order == 6 ? .max : (1 << (1 << UInt64(order))) - 1 }

    /// Count `index` of a block.
    func count(_ index: Int, in block: RawSpan) throws(ImageError) -> UInt64 {
        switch order {
        case 6: return try block.big(UInt64.self, at: index * 8)
        case 5: return UInt64(try block.big(UInt32.self, at: index * 4))
        case 4: return UInt64(try block.big(UInt16.self, at: index * 2))
        case 3: return UInt64(try block.big(UInt8.self, at: index))
        default:
            // Several counts share a byte, the first in its lowest bits.
            let byte = UInt64(try block.big(UInt8.self, at: (index << order) >> 3))
            return (byte >> UInt64((index << order) & 7)) & most
        }
    }

    /// Sets count `index` of a block to `count`, which is at most ``most``.
    func store(_ count: UInt64, _ index: Int, in block: inout MutableRawSpan) throws(ImageError) {
        switch order {
        case 6: block.storeBig(count, at: index * 8)
        case 5: block.storeBig(UInt32(truncatingIfNeeded: count), at: index * 4)
        case 4: block.storeBig(UInt16(truncatingIfNeeded: count), at: index * 2)
        case 3: block.storeBig(UInt8(truncatingIfNeeded: count), at: index)
        default:
            let position = (index << order) >> 3
            let shift = UInt64((index << order) & 7)
            let byte = UInt64(try block.bytes.big(UInt8.self, at: position))
            let kept = byte & ~(most << shift)
            block.storeBig(UInt8(truncatingIfNeeded: kept | ((count & most) << shift)), at: position)
        }
    }
}
