internal import ReimageCore

/// The last bytes of an archive: its tail and FOOT record, and most often its ROOT record too.
struct ArchiveEnd {
    /// Some of the stored bytes, in memory.
    struct Window {
        /// How much is read at once: FOOT, tail, and a ROOT record of up to 700 entries.
        static let longest: UInt64 = 64 << 10
        /// How many zeros may follow an archive on a medium that is longer than it, and be looked past.
        static let mostTrailingZeros: UInt64 = 64 << 20

        let bytes: [UInt8]
        /// The place of the first byte.
        let start: UInt64

        /// The bytes of `store` before `end`.
        init(_ store: any ByteStore, before end: UInt64) throws(ImageError) {
            let count = min(end, Self.longest)
            bytes = try store.bytes(at: HostOffset(end - count), count: Int(count))
            start = end - count
        }

        /// The bytes before the end of what `store` holds: behind the last byte that is not zero, at a multiple of 8.
        /// `nil` where more zeros follow than are looked past.
        static func last(of store: any ByteStore) throws(ImageError) -> Window? {
            let least = store.byteCount - min(store.byteCount, mostTrailingZeros)
            var window = try Window(store, before: store.byteCount)
            while true {
                // The zero test is far quicker than the search.
                if !window.bytes.withBytes({ $0.isZero }), let last = window.bytes.lastIndex(where: { $0 != 0 }) {
                    let used = window.start + UInt64(last + 1)
                    let end = min(used.roundedUp(to: 8) ?? used, store.byteCount)
                    return end == window.end ? window : try Window(store, before: end)
                }
                guard window.start > least else { return nil }
                window = try Window(store, before: window.start)
            }
        }

        var end: UInt64 { start + UInt64(bytes.count) }
    }

    let tail: Tail
    let footer: Footer
    private let window: Window

    /// The end of the archive that ends with `window`.
    /// - Throws: `.damaged` where it is none.
    init(_ window: Window) throws(ImageError) {
        let least = FileHeader.byteCount + Footer.byteCount + Tail.byteCount
        guard window.end >= UInt64(least) else { throw .damaged("there is no tail", at: HostOffset(window.end)) }
        let tailStart = window.bytes.count - Tail.byteCount
        let tailPlace = HostOffset(window.start + UInt64(tailStart))
        let tail = try window.bytes.withBytes { (bytes) throws(ImageError) in
            try Tail(decoding: bytes.extracting(tailStart..<bytes.byteCount), at: tailPlace)
        }
        self.tail = tail
        footer = try window.bytes.withBytes { (bytes) throws(ImageError) in
            let record = bytes.extracting(tailStart - Footer.byteCount..<tailStart)
            let header = try RecordHeader(decoding: record, at: tail.footer, tag: tail.tag)
            try header.check(is: .footer)
            let payload = record.extracting(RecordHeader.byteCount..<record.byteCount)
            try header.check(payload: payload)
            return try Footer(decoding: payload, at: tail.footer)
        }
        guard footer.header.tag == tail.tag else {
            throw .damaged("the tail and the FOOT record belong to two archives", at: tailPlace)
        }
        self.window = window
    }

    /// The `count` bytes at `place`, from the window where they lie in it; the caller bounded them.
    func bytes(_ store: any ByteStore, at place: HostOffset, count: Int) throws(ImageError) -> [UInt8] {
        guard place.value >= window.start, place.value <= window.end,
            UInt64(count) <= window.end - place.value
        else { return try store.bytes(at: place, count: count) }
        let first = Int(place.value - window.start)
        return Array(window.bytes[first..<first + count])
    }
}
