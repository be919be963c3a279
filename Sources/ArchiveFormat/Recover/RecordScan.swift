internal import ReimageCore

/// Finds an archive's records in a part of a file, damaged or not, front to back.
///
/// From record to record it goes by their lengths, and reads headers alone. Where no record follows, it looks for the
/// next one by the magic; the payload of a record before is searched too, unless its checksum is right. One thread.
///
/// - Source: archive specification 1.0, section 9, "Scan".
struct RecordScan {
    /// The longest payload whose checksum is computed to spare it the search: that of a chunk.
    private static let longestChecked: UInt64 = 64 << 20

    private let store: any ByteStore
    private var reader: RecordReader
    private let end: UInt64
    /// Where the next record is looked for.
    private(set) var place: HostOffset
    private var search: MagicSearch
    /// How many payload bytes may still be read for their checksums: records of a hostile file may overlap.
    private var budget: UInt64

    /// Scans `range` of `store` for records of the archive of `tag`.
    init(_ store: any ByteStore, tag: UInt64, in range: HostRange) {
        self.store = store
        reader = RecordReader(store, tag: tag)
        search = MagicSearch(store, end: range.end.value)
        place = range.start
        end = range.end.value
        budget = 2 * (end - place.value)
    }

    /// The next record; its payload lies inside the range, but may be damaged.
    /// - Throws: `.unreadable` only where not even single blocks of the file can be told from each other.
    mutating func next() throws(ImageError) -> PlacedRecord? {
        while place.value < end {
            if let record = record(at: place) {
                place = behind(record)
                return record
            }
            guard let found = try search.next(from: place.value + 8) else { break }
            place = HostOffset(found)
        }
        place = HostOffset(end)
        return nil
    }

    /// The record at `place`, where it lies inside the range; a block that cannot be read holds none.
    private mutating func record(at place: HostOffset) -> PlacedRecord? {
        guard place.value < end, let record = (try? reader.record(at: place)) ?? nil,
            let last = record.payload.adding(record.header.payloadByteCount), last.value <= end
        else { return nil }
        return record
    }

    /// Where to go on behind `record`.
    private mutating func behind(_ record: PlacedRecord) -> HostOffset {
        guard let next = record.header.end else { return record.payload }
        if next.value >= end || self.record(at: next) != nil || payloadIsRight(record) {
            return min(next, HostOffset(end))
        }
        return record.payload
    }

    private mutating func payloadIsRight(_ record: PlacedRecord) -> Bool {
        let count = record.header.payloadByteCount
        guard count <= min(Self.longestChecked, budget) else { return false }
        budget -= count
        guard let bytes = try? store.bytes(at: record.payload, count: Int(count)) else { return false }
        return bytes.withBytes { (bytes) in (try? record.header.check(payload: bytes)) != nil }
    }
}

/// Looks for the magic of records in large windows. Records start at multiples of 8.
struct MagicSearch {
    private static let windowSize: UInt64 = 1 << 20
    /// What is given up where a window cannot be read.
    private static let blockSize: UInt64 = 4096

    private let store: any ByteStore
    private let end: UInt64
    private var window: [UInt8] = []
    private var start: UInt64 = 0

    init(_ store: any ByteStore, end: UInt64) {
        self.store = store
        self.end = end
    }

    /// The first multiple of 8 from `place` on where the magic lies.
    mutating func next(from place: UInt64) throws(ImageError) -> UInt64? {
        guard var place = place.roundedUp(to: 8) else { return nil }
        let magic = RecordHeader.magic.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        while place < end, end - place >= 8 {
            guard let first = load(place) else {
                place = (place + 1).roundedUp(to: Self.blockSize) ?? end
                continue
            }
            let found = try window.withBytes { (bytes) throws(ImageError) -> UInt64? in
                var offset = first
                while offset + 8 <= bytes.byteCount {
                    if try bytes.little(UInt64.self, at: offset) == magic { return start + UInt64(offset) }
                    offset += 8
                }
                return nil
            }
            if let found { return found }
            place = start + UInt64(window.count / 8 * 8)
        }
        return nil
    }

    /// Makes the window hold the 8 bytes at `place`; `nil` where they cannot be read.
    private mutating func load(_ place: UInt64) -> Int? {
        if place >= start, place + 8 <= start + UInt64(window.count) { return Int(place - start) }
        for size in [Self.windowSize, Self.blockSize - place % Self.blockSize] {
            guard let bytes = try? store.bytes(at: HostOffset(place), count: Int(min(size, end - place))) else {
                continue
            }
            (window, start) = (bytes, place)
            return 0
        }
        return nil
    }
}
