internal import ReimageCore

/// An ERRS record: the ranges of the disk that the source could not give.
///
/// - Source: archive specification 1.0, section 4.3, "ERRS".
struct ErrorsRecord: Hashable, Sendable {
    static let headerByteCount = 72
    static let entryByteCount = 24

    /// One range, and how it failed.
    struct Entry: Hashable, Sendable {
        var range: GuestRange
        /// The system's error number.
        var code: UInt32
        /// How often it was tried.
        var tries: UInt32
    }

    private static let previousField = 64

    /// The ERRS record before; 0 where there is none.
    var previous: UInt64
    /// Ascending, and never touching where code and tries are equal.
    var entries: [Entry]

    init(previous: UInt64, entries: [Entry]) {
        self.previous = previous
        self.entries = entries
    }

    /// The record of `header`, which `bytes` start with, and its proved `payload`.
    /// - Throws: `.damaged` where a field contradicts the archive.
    init(
        decoding bytes: RawSpan, payload: RawSpan, of header: RecordHeader, _ rules: RecordRules
    ) throws(ImageError) {
        try header.check(is: .errors)
        func need(_ isRight: Bool, _ what: String) throws(ImageError) {
            if !isRight { throw .damaged("an ERRS record has \(what)", at: header.place) }
        }
        previous = try bytes.little(at: Self.previousField)
        try need(previous < header.place.value, "a predecessor behind itself")
        let size = Self.entryByteCount
        try need(payload.byteCount > 0 && payload.byteCount % size == 0, "a payload of \(payload.byteCount) bytes")
        entries = []
        entries.reserveCapacity(payload.byteCount / size)
        var end: UInt64 = 0
        for start in stride(from: 0, to: payload.byteCount, by: size) {
            let offset: UInt64 = try payload.little(at: start)
            let count: UInt64 = try payload.little(at: start + 8)
            let most = rules.geometry.byteCount
            try need(count >= 1 && count <= most && offset <= most - count, "a range past the end of the disk")
            try need(offset >= end, "ranges out of order")
            end = offset + count
            entries.append(
                Entry(
                    range: GuestRange(start: GuestOffset(offset), count: count),
                    code: try payload.little(at: start + 16), tries: try payload.little(at: start + 20)))
        }
    }

    /// The extension's bytes.
    func extensionBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 8)
        bytes.withMutableBytes { $0.storeLittle(previous, at: 0) }
        return bytes
    }

    /// The payload's bytes.
    func payloadBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: entries.count * Self.entryByteCount)
        let entries = entries
        bytes.withMutableBytes { span in
            for (index, entry) in entries.enumerated() {
                let start = index * Self.entryByteCount
                span.storeLittle(entry.range.start.value, at: start)
                span.storeLittle(entry.range.count, at: start + 8)
                span.storeLittle(entry.code, at: start + 16)
                span.storeLittle(entry.tries, at: start + 20)
            }
        }
        return bytes
    }
}

/// Ranges that could not be read, of all ERRS records of an archive, to be looked up.
struct KnownErrors: Sendable {
    /// Ascending and disjoint.
    private var entries: [ErrorsRecord.Entry] = []

    init(_ entries: [ErrorsRecord.Entry]) {
        for entry in entries.sorted(by: { $0.range.start < $1.range.start }) {
            // Records of one archive do not tell of one range twice; those of a forged one may.
            if let last = self.entries.last, last.range.end > entry.range.start { continue }
            self.entries.append(entry)
        }
    }

    /// Those that have any byte of `range`.
    func within(_ range: GuestRange) -> ArraySlice<ErrorsRecord.Entry> {
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].range.end <= range.start { low = middle + 1 } else { high = middle }
        }
        return entries[low...].prefix { $0.range.start < range.end }
    }
}
