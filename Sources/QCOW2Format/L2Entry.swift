internal import ReimageCore

/// What an entry's bits mean, apart from where tables lie: one entry in, one run out.
///
/// - Source: qcow2 specification, "L2 table entry", "Standard Cluster Descriptor", "Compressed Clusters Descriptor",
///   "Extended L2 Entries".
struct L2Decoder: Sendable {
    /// Bits 9 to 55: the host offset.
    static let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00
    /// Bits 1 to 8 and 56 to 61.
    static let reservedMask: UInt64 = 0x3F00_0000_0000_01FE
    /// Bits 0 to 8 and 56 to 62 of an L1 entry.
    static let l1ReservedMask: UInt64 = 0x7F00_0000_0000_01FF
    static let zeroFlag: UInt64 = 1
    static let compressedFlag: UInt64 = 1 << 62
    static let copiedFlag: UInt64 = 1 << 63

    let geometry: Geometry
    /// Whether the version is 2, which knows no zero flag.
    let isVersion2: Bool
    /// The length of the image's own file.
    let fileByteCount: UInt64
    /// The length of the store that plain data lies in.
    let dataByteCount: UInt64
    /// Whether that is another file.
    let hasDataFile: Bool
    /// What lies in the image's own file besides data and L2 tables.
    let reserved: ReservedAreas

    /// The run that the standard `entry` gives from `within` bytes into the cluster at guest offset `cluster`.
    @inline(__always)
    func run(_ entry: UInt64, cluster: UInt64, within: UInt64) throws(L2Fault) -> Run {
        if entry & Self.compressedFlag != 0 { return try compressed(entry, within: within) }
        guard entry & Self.reservedMask == 0 else { throw .reservedBits }
        let offset = entry & Self.offsetMask
        guard offset & (geometry.clusterSize - 1) == 0 else { throw .unaligned(offset) }
        let count = geometry.clusterSize - within
        if entry & Self.zeroFlag != 0 {
            // An offset beside the flag is only space held ready; what lies there is no guest byte.
            guard !isVersion2 else { throw .zeroInVersion2 }
            return Run(.zero, count: count)
        }
        guard isAllocated(entry) else { return Run(.unallocated, count: count) }
        try checkCluster(offset, guest: cluster)
        return try data(offset, from: within, to: geometry.clusterSize)
    }

    /// The run that an extended entry gives from `within` bytes into the cluster: subclusters of one kind.
    @inline(__always)
    func run(_ entry: UInt64, bitmap: UInt64, cluster: UInt64, within: UInt64) throws(L2Fault) -> Run {
        if entry & Self.compressedFlag != 0 {
            guard bitmap == 0 else { throw .compressedSubclusters(bitmap) }
            return try compressed(entry, within: within)
        }
        guard entry & (Self.reservedMask | Self.zeroFlag) == 0 else { throw .reservedBits }
        let offset = entry & Self.offsetMask
        guard offset & (geometry.clusterSize - 1) == 0 else { throw .unaligned(offset) }
        let allocated = UInt32(truncatingIfNeeded: bitmap)
        let zero = UInt32(truncatingIfNeeded: bitmap >> 32)
        guard allocated & zero == 0 else { throw .subclusterTwice(bitmap) }
        if allocated != 0 {
            guard isAllocated(entry) else { throw .subclustersNowhere(bitmap) }
            try checkCluster(offset, guest: cluster)
        }
        let size = geometry.subclusterSize
        let first = UInt32(truncatingIfNeeded: within / size)
        let mask = (allocated >> first) & 1 == 1 ? allocated : (zero >> first) & 1 == 1 ? zero : ~(allocated | zero)
        // Shifted right, zeros come in at the top, so the run ends at the last subcluster at the latest.
        let last = first + UInt32((~(mask >> first)).trailingZeroBitCount)
        let end = UInt64(min(last, UInt32(Geometry.subclusterCount))) * size
        if (allocated >> first) & 1 == 1 { return try data(offset, from: within, to: end) }
        return Run((zero >> first) & 1 == 1 ? .zero : .unallocated, count: end - within)
    }

    /// Offset 0 means nothing, but in a data file the first cluster lies there, and bit 63 tells the two apart.
    @inline(__always)
    private func isAllocated(_ entry: UInt64) -> Bool {
        entry & Self.offsetMask != 0 || (hasDataFile && entry & Self.copiedFlag != 0)
    }

