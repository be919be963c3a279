internal import ReimageCore

/// What an L2 entry says of one guest cluster, in a form that is changed and written back.
///
/// A *grain* is what can be stored or zero by itself: the cluster, or one of the 32 subclusters of an extended entry.
/// Sets of grains are bits, the first in the lowest.
struct ClusterState: Hashable, Sendable {
    /// Where the cluster's bytes lie.
    enum Place: Hashable, Sendable {
        case nowhere
        /// A cluster of the data store; grains that are not stored leave their part of it unused.
        case plain(UInt64)
        /// Stored bytes in the image's own file, whole sectors.
        case compressed(HostRange)
    }

    var place = Place.nowhere
    /// Whether the entry is the only reference to its plain cluster.
    var isCopied = false
    /// The grains whose bytes lie at ``place``.
    var stored: UInt32 = 0
    /// The grains that read as zeros.
    var zero: UInt32 = 0

    /// The plain cluster that may be written in place.
    var ownPlace: UInt64? {
        guard case .plain(let offset) = place, isCopied else { return nil }
        return offset
    }

    var isCompressed: Bool {
        if case .compressed = place { return true }
        return false
    }
}

/// The grains of a cluster.
struct Grains: Sendable {
    /// 1, or 32 for extended entries.
    let count: UInt64
    /// log2 of the cluster in bytes.
    let clusterBits: UInt64

    init(_ geometry: Geometry) {
        count = geometry.hasSubclusters ? UInt64(Geometry.subclusterCount) : 1
        clusterBits = geometry.clusterBits
    }

    /// A grain in bytes.
    var size: UInt64 { (1 << clusterBits) / count }
    /// Every grain.
    var all: UInt32 { count == 1 ? 1 : .max }

    /// The grains `range` of a cluster.
    func mask(_ range: Range<UInt64>) -> UInt32 {
        guard !range.isEmpty else { return 0 }
        return (UInt32.max >> UInt32(32 - range.count)) << UInt32(range.lowerBound)
    }

    /// The grains that `bytes` of a cluster touch.
    func touched(by bytes: Range<UInt64>) -> Range<UInt64> {
        bytes.lowerBound / size..<bytes.upperBound.dividedRoundingUp(by: size)
    }

    /// The bytes of the runs of grains in `mask`.
    func runs(_ mask: UInt32) -> [Range<UInt64>] {
        var runs: [Range<UInt64>] = []
        var grain: UInt64 = 0
        while grain < count {
            guard mask >> UInt32(grain) & 1 == 1 else {
                grain += 1
                continue
            }
            let first = grain
            while grain < count, mask >> UInt32(grain) & 1 == 1 { grain += 1 }
            runs.append(first * size..<grain * size)
        }
        return runs
    }
}

extension L2Decoder {
    /// The state that an entry describes.
    /// - Throws: what reading the cluster would throw.
    func state(_ entry: UInt64, bitmap: UInt64, cluster: UInt64) throws(L2Fault) -> ClusterState {
        var state = ClusterState()
        if geometry.hasSubclusters {
            _ = try run(entry, bitmap: bitmap, cluster: cluster, within: 0)
        } else {
            _ = try run(entry, cluster: cluster, within: 0)
        }
        if entry & Self.compressedFlag != 0 {
            state.place = .compressed(compressedRange(entry))
            return state
        }
        let offset = entry & Self.offsetMask
        let isPlaced = offset != 0 || (hasDataFile && entry & Self.copiedFlag != 0)
        if isPlaced {
            state.place = .plain(offset)
            state.isCopied = entry & Self.copiedFlag != 0
        }
        if geometry.hasSubclusters {
            state.stored = UInt32(truncatingIfNeeded: bitmap)
            state.zero = UInt32(truncatingIfNeeded: bitmap >> 32)
        } else {
            state.zero = entry & Self.zeroFlag != 0 ? 1 : 0
            state.stored = isPlaced && state.zero == 0 ? 1 : 0
        }
        return state
    }

    /// The whole sectors that a compressed entry refers to, past the end of the file too: that is what is counted.
    private func compressedRange(_ entry: UInt64) -> HostRange {
        let shift = geometry.compressedSizeShift
        let offset = entry & ((1 << shift) - 1)
        let sectors = ((entry & (Self.compressedFlag - 1)) >> shift) + 1
        return HostRange(start: HostOffset(offset), count: sectors * 512 - offset % 512)
    }

    /// The entry that describes `state`, and its bitmap where entries are extended.
    func entry(of state: ClusterState) -> (entry: UInt64, bitmap: UInt64) {
        var entry: UInt64 = 0
        if case .plain(let offset) = state.place { entry = offset | (state.isCopied ? Self.copiedFlag : 0) }
        if geometry.hasSubclusters { return (entry, UInt64(state.zero) << 32 | UInt64(state.stored)) }
        return (entry | (state.zero != 0 ? Self.zeroFlag : 0), 0)
    }
}
