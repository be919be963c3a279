internal import ReimageCodecs
internal import ReimageCore

/// How many chunks are stored by which codec and filter, and in how many bytes, as the LEAF records tell.
///
/// FOOT has the sums alone. Of an index that is long, LEAF records are taken at even distances, so that the time does not
/// grow with the disk.
struct MethodTally {
    /// The most bytes of LEAF records that are read, and the most records.
    private static let mostBytes: UInt64 = 16 << 20
    private static let mostLeaves = 4096

    /// What is stored in one way.
    struct Sum: Hashable {
        var chunks: UInt64 = 0
        /// The disk's bytes in these chunks.
        var rawBytes: UInt64 = 0
        /// What they are stored in.
        var storedBytes: UInt64 = 0
    }

    /// A codec and a filter by their numbers, which may be of a later version.
    struct Method: Hashable, Comparable {
        var codec: UInt8
        var filter: UInt8
        static func < (left: Method, right: Method) -> Bool { (left.codec, left.filter) < (right.codec, right.filter) }
    }

    private(set) var sums: [Method: Sum] = [:]
    /// How many LEAF records could not be read.
    private(set) var damaged = 0
    /// Whether not every LEAF record was looked at.
    private(set) var isSample = false

    /// How many chunks were looked at.
    var chunks: UInt64 { sums.values.reduce(0) { $0 + $1.chunks } }
    var storedBytes: UInt64 { sums.values.reduce(0) { $0 + $1.storedBytes } }

    /// - Throws: `.unreadable` on an I/O error.
    init(
        _ index: ArchiveIndex, _ store: any ByteStore, mostBytes: UInt64 = Self.mostBytes,
        mostLeaves: Int = Self.mostLeaves
    ) throws(ImageError) {
        var (leaves, byteCount) = (0, UInt64(0))
        for number in 0..<index.root.count {
            let entry = try index.root.entry(number)
            guard entry.kind == .data else { continue }
            leaves += 1
            byteCount += UInt64(entry.byteCount)
        }
        let distance = max(
            1, byteCount.dividedRoundingUp(by: mostBytes), UInt64(leaves).dividedRoundingUp(by: UInt64(mostLeaves)))
        isSample = distance > 1
        var next: UInt64 = 0
        for number in 0..<index.root.count {
            let entry = try index.root.entry(number)
            guard entry.kind == .data else { continue }
            defer { next += 1 }
            guard next % distance == 0 else { continue }
            do throws(ImageError) { try add(entry, store, index.rules) } catch {
                guard error.code == .damaged else { throw error }
                damaged += 1
            }
        }
    }

    /// Adds the chunks that were written for the leaf range of `entry`: each is its own once, and a duplicate's entry names
    /// one that lies before.
    private mutating func add(_ entry: RootEntry, _ store: any ByteStore, _ rules: RecordRules) throws(ImageError) {
        let bytes = try store.bytes(at: entry.place, count: Int(entry.byteCount))
        try bytes.withBytes { (bytes) throws(ImageError) in
            let header = try RecordHeader(decoding: bytes, at: entry.place, tag: rules.tag)
            let record = try LeafRecord(decoding: bytes, of: header, rules)
            guard record.entryCount == Int(entry.entryCount) else {
                throw .damaged("a LEAF record is not the one that the ROOT record means", at: entry.place)
            }
            let payload = bytes.extracting(LeafRecord.headerByteCount..<bytes.byteCount)
            try header.check(payload: payload)
            let start = (record.slotCount + 7) / 8 * 8
            let geometry = rules.geometry
            let lastSlot = record.first + UInt64(record.slotCount) - 1
            let lastKind: UInt8 = try payload.little(at: record.slotCount - 1)
            let endsShort = lastSlot == geometry.slots - 1 && lastKind == SlotKind.data.rawValue
            var newest = record.previous
            for number in 0..<record.entryCount {
                let chunk = try IndexEntry(
                    decoding: payload, at: start + number * IndexEntry.byteCount, leaf: entry.place, rules)
                guard chunk.place.value > newest else { continue }
                newest = chunk.place.value
                let isLast = endsShort && number == record.entryCount - 1
                var sum = sums[Method(codec: chunk.codec, filter: chunk.filter), default: Sum()]
                sum.chunks += 1
                sum.rawBytes += isLast ? geometry.byteCount(ofSlot: lastSlot) : geometry.chunkSize
                sum.storedBytes += UInt64(chunk.storedByteCount)
                sums[Method(codec: chunk.codec, filter: chunk.filter)] = sum
            }
        }
    }
}

extension MethodTally {
    /// What `info` tells of it: a list, one element a method.
    var info: InfoValue {
        let whole = storedBytes
        return .list(
            sums.sorted { $0.key < $1.key }.map { method, sum in
                var fields = [InfoField("codec", .text(ChunkMethod.name(ofCodec: method.codec)))]
                if method.filter != 0 { fields.append(InfoField("filter", .text(Self.name(ofFilter: method.filter)))) }
                fields += [
                    InfoField("chunks", .number(sum.chunks)), InfoField("data-size", .number(sum.rawBytes)),
                    InfoField("stored-size", .number(sum.storedBytes)),
                    InfoField("stored-percent", .percent(sum.storedBytes, of: sum.rawBytes)),
                    InfoField("share-percent", .percent(sum.storedBytes, of: whole)),
                ]
                return .fields(fields)
            })
    }

    /// What the user should know of the figures, of an archive of `chunks` chunks.
    func remarks(ofChunks chunks: UInt64) -> [String] {
        var remarks: [String] = []
        if isSample {
            remarks.append(
                "The figures by codec are those of \(self.chunks) of \(chunks) chunks, spread over the disk.")
        }
        if damaged > 0 {
            remarks.append("\(damaged) LEAF records are damaged; the figures by codec are without what they tell.")
        }
        return remarks
    }

    private static func name(ofFilter number: UInt8) -> String {
        LZMA2Filter(rawValue: number).map { "\($0)" } ?? "filter-\(number)"
    }
}
