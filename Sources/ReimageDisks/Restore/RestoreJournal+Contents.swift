internal import ReimageCodecs
public import ReimageCore

extension RestoreJournal {
    /// A journal as it was read.
    public struct Contents: Sendable {
        /// Bytes of the old disk, and where in the journal they stand.
        struct Saved: Sendable {
            var range: HostRange
            var place: HostOffset
        }

        public private(set) var facts = Facts()
        /// Whether everything that can be undone was safe before the disk was changed.
        public private(set) var isSealed = false
        /// Whether the restore came to its end.
        public private(set) var isFinished = false
        public private(set) var progress = Progress()
        private(set) var saved: [Saved] = []
        /// The end of the last whole record.
        private(set) var end = HostOffset.zero

        /// Reads the journal in `store`; what a crash left half written at its end is passed over.
        /// - Throws: `.damaged` where it is no journal, or was cut short before the disk was changed.
        public init(_ store: any ByteStore) throws(ImageError) {
            do throws(ImageError) { try read(store) } catch { throw error.inFile(store.name) }
        }

        private mutating func read(_ store: any ByteStore) throws(ImageError) {
            var isFirst = true
            while let record = try JournalRecord(in: store, at: end) {
                guard isFirst == (record.kind == .facts) else {
                    throw .damaged("the journal's records are not in the order in which they are written", at: end)
                }
                isFirst = false
                switch record.kind {
                case .facts: facts = Facts(decoding: record.payload)
                case .saved: try take(saved: record)
                case .sealed: isSealed = true
                case .done: try take(done: record)
                case .finished: isFinished = true
                }
                end += record.byteCount
            }
            guard !isFirst else {
                throw .damaged(
                    "is no journal of a restore", at: .zero, advice: "Name the journal that the restore told of.")
            }
            guard isSealed else {
                throw .damaged(
                    "the journal is not complete, so the disk was not changed by that restore", at: end,
                    advice: "There is nothing to undo or to resume: start the restore anew.")
            }
        }

        private mutating func take(saved record: JournalRecord) throws(ImageError) {
            let count = UInt64(record.payload.count)
            let start = try record.payload.withBytes { (bytes) throws(ImageError) in
                try bytes.little(UInt64.self, at: 0)
            }
            guard !isSealed, count > 8, start <= UInt64(Int64.max) else {
                throw .damaged("a record of the journal keeps bytes of no possible place", at: end)
            }
            saved.append(
                Saved(
                    range: HostRange(start: HostOffset(start), count: count - 8),
                    place: end + UInt64(JournalRecord.headerByteCount) + 8))
        }

        private mutating func take(done record: JournalRecord) throws(ImageError) {
            let size = Hash256.byteCount
            let count = (record.payload.count - 16) / size
            try record.payload.withBytes { (bytes) throws(ImageError) in
                let first: UInt64 = try bytes.little(at: 0)
                let unit: UInt64 = try bytes.little(at: 8)
                let isUnit = unit.nonzeroBitCount == 1 && (NodeBoard.leastUnit...(1 << 50)).contains(unit)
                guard isSealed, isUnit, progress.unit == 0 || progress.unit == unit,
                    bytes.byteCount == 16 + count * size, first < NodeBoard.mostUnits,
                    UInt64(count) <= NodeBoard.mostUnits - first
                else { throw .damaged("a record of the journal tells of impossible units", at: end) }
                progress.unit = unit
                for index in 0..<count {
                    let start = 16 + index * size
                    progress.nodes[first + UInt64(index)] = try Hash256(bytes.extracting(start..<start + size))
                }
            }
        }

        /// Puts the old ends and tables back onto `medium`, reads them back, and returns once they are safe: what stands
        /// at the very start comes last.
        ///
        /// - Parameter store: the journal.
        /// - Returns: the number of bytes.
        /// - Throws: `.targetFailed`; `.mismatch` where they do not read back.
        public func undo(onto medium: any UpdatableStore, from store: any ByteStore) throws(ImageError) -> UInt64 {
            guard let last = saved.map(\.range.end).max(), last.value <= medium.byteCount else {
                throw ImageError(
                    .refused, "is shorter than the disk that the journal was made of", file: medium.name)
            }
            for part in saved.sorted(by: { $0.range.start > $1.range.start }) {
                let bytes = try store.bytes(at: part.place, count: Int(part.range.count))
                try bytes.withBytes { (bytes) throws(ImageError) in try medium.write(bytes, at: part.range.start) }
                try medium.sync()
                guard try medium.bytes(at: part.range.start, count: bytes.count) == bytes else {
                    throw ImageError(
                        .mismatch, "does not read back as it was written", at: .host(part.range.start),
                        file: medium.name, advice: "The medium or its cable is failing.")
                }
            }
            return saved.reduce(0) { $0 + $1.range.count }
        }
    }
}
