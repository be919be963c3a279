internal import ReimageCore

/// An internal snapshot, as its entry in the table has it.
/// - Source: qcow2 specification, "Snapshots".
struct Snapshot: Sendable {
    /// The place of its entry.
    var place: HostOffset
    var id: String
    var name: String
    var l1Offset: UInt64
    var l1Size: UInt32
    var dateSeconds: UInt32
    var dateNanoseconds: UInt32
    var vmClockNanoseconds: UInt64
    var vmStateSize: UInt64
    /// The disk's size when it was taken; `nil` where the entry, as version 2 wrote it, does not tell.
    var byteCount: UInt64?
    var instructionCount: UInt64?
    /// The bytes of its entry behind the fixed fields, which version 3 wants to be 16 at least.
    var extraSize: UInt32
}

/// The table of internal snapshots: entries of variable length, read one by one through a small window.
struct SnapshotTable {
    /// Where the fields of an entry lie.
    private enum Field {
        static let l1Offset = 0
        static let l1Size = 8
        static let idLength = 12
        static let nameLength = 14
        static let dateSeconds = 16
        static let dateNanoseconds = 20
        static let vmClock = 24
        static let vmStateSize = 32
        static let extraSize = 36
        static let extra = 40
        static let longVMStateSize = 40
        static let diskSize = 48
        static let instructionCount = 56
    }

    /// The longest table in bytes.
    private static let longest: UInt64 = 64 << 20
    /// The most bytes of an entry that this version does not know.
    private static let longestExtra: UInt32 = 1024

    private let store: any ByteStore
    private let header: Header
    private var window: [UInt8] = []
    private var windowStart: UInt64 = 0

    init(_ store: any ByteStore, header: Header) {
        self.store = store
        self.header = header
    }

    /// Hands every snapshot to `body`, in the order of the table.
    /// - Throws: `.damaged` with the entry's place where it passes the file or a limit, or its L1 table cannot be.
    mutating func forEach(_ body: (Snapshot) -> Void) throws(ImageError) {
        var index: UInt32 = 0
        let (store, header) = (store, header)
        try forEachUnchecked { (snapshot) throws(ImageError) in
            try Self.check(snapshot, index, header, fileByteCount: store.byteCount)
            body(snapshot)
            index += 1
        }
    }

    /// Hands every snapshot to `body`, whatever its entry says of its L1 table.
    /// - Returns: the bytes of the table.
    /// - Throws: `.damaged` where an entry passes the file or a limit; what `body` throws.
    @discardableResult
    mutating func forEachUnchecked(_ body: (Snapshot) throws(ImageError) -> Void) throws(ImageError) -> UInt64 {
        var position = header.snapshotsOffset
        for index in 0..<header.snapshotCount {
            let (snapshot, count) = try entry(index, at: position)
            try body(snapshot)
            position += (count + 7) / 8 * 8
            guard position - header.snapshotsOffset <= Self.longest else {
                throw .damaged("the snapshot table passes 64 MiB", at: HostOffset(header.snapshotsOffset))
            }
        }
        return position - header.snapshotsOffset
    }

    private mutating func entry(_ index: UInt32, at position: UInt64) throws(ImageError) -> (Snapshot, UInt64) {
        let place = HostOffset(position)
        let fixed = try bytes(index, at: position, count: Field.extra)
        let sizes = try fixed.withBytes { (entry) throws(ImageError) in
            (
                extra: try entry.big(UInt32.self, at: Field.extraSize),
                id: Int(try entry.big(UInt16.self, at: Field.idLength)),
                name: Int(try entry.big(UInt16.self, at: Field.nameLength))
            )
        }
        guard sizes.extra <= Self.longestExtra else {
            throw .damaged(
                "snapshot table entry \(index): extra data size is \(sizes.extra), more than \(Self.longestExtra)",
                at: place + UInt64(Field.extraSize))
        }
        let strings = Field.extra + Int(sizes.extra)
        let count = strings + sizes.id + sizes.name
        let whole = try bytes(index, at: position, count: count)
        let snapshot = try whole.withBytes { (entry) throws(ImageError) in
            let has = { (field: Int) in Int(sizes.extra) >= field + 8 - Field.extra }
            let icount: UInt64? =
                has(Field.instructionCount) ? try entry.big(UInt64.self, at: Field.instructionCount) : nil
            return Snapshot(
                place: place,
                id: try entry.text(strings..<strings + sizes.id),
                name: try entry.text(strings + sizes.id..<count),
                l1Offset: try entry.big(at: Field.l1Offset),
                l1Size: try entry.big(at: Field.l1Size),
                dateSeconds: try entry.big(at: Field.dateSeconds),
                dateNanoseconds: try entry.big(at: Field.dateNanoseconds),
                vmClockNanoseconds: try entry.big(at: Field.vmClock),
                vmStateSize: has(Field.longVMStateSize)
                    ? try entry.big(at: Field.longVMStateSize)
                    : UInt64(try entry.big(UInt32.self, at: Field.vmStateSize)),
                byteCount: has(Field.diskSize) ? try entry.big(UInt64.self, at: Field.diskSize) : nil,
                instructionCount: icount == .max ? nil : icount,
                extraSize: sizes.extra)
        }
        return (snapshot, UInt64(count))
    }

