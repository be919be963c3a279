internal import ReimageCodecs
internal import ReimageCore
internal import Synchronization

/// Goes through all records front to back on many threads: their headers in order, their payloads by their checksums.
///
/// Who takes a stretch of records moves the walk on by their headers, and then reads the stretch in one go.
final class StoredCheck: Sendable {
    /// How much is read at once.
    private static let stretchSize: UInt64 = 4 << 20

    /// What was found, in order.
    struct Finding: Sendable {
        var message: String
        var place: HostOffset
        var guest: GuestRange?
    }

    struct Result: Sendable {
        var audit: RecordAudit
        var findings: [Finding] = []
        /// The CHNK records whose payload is damaged.
        var damaged: Set<HostOffset> = []
        /// Stretches that hold no record, where one should be.
        var gaps: [HostRange] = []
    }

    private struct State: ~Copyable {
        var scan: RecordScan
        var result: Result
        /// A record that did not fit the stretch before.
        var pending: PlacedRecord?
        var isStopped = false
    }

    private let store: any ByteStore
    private let end: UInt64
    /// Whether the payloads of CHNK records are checked too.
    private let checksChunks: Bool
    private let request: VerifyRequest
    private let cancellation: Cancellation
    private let state: Mutex<State>

    /// - Parameter end: where the tail starts, or the file ends.
    init(
        _ store: any ByteStore, _ rules: RecordRules, end: UInt64, checksChunks: Bool, takesUnknown: Bool,
        _ request: VerifyRequest, _ cancellation: Cancellation
    ) {
        self.store = store
        self.end = end
        self.checksChunks = checksChunks
        self.request = request
        self.cancellation = cancellation
        let start = HostOffset(min(UInt64(FileHeader.byteCount), end))
        let scan = RecordScan(store, tag: rules.tag, in: HostRange(from: start, to: HostOffset(end)))
        state = Mutex(State(scan: scan, result: Result(audit: RecordAudit(rules, takesUnknown: takesUnknown))))
    }

    func run() throws(ImageError) -> Result {
        try request.threads.run { [self] (_) throws(ImageError) in
            do throws(ImageError) { try work() } catch {
                state.withLock { $0.isStopped = true }
                throw error
            }
        }
        return state.withLock { state in
            var result = state.result
            if result.audit.place.value < end {
                let rest = HostRange(from: result.audit.place, to: HostOffset(end))
                result.gaps.append(rest)
                result.findings.append(Finding(message: "there is no record in \(rest.count) bytes", place: rest.start))
            }
            result.findings.sort { $0.place < $1.place }
            return result
        }
    }

    private func work() throws(ImageError) {
        var buffer = AlignedBuffer(byteCount: Int(Self.stretchSize))
        while let stretch = try next() {
            try cancellation.check()
            if stretch.isRead {
                try check(stretch, &buffer)
            } else {
                for record in stretch.records where checksChunks || record.header.type != .chunk {
                    if try !isRight(record, &buffer) { note(record) }
                }
            }
            request.advance(stretch.end - stretch.start)
        }
    }

    private struct Stretch {
        var records: [PlacedRecord]
        var start: HostOffset
        var end: HostOffset
        /// Whether all of it is to be read.
        var isRead: Bool
    }

    /// The next records, whose headers are held against those before them.
    private func next() throws(ImageError) -> Stretch? {
        try state.withLock { (state) throws(ImageError) -> Stretch? in
            guard !state.isStopped else { return nil }
            var stretch: Stretch?
            while let record = try Self.advance(&state) {
                let recordEnd = min(record.header.end ?? record.payload, HostOffset(end))
                guard var open = stretch else {
                    let fits = recordEnd - record.place <= Self.stretchSize
                    let first = Stretch(
                        records: [record], start: record.place, end: recordEnd, isRead: checksChunks && fits)
                    if !fits { return first }
                    stretch = first
                    continue
                }
                guard open.end == record.place, recordEnd - open.start <= Self.stretchSize else {
                    state.pending = record
                    break
                }
                open.records.append(record)
                open.end = recordEnd
                stretch = open
            }
            return stretch
        }
    }

    private static func advance(_ state: inout State) throws(ImageError) -> PlacedRecord? {
        if let record = state.pending.take() { return record }
        guard let record = try state.scan.next() else { return nil }
        let expected = state.result.audit.place
        if record.place > expected {
            state.result.gaps.append(HostRange(from: expected, to: record.place))
        }
        var found: [Finding] = []
        try state.result.audit.take(record) { found.append(Finding(message: $0, place: $1, guest: $2)) }
        state.result.findings += found
        return record
    }

    /// Reads a stretch in one go and checks its payloads.
    private func check(_ stretch: Stretch, _ buffer: inout AlignedBuffer) throws(ImageError) {
        let count = Int(stretch.end - stretch.start)
        do {
            try buffer.withMutableBytes(0..<count) { (bytes) throws(ImageError) in
                try store.read(into: &bytes, at: stretch.start)
            }
        } catch {
            // A part of it cannot be read: which, is found record by record.
            for record in stretch.records where try !isRight(record, &buffer) { note(record) }
            return
        }
        for record in stretch.records {
            let first = Int(record.payload - stretch.start)
            let isRight = buffer.withBytes(first..<first + Int(record.header.payloadByteCount)) { payload in
                XXH3.hash64(payload) == record.header.payloadCheck
            }
            if !isRight { note(record) }
        }
    }

    /// Whether the payload of `record`, of any length, has its checksum.
    private func isRight(_ record: PlacedRecord, _ buffer: inout AlignedBuffer) throws(ImageError) -> Bool {
        let hasher = try XXH3Hasher()
        var place = record.payload
        var left = record.header.payloadByteCount
        while left > 0 {
            try cancellation.check()
            let count = Int(min(left, UInt64(buffer.byteCount)))
            do {
                try buffer.withMutableBytes(0..<count) { (bytes) throws(ImageError) in
                    try store.read(into: &bytes, at: place)
                }
            } catch { return false }
            buffer.withBytes(0..<count) { hasher.add($0) }
            place += UInt64(count)
            left -= UInt64(count)
        }
        return hasher.hash == record.header.payloadCheck
    }

    private func note(_ record: PlacedRecord) {
        let type = record.header.type
        let message = "a \(type.name) record is damaged: the checksum of its payload is wrong"
        state.withLock { state in
            if type == .chunk { state.result.damaged.insert(record.place) }
            state.result.findings.append(Finding(message: message, place: record.place))
        }
    }
}
