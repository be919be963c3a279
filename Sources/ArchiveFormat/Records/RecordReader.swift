internal import ReimageCore

/// The header of a record, with its extension, as it lies in the file; proved to be whole, in its place and of its archive.
struct PlacedRecord: Sendable {
    let header: RecordHeader
    /// Header and extension.
    let bytes: [UInt8]

    var place: HostOffset { header.place }
    /// Where the payload starts; the header was proved, so the sum was in range when it was written.
    var payload: HostOffset { header.place + UInt64(header.headerByteCount) }
}

/// Reads record headers at any place, a few KiB at a time. One thread.
struct RecordReader {
    /// How much is read at once: some dozens of RUN records, and little beside a chunk.
    private static let windowSize: UInt64 = 4096

    let store: any ByteStore
    let tag: UInt64
    private var window: [UInt8] = []
    private var start = HostOffset.zero

    init(_ store: any ByteStore, tag: UInt64) {
        self.store = store
        self.tag = tag
    }

    /// The record whose header lies at `place`; `nil` where there is none that is whole and belongs to the archive. Its
    /// payload is not looked at, and may pass the end of the file.
    /// - Throws: `.unreadable` on an I/O error.
    mutating func record(at place: HostOffset) throws(ImageError) -> PlacedRecord? {
        guard place.value < store.byteCount, store.byteCount - place.value >= UInt64(RecordHeader.byteCount) else {
            return nil
        }
        let left = store.byteCount - place.value
        try fill(place, count: min(left, UInt64(LeafRecord.headerByteCount)))
        if let record = decode(place) { return record }
        // Ancillary records may have longer headers.
        let most = min(left, UInt64(RecordHeader.lengths.upperBound))
        guard UInt64(window.count) - (place - start) < most, magicLies(at: place) else { return nil }
        try fill(place, count: most)
        return decode(place)
    }

    /// Makes the window hold the `count` bytes from `place`.
    private mutating func fill(_ place: HostOffset, count: UInt64) throws(ImageError) {
        let end = start + UInt64(window.count)
        if place >= start, place.value + count <= end.value { return }
        let size = max(count, min(Self.windowSize, store.byteCount - place.value))
        window = try store.bytes(at: place, count: Int(size))
        start = place
    }

    private func magicLies(at place: HostOffset) -> Bool {
        window[Int(place - start)...].starts(with: RecordHeader.magic)
    }

    private func decode(_ place: HostOffset) -> PlacedRecord? {
        let first = Int(place - start)
        return window.withBytes { bytes in
            let rest = bytes.extracting(first..<bytes.byteCount)
            guard rest.starts(with: RecordHeader.magic),
                let header = try? RecordHeader(decoding: rest, at: place, tag: tag),
                let bytes = try? rest.bytes(0..<header.headerByteCount)
            else { return nil }
            return PlacedRecord(header: header, bytes: bytes)
        }
    }
}
