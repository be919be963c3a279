internal import ReimageCore

/// Steps over an archive's records from its file header on, headers alone.
struct RecordWalk {
    private let store: any ByteStore
    private let tag: UInt64

    init(_ store: any ByteStore, tag: UInt64) {
        self.store = store
        self.tag = tag
    }

    /// The archive's length in bytes, where its records lead to a FOOT record with room for a tail behind it; `nil`
    /// where they end or break before.
    func archiveByteCount() throws(ImageError) -> UInt64? {
        var place = HostOffset(UInt64(FileHeader.byteCount))
        var sequence: UInt64 = 0
        while let header = try header(at: place), header.sequence == sequence, let next = header.end {
            if header.type == .footer {
                let end = next.adding(UInt64(Tail.byteCount))
                return end.flatMap { $0.value <= store.byteCount ? $0.value : nil }
            }
            place = next
            sequence += 1
        }
        return nil
    }

    /// The header of the record at `place`, with its extension; `nil` where there is none that is whole.
    private func header(at place: HostOffset) throws(ImageError) -> RecordHeader? {
        guard place.value <= store.byteCount else { return nil }
        var count = min(store.byteCount - place.value, UInt64(LeafRecord.headerByteCount))
        while true {
            let bytes = try store.bytes(at: place, count: Int(count))
            let header = bytes.withBytes { bytes in try? RecordHeader(decoding: bytes, at: place, tag: tag) }
            // Ancillary records may have longer headers.
            let most = min(store.byteCount - place.value, UInt64(RecordHeader.lengths.upperBound))
            if header != nil || count == most || !bytes.starts(with: RecordHeader.magic) { return header }
            count = most
        }
    }
}
