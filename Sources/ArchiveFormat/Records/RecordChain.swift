internal import ReimageCore

/// Follows an archive's records from one to the next by their headers, and tells which LEAF records count.
///
/// A LEAF record counts where the chain of touching records with rising numbers reaches it from the file header on, and
/// where the LEAF record that it names as its predecessor is the one that counted last. So no record that a guest wrote
/// into its own disk, and that lies inside the payload of another, can count or vouch for one that does.
///
/// Only headers are looked at: whether the payload of a LEAF record is whole, and what its fields say, is the caller's
/// to prove. One thread.
///
/// - Source: archive specification 1.0, section 7.4, point 1.
struct RecordChain {
    /// Where the next record must start.
    private(set) var place: HostOffset
    /// The number that the next record must have.
    private(set) var sequence: UInt64
    /// The place of the LEAF record that counted last; 0 before the first.
    private(set) var lastLeaf: UInt64
    private var reader: RecordReader

    /// One record of the chain.
    struct Link {
        let record: PlacedRecord
        /// Whether it is a LEAF record that counts.
        let isCountedLeaf: Bool
        /// Where the record after it must start.
        let end: HostOffset
    }

    /// The chain of the archive of `tag` in `store`, from the file header on; elsewhere, from a record whose place and
    /// number are known, behind the LEAF record `lastLeaf`.
    init(
        _ store: any ByteStore, tag: UInt64, from place: HostOffset = HostOffset(UInt64(FileHeader.byteCount)),
        sequence: UInt64 = 0, lastLeaf: UInt64 = 0
    ) {
        reader = RecordReader(store, tag: tag)
        self.place = place
        self.sequence = sequence
        self.lastLeaf = lastLeaf
    }

    /// The next record. `nil` where the chain ends: where no record of the archive with the next number starts, or its
    /// payload passes the end of the file; the chain then stays where it is.
    /// - Throws: `.unreadable` on an I/O error.
    mutating func next() throws(ImageError) -> Link? {
        guard let record = try reader.record(at: place), record.header.sequence == sequence,
            let end = record.header.end, end.value <= reader.store.byteCount
        else { return nil }
        let counts = record.header.type == .leaf && Self.predecessor(in: record) == lastLeaf
        if counts { lastLeaf = record.place.value }
        place = end
        sequence += 1
        return Link(record: record, isCountedLeaf: counts, end: end)
    }

    private static func predecessor(in record: PlacedRecord) -> UInt64? {
        record.bytes.withBytes { try? LeafRecord.predecessor(in: $0) }
    }

    /// The archive's length in bytes, where its records lead to a FOOT record with room for a tail behind it; `nil`
    /// where they end or break before.
    static func archiveByteCount(_ store: any ByteStore, tag: UInt64) throws(ImageError) -> UInt64? {
        var chain = RecordChain(store, tag: tag)
        while let link = try chain.next() {
            guard link.record.header.type == .footer else { continue }
            let end = link.end.adding(UInt64(Tail.byteCount))
            return end.flatMap { $0.value <= store.byteCount ? $0.value : nil }
        }
        return nil
    }
}