    @inline(__always)
    private func checkCluster(_ offset: UInt64, guest: UInt64) throws(L2Fault) {
        guard offset < dataByteCount else { throw .dataPastEnd(offset, of: dataByteCount) }
        if hasDataFile {
            guard offset == guest else { throw .dataFileOffset(offset) }
        } else if let owner = reserved.owner(of: offset, count: geometry.clusterSize) {
            throw .overlap(offset, owner)
        }
    }

    /// Plain bytes of a cluster that begins inside the store. What its last cluster lacks at the end of the file reads
    /// as zeros: writers leave it out. A piece that begins past the end while its cluster does not is such a rest,
    /// except for an allocated subcluster, of which at least one byte must be there.
    @inline(__always)
    private func data(_ offset: UInt64, from start: UInt64, to end: UInt64) throws(L2Fault) -> Run {
        let present = dataByteCount - offset
        if present >= end { return Run(.data, count: end - start, host: offset + start) }
        if geometry.hasSubclusters {
            let last = (end - 1) / geometry.subclusterSize * geometry.subclusterSize
            guard last < present else { throw .dataPastEnd(offset + last, of: dataByteCount) }
        }
        guard start < present else { return Run(.zero, count: end - start) }
        return Run(.data, count: present - start, host: offset + start)
    }

    private func compressed(_ entry: UInt64, within: UInt64) throws(L2Fault) -> Run {
        guard !hasDataFile else { throw .compressedInDataFile }
        let shift = geometry.compressedSizeShift
        let offset = entry & ((1 << shift) - 1)
        let sectors = ((entry & (Self.compressedFlag - 1)) >> shift) + 1
        guard offset < Header.offsetLimit else { throw .compressedOffset(offset) }
        guard offset < fileByteCount else { throw .compressedPastEnd(offset, of: fileByteCount) }
        if let owner = reserved.owner(of: offset, count: 1) { throw .overlap(offset, owner) }
        // The sector count is rounded up, so the file may end before the last sector does; what is there must do.
        let count = min(sectors * 512 - offset % 512, fileByteCount - offset)
        return Run(.compressed, count: geometry.clusterSize - within, host: offset, hostCount: count)
    }
}

/// What is wrong with an L2 entry. The caller knows the entry's place and makes it an ``ImageError``; the hot loop
/// does without strings.
enum L2Fault: Error {
    case reservedBits
    case unaligned(UInt64)
    case zeroInVersion2
    case dataPastEnd(UInt64, of: UInt64)
    case dataFileOffset(UInt64)
    case overlap(UInt64, String)
    case compressedInDataFile
    case compressedOffset(UInt64)
    case compressedPastEnd(UInt64, of: UInt64)
    case compressedSubclusters(UInt64)
    case subclusterTwice(UInt64)
    case subclustersNowhere(UInt64)

    /// The error for the entry at `place`, which maps `guest`.
    func error(entry: UInt64, place: HostOffset, guest: UInt64) -> ImageError {
        let advice: String? =
            switch self {
            case .dataPastEnd, .compressedPastEnd: "Is the file cut short?"
            default: nil
            }
        return .damaged(
            "L2 entry 0x\(String(entry, radix: 16)) of guest offset \(guest): \(reason)", at: place, advice: advice)
    }

    private var reason: String {
        switch self {
        case .reservedBits: "reserved bits are set"
        case .unaligned(let offset): "the cluster's host offset \(offset) is not cluster aligned"
        case .zeroInVersion2: "the zero flag is set, which version 2 does not have"
        case .dataPastEnd(let offset, let end): "the data at \(offset) lies past the end of its file (\(end) bytes)"
        case .dataFileOffset(let offset): "the offset \(offset) in the data file is not the guest's"
        case .overlap(let offset, let owner): "the host offset \(offset) lies in \(owner)"
        case .compressedInDataFile: "a compressed cluster cannot be where data lies in another file"
        case .compressedOffset(let offset): "the compressed data's offset \(offset) has more than 56 bits"
        case .compressedPastEnd(let offset, let end):
            "the compressed data at \(offset) lies past the end of the file (\(end) bytes)"
        case .compressedSubclusters(let bitmap):
            "a compressed cluster has subclusters (bitmap 0x\(String(bitmap, radix: 16)))"
        case .subclusterTwice(let bitmap):
            "a subcluster is both stored and zero (bitmap 0x\(String(bitmap, radix: 16)))"
        case .subclustersNowhere(let bitmap):
            "subclusters are stored, but the entry has no offset (bitmap 0x\(String(bitmap, radix: 16)))"
        }
    }
}
