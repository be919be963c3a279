internal import ReimageCodecs
internal import ReimageCore

/// An archive whose making was interrupted, up to the last LEAF record that counts: the writer's state as it was then.
///
/// - Source: archive specification 1.0, section 7.4.
struct PartialArchive {
    /// Everything that the records up to the checkpoint give.
    let replay: RecordReplay
    /// The payload of the first META record.
    let metadata: [UInt8]
    /// Some of the chunks, spread over the disk.
    let samples: [SourceProof]

    /// What `store` holds; `nil` where there is no LEAF record that counts.
    ///
    /// Every payload is read and its checksum proved: what a machine that lost its power left in a file need not be what
    /// was written.
    /// - Throws: `.unreadable` on an I/O error, `.cancelled`; `.unsupported` for what 1.0 does not have.
    init?(_ store: any ByteStore, cancellation: Cancellation) throws(ImageError) {
        guard case .success(let header) = try ArchiveImage.header(store) else { return nil }
        var first = Pass(store, header, cancellation)
        let found = try first.run(provesPayloads: true, end: nil)
        guard let checkpoint = first.checkpoint, let found else { return nil }
        var replay = found
        var last = first
        if replay.position != checkpoint {
            // What follows the checkpoint cannot be taken back: begin anew, and stop there.
            last = Pass(store, header, cancellation)
            guard let again = try last.run(provesPayloads: false, end: checkpoint) else { return nil }
            replay = again
        }
        guard replay.isAtLeaf, let metadata = last.metadata else { return nil }
        self.replay = replay
        self.metadata = metadata
        samples = last.samples.all
    }

    /// One walk over the records.
    private struct Pass {
        private let store: any ByteStore
        private let header: FileHeader
        private let cancellation: Cancellation
        private(set) var checkpoint: HostOffset?
        private(set) var metadata: [UInt8]?
        private(set) var samples = SampleChoice()

        init(_ store: any ByteStore, _ header: FileHeader, _ cancellation: Cancellation) {
            self.store = store
            self.header = header
            self.cancellation = cancellation
        }

        /// Follows the records until they break, or up to `end`.
        mutating func run(provesPayloads: Bool, end: HostOffset?) throws(ImageError) -> RecordReplay? {
            var replay = try RecordReplay(header)
            var chain = RecordChain(store, tag: header.tag)
            while replay.position != end, let link = try chain.next() {
                try cancellation.check()
                do {
                    try take(link.record, into: &replay, provesPayloads)
                } catch {
                    guard error.code == .damaged else { throw error }
                    return replay
                }
                if replay.isAtLeaf { checkpoint = replay.position }
                if replay.footer != nil { break }
            }
            return replay
        }

        private mutating func take(
            _ record: PlacedRecord, into replay: inout RecordReplay, _ provesPayloads: Bool
        ) throws(ImageError) {
            // A payload is proved before the record counts.
            if record.header.type == .chunk {
                if provesPayloads { try proveChunk(record) }
                _ = try record.bytes.withBytes { (bytes) throws(ImageError) in try replay.take(bytes) }
                samples.add(replay)
                return
            }
            let (header, part) = try record.bytes.withBytes { (bytes) throws(ImageError) in try replay.take(bytes) }
            guard case .structure = part else { return }
            let payload = try store.bytes(at: record.payload, count: Int(header.payloadByteCount))
            try payload.withBytes { (bytes) throws(ImageError) in try header.check(payload: bytes) }
            try record.bytes.withBytes { (bytes) throws(ImageError) in
                try replay.take(payload: payload, of: header, bytes)
            }
            if header.type == .metadata, metadata == nil { metadata = payload }
        }

        private mutating func proveChunk(_ record: PlacedRecord) throws(ImageError) {
            let most = ChunkRecord.headerByteCount + 1 << header.chunkLog2
            guard record.header.payloadByteCount <= UInt64(most) else {
                throw .damaged("a CHNK record is too long", at: record.place)
            }
            let payload = try store.bytes(at: record.payload, count: Int(record.header.payloadByteCount))
            try payload.withBytes { (bytes) throws(ImageError) in try record.header.check(payload: bytes) }
        }
    }
}

/// Chooses some hundred chunks, spread evenly over all that come.
struct SampleChoice {
    private static let most = 256

    private(set) var all: [SourceProof] = []
    private var stride = 1
    private var count = 0

    /// Adds the chunk that `replay` took last, if its turn has come.
    mutating func add(_ replay: RecordReplay) {
        defer { count += 1 }
        let slot = replay.index.slot - 1
        guard count.isMultiple(of: stride), let entry = replay.chunks[slot] ?? replay.index.lastEntry else { return }
        let geometry = replay.index.geometry
        let range = GuestRange(
            start: GuestOffset(slot << UInt64(geometry.chunkLog2)), count: geometry.byteCount(ofSlot: slot))
        all.append(SourceProof(range, node: entry.hash.bytes, height: geometry.chunkHeight))
        guard all.count == Self.most else { return }
        all = all.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)
        stride *= 2
    }
}

extension PartialArchive {
    /// Refuses to be gone on with by a writer that would have begun with another header or other metadata.
    func check(_ header: FileHeader, metadata: [UInt8]) throws(ImageError) {
        var differences = replay.header.differences(from: header)
        if metadata != self.metadata {
            func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
            differences.append("options \(text(self.metadata)) (now \(text(metadata)))")
        }
        guard differences.isEmpty else {
            throw ImageError(
                .refused, "the archive was begun otherwise: \(differences.joined(separator: "; "))",
                advice: "Go on with the options it was begun with, or leave --resume away to start anew.")
        }
    }
}