    /// Refuses an L1 table that cannot be.
    static func check(
        _ snapshot: Snapshot, _ index: UInt32, _ header: Header, fileByteCount: UInt64
    ) throws(ImageError) {
        let what = "snapshot table entry \(index)"
        guard snapshot.l1Size <= Header.mostL1Entries else {
            throw .damaged(
                "\(what): its L1 table has \(snapshot.l1Size) entries, more than \(Header.mostL1Entries)",
                at: snapshot.place + UInt64(Field.l1Size))
        }
        let size = header.clusterSize
        guard snapshot.l1Offset % size == 0, snapshot.l1Size == 0 || snapshot.l1Offset >= size else {
            throw .damaged(
                "\(what): its L1 table's offset \(snapshot.l1Offset) is not that of a cluster behind the header",
                at: snapshot.place)
        }
        do {
            _ = try TableRange(
                "the L1 table", offset: snapshot.l1Offset, count: UInt64(snapshot.l1Size), stride: 8,
                within: fileByteCount)
        } catch {
            throw .damaged("\(what): \(error.message)", at: snapshot.place, advice: error.advice)
        }
    }

    /// The bytes of an entry; small entries come many to a read.
    private mutating func bytes(_ index: UInt32, at position: UInt64, count: Int) throws(ImageError) -> [UInt8] {
        let length = store.byteCount
        guard position <= length, UInt64(count) <= length - position else {
            throw .damaged(
                "snapshot table entry \(index) passes the end of the file (\(length) bytes)",
                at: HostOffset(position), advice: "Is the file cut short?")
        }
        if position < windowStart || position + UInt64(count) > windowStart + UInt64(window.count) {
            window = try store.bytes(
                at: HostOffset(position), count: Int(min(length - position, UInt64(max(count, 64 << 10)))))
            windowStart = position
        }
        let start = Int(position - windowStart)
        return Array(window[start..<start + count])
    }
}

extension SnapshotTable {
    /// The snapshot that the user means by `wanted`: the one with that id, else the one with that name.
    /// - Throws: `.invalidArgument` where there is none, or more than one.
    mutating func find(_ wanted: String) throws(ImageError) -> Snapshot {
        var byID: [Snapshot] = []
        var byName: [Snapshot] = []
        var known: [String] = []
        try forEach { snapshot in
            // Two are enough to see that a name is not unique.
            if snapshot.id == wanted, byID.count < 2 { byID.append(snapshot) }
            if snapshot.name == wanted, byName.count < 2 { byName.append(snapshot) }
            if known.count < 20 { known.append("\(snapshot.id) '\(snapshot.name)'") }
        }
        let found = byID.isEmpty ? byName : byID
        if found.count == 1 { return found[0] }
        let all = known.joined(separator: ", ") + (Int(header.snapshotCount) > known.count ? ", …" : "")
        guard found.isEmpty else {
            throw ImageError(
                .invalidArgument, "more than one snapshot is called '\(wanted)'",
                advice: "Name it by an id that only it has. Snapshots: \(all).")
        }
        throw ImageError(
            .invalidArgument, "there is no snapshot with the id or name '\(wanted)'",
            advice: known.isEmpty ? "The image has no snapshots." : "Snapshots: \(all).")
    }
}
