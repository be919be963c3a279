internal import ReimageCore

/// The archive as it grows: gives every record its place and number.
///
/// Headers, padding and short records are gathered, so that a chunk costs two writes and not four.
struct RecordStream {
    /// How much is gathered before it is written.
    private static let mostPending = 64 << 10

    private let tag: UInt64
    private(set) var position: UInt64
    private var sequence: UInt64
    private var pending: [UInt8] = []

    /// A record that was placed.
    struct Placed {
        var place: HostOffset
        /// The length of header and payload, without padding.
        var byteCount: UInt64
        var headerCheck: UInt64
    }

    /// An archive's bytes from its start, or from `position` on, where record number `sequence` is due.
    init(tag: UInt64, position: UInt64 = 0, sequence: UInt64 = 0) {
        self.tag = tag
        self.position = position
        self.sequence = sequence
    }

    /// Adds bytes that are no record.
    mutating func append(_ bytes: [UInt8], into placement: inout Placement) {
        pending += bytes
        position += UInt64(bytes.count)
        if pending.count >= Self.mostPending { flush(into: &placement) }
    }

    /// Adds a record whose payload is in memory.
    mutating func append(
        _ type: RecordType, extension fields: [UInt8] = [], payload: [UInt8] = [], into placement: inout Placement
    ) -> Placed {
        let place = HostOffset(position)
        let header = payload.withBytes {
            RecordHeader.encode(type, extension: fields, payload: $0, at: place, tag: tag, sequence: sequence)
        }
        sequence += 1
        append(header + payload + Self.padding(UInt64(payload.count)), into: &placement)
        return placed(header, at: place, payload: UInt64(payload.count))
    }

    /// Adds a record whose payload is what `source` lends.
    mutating func append(
        _ type: RecordType, extension fields: [UInt8], payload source: Placement.Source, byteCount: UInt64,
        check: UInt64, into placement: inout Placement
    ) -> Placed {
        let place = HostOffset(position)
        let header = RecordHeader.encode(
            type, extension: fields, payloadByteCount: byteCount, payloadCheck: check, at: place, tag: tag,
            sequence: sequence)
        sequence += 1
        append(header, into: &placement)
        flush(into: &placement)
        placement.append(.write(source, at: HostOffset(position)))
        position += byteCount
        append(Self.padding(byteCount), into: &placement)
        return placed(header, at: place, payload: byteCount)
    }

    /// Writes what was gathered.
    mutating func flush(into placement: inout Placement) {
        guard !pending.isEmpty else { return }
        placement.append(.write(.metadata(pending), at: HostOffset(position - UInt64(pending.count))))
        pending.removeAll()
    }

    private static func padding(_ byteCount: UInt64) -> [UInt8] {
        [UInt8](repeating: 0, count: Int((8 - byteCount % 8) % 8))
    }

    private func placed(_ header: [UInt8], at place: HostOffset, payload: UInt64) -> Placed {
        Placed(
            place: place, byteCount: UInt64(header.count) + payload,
            headerCheck: RecordHeader.storedCheck(of: header))
    }
}
