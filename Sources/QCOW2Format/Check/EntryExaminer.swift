internal import ReimageCore

/// What can be wrong with one L2 entry by itself.
struct EntryFaults: OptionSet {
    let rawValue: UInt16

    static let reservedBits = EntryFaults(rawValue: 1 << 0)
    static let unaligned = EntryFaults(rawValue: 1 << 1)
    /// Nothing of what it points to is in the file.
    static let missing = EntryFaults(rawValue: 1 << 2)
    static let zeroInVersion2 = EntryFaults(rawValue: 1 << 3)
    static let dataFileOffset = EntryFaults(rawValue: 1 << 4)
    static let copiedCompressed = EntryFaults(rawValue: 1 << 5)
    static let compressedInDataFile = EntryFaults(rawValue: 1 << 6)
    static let compressedSubclusters = EntryFaults(rawValue: 1 << 7)
    /// The compressed range begins in the file and passes its end by a cluster or more.
    static let compressedTooLong = EntryFaults(rawValue: 1 << 8)
    static let subclusterTwice = EntryFaults(rawValue: 1 << 9)
    static let subclustersNowhere = EntryFaults(rawValue: 1 << 10)
    /// Compressed data in the header's cluster.
    static let compressedNowhere = EntryFaults(rawValue: 1 << 11)

    /// The faults one by one, with what is said of each.
    static let all: [(fault: EntryFaults, text: String)] = [
        (.reservedBits, "reserved bits are set"),
        (.unaligned, "the host offset is not cluster aligned"),
        (.missing, "the host offset lies past the end of the file"),
        (.zeroInVersion2, "the zero flag is set, which version 2 does not have"),
        (.dataFileOffset, "the offset in the data file is not the guest's"),
        (.copiedCompressed, "COPIED is set on a compressed cluster"),
        (.compressedInDataFile, "a compressed cluster cannot be where data lies in another file"),
        (.compressedSubclusters, "a compressed cluster has a subcluster bitmap"),
        (.compressedTooLong, "the compressed data passes the end of the file by a cluster or more"),
        (.subclusterTwice, "a subcluster is both stored and zero"),
        (.subclustersNowhere, "subclusters are stored, but the entry has no host offset"),
        (.compressedNowhere, "the compressed data lies in the header"),
    ]
}

/// An L2 entry with its subcluster bitmap, 0 where the image has none.
struct L2Pair: Hashable {
    var entry: UInt64
    var bitmap: UInt64 = 0

    var isCompressed: Bool { entry & L2Decoder.compressedFlag != 0 }
    var offset: UInt64 { entry & L2Decoder.offsetMask }
    /// The subclusters that are stored, one bit each.
    var stored: UInt32 { UInt32(truncatingIfNeeded: bitmap) }
    /// The subclusters that are zeros.
    var zeros: UInt32 { UInt32(truncatingIfNeeded: bitmap >> 32) }
}

/// Takes L2 entries apart for a check: unlike ``L2Decoder``, which stops at the first fault, it names all of them and
/// still says which bytes of the file an entry claims.
struct EntryExaminer {
    let geometry: Geometry
    let isVersion2: Bool
    let hasDataFile: Bool
    let fileByteCount: UInt64

    init(_ image: CheckedImage) {
        geometry = image.geometry
        isVersion2 = image.header.version == 2
        hasDataFile = image.hasDataFile
        fileByteCount = image.store.byteCount
    }

    /// The bytes of the image's own file that an entry claims; `nil` where it claims none.
    func claim(of pair: L2Pair) -> (start: UInt64, count: UInt64)? {
        if pair.isCompressed {
            let (start, sectors) = compressed(pair.entry)
            return (start, sectors * 512 - start % 512)
        }
        guard pair.offset != 0, !hasDataFile else { return nil }
        return (pair.offset, geometry.clusterSize)
    }

    /// The first byte and the number of sectors of compressed data.
    func compressed(_ entry: UInt64) -> (start: UInt64, sectors: UInt64) {
        let shift = geometry.compressedSizeShift
        return (entry & ((1 << shift) - 1), ((entry & (L2Decoder.compressedFlag - 1)) >> shift) + 1)
    }

    /// Whether an entry has a place for data, used or only held ready.
    func isAllocated(_ pair: L2Pair) -> Bool {
        pair.isCompressed || pair.offset != 0 || (hasDataFile && pair.entry & L2Decoder.copiedFlag != 0)
    }

    /// All that is wrong with the entry that maps `guest`.
    func faults(_ pair: L2Pair, guest: UInt64) -> EntryFaults {
        if pair.isCompressed { return compressedFaults(pair) }
        var faults: EntryFaults = []
        // The zero flag of a standard entry is a reserved bit of an extended one.
        let reserved = L2Decoder.reservedMask | (geometry.hasSubclusters ? L2Decoder.zeroFlag : 0)
        if pair.entry & reserved != 0 { faults.insert(.reservedBits) }
        if isVersion2, pair.entry & L2Decoder.zeroFlag != 0 { faults.insert(.zeroInVersion2) }
        if pair.offset & (geometry.clusterSize - 1) != 0 {
            faults.insert(.unaligned)
        } else if hasDataFile {
            if isAllocated(pair), pair.offset != guest { faults.insert(.dataFileOffset) }
        } else if pair.offset >= fileByteCount {
            faults.insert(.missing)
        }
        if geometry.hasSubclusters {
            if pair.stored & pair.zeros != 0 { faults.insert(.subclusterTwice) }
            if pair.stored != 0, !isAllocated(pair) { faults.insert(.subclustersNowhere) }
        }
        return faults
    }

    private func compressedFaults(_ pair: L2Pair) -> EntryFaults {
        var faults: EntryFaults = []
        if pair.entry & L2Decoder.copiedFlag != 0 { faults.insert(.copiedCompressed) }
        if hasDataFile { faults.insert(.compressedInDataFile) }
        if geometry.hasSubclusters, pair.bitmap != 0 { faults.insert(.compressedSubclusters) }
        let (start, sectors) = compressed(pair.entry)
        if start < geometry.clusterSize {
            faults.insert(.compressedNowhere)
        } else if start >= fileByteCount {
            faults.insert(.missing)
        } else {
            let end = start + sectors * 512 - start % 512
            if end > fileByteCount, end - fileByteCount >= geometry.clusterSize { faults.insert(.compressedTooLong) }
        }
        return faults
    }
}
