internal import ReimageCore

/// The ranges that the source could not give, by the ERRS records: how many they are, and the first of them.
struct ErrorsList {
    /// How many are kept.
    static let most = 16
    /// The most records that are read, from the last one back, and the most bytes of them.
    private static let mostRecords = 256
    private static let mostBytes: UInt64 = 8 << 20

    /// The first ones of the disk.
    private(set) var entries: [ErrorsRecord.Entry] = []
    private(set) var count: UInt64 = 0
    private(set) var byteCount: UInt64 = 0
    /// Whether there are more records than were read; the ranges that they tell of come first on the disk.
    private(set) var isCut = false

    /// - Throws: `.damaged` where a record is not what the one behind it names; `.unreadable`.
    init(_ index: ArchiveIndex, _ store: any ByteStore) throws(ImageError) {
        var (place, records, read) = (index.footer.errors, 0, UInt64(0))
        while place != 0 {
            guard records < Self.mostRecords, read < Self.mostBytes else {
                isCut = true
                return
            }
            let record = try Self.record(at: HostOffset(place), index.rules, store)
            records += 1
            read += UInt64(record.entries.count * ErrorsRecord.entryByteCount)
            add(record.entries)
            place = record.previous
        }
    }

    /// Adds the ranges of the record before; a range that a LEAF record cut in two is one again.
    private mutating func add(_ earlier: [ErrorsRecord.Entry]) {
        var earlier = earlier
        count += UInt64(earlier.count)
        byteCount = earlier.reduce(byteCount) { $0 &+ $1.range.count }
        if let last = earlier.last, let next = entries.first, last.range.end == next.range.start,
            last.code == next.code, last.tries == next.tries
        {
            earlier[earlier.count - 1].range = GuestRange(from: last.range.start, to: next.range.end)
            entries.removeFirst()
            count -= 1
        }
        entries = Array((earlier.prefix(Self.most) + entries).prefix(Self.most))
    }

    private static func record(
        at place: HostOffset, _ rules: RecordRules, _ store: any ByteStore
    ) throws(ImageError) -> ErrorsRecord {
        let record = try LooseRecord(.errors, at: place, rules, store)
        return try record.start.withBytes { (start) throws(ImageError) in
            try record.payload.withBytes { (payload) throws(ImageError) in
                try ErrorsRecord(decoding: start, payload: payload, of: record.header, rules)
            }
        }
    }
}

extension ErrorsList {
    /// What `info` tells of them.
    var fields: [InfoField] {
        guard count > 0 else { return [] }
        var fields = [
            InfoField("unreadable-ranges", .number(count)), InfoField("unreadable-size", .number(byteCount)),
            InfoField(
                "unreadable",
                .list(
                    entries.map { entry in
                        .fields([
                            InfoField("start", .number(entry.range.start.value)),
                            InfoField("length", .number(entry.range.count)),
                            InfoField("cause", .text(Self.cause(entry.code))),
                            InfoField("tries", .number(UInt64(entry.tries))),
                        ])
                    })),
        ]
        let more = count - UInt64(entries.count)
        if more > 0 { fields.append(InfoField("unreadable-ranges-left-out", .number(more))) }
        return fields
    }

    /// What the user should know of the list.
    var remarks: [String] {
        if isCut { return ["There are more unreadable ranges than the \(count) last of the disk that were counted."] }
        let more = count - UInt64(entries.count)
        return more > 0 ? ["Unreadable are the ranges that are listed, and \(more) more."] : []
    }

    /// The cause by the number that Linux gives it.
    ///
    /// - Source: Linux, block/blk-core.c, `blk_errors`; the numbers are those of asm-generic/errno.h.
    private static func cause(_ code: UInt32) -> String {
        switch code {
        case 0: "not known"
        case 5: "I/O error (EIO)"
        case 6: "no such device (ENXIO)"
        case 19: "the device went away (ENODEV)"
        case 52: "reserved by another machine (EBADE)"
        case 61: "medium error (ENODATA)"
        case 67: "transport error (ENOLINK)"
        case 84: "protection error (EILSEQ)"
        case 110: "timeout (ETIMEDOUT)"
        case 121: "target error (EREMOTEIO)"
        default: "error \(code)"
        }
    }
}
