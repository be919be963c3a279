internal import ReimageCodecs
internal import ReimageCore
internal import Synchronization

/// Makes a damaged archive anew: whole payloads are copied as they are, and everything around them is written again.
///
/// A slot whose hash is known keeps it, even where its payload is damaged: another image of the same disk can heal it,
/// then or later. A slot of which nothing is known becomes unreadable, and the archive incomplete.
///
/// - Source: archive specification 1.0, section 9, "repair".
final class ArchiveRepair: Sendable {
    /// How much of the disk is worked on at once, in bytes; at least a slot for each thread.
    private static let batchSize: UInt64 = 16 << 20

    private let index: RecoveredIndex
    private let disk: RecoveredDisk
    private let request: RebuildRequest
    private let settings: WriterSettings
    private let threads: WorkThreads
    private let cancellation: Cancellation

    /// One slot with data, on its way.
    private struct Piece: Sendable {
        var slot: UInt64
        var payload: [UInt8]
        var facts: ChunkFacts
        var state: State

        enum State { case whole, healed, damaged }
    }

    init(_ store: any ByteStore, _ request: RebuildRequest, _ cancellation: Cancellation) throws(ImageError) {
        index = try RecoveredIndex(store, header: try ArchiveImage.header(store), cancellation)
        disk = RecoveredDisk(index)
        self.request = request
        self.cancellation = cancellation
        settings = try Self.settings(index, request.stamp)
        threads = request.threads.decoding(Int(index.rules.geometry.chunkSize))
    }

    private var geometry: Geometry { index.rules.geometry }

    /// The new archive is cut like the old one, and keeps what the old one said of its source.
    private static func settings(
        _ index: RecoveredIndex, _ stamp: ImageStamp
    ) throws(ImageError) -> WriterSettings {
        var settings = try WriterSettings(WritePlan(byteCount: index.rules.geometry.byteCount, stamp: stamp))
        settings.chunkLog2 = index.rules.geometry.chunkLog2
        settings.leafLog2 = index.rules.geometry.leafLog2
        settings.origin = index.header
        if let window = index.header?.dedupWindow { settings.dedupWindow = window }
        if let metadata = index.metadata { settings.metadata = metadata }
        return settings
    }

    func run() throws(ImageError) -> RebuildSummary {
        let writer = try ArchiveWriter(settings, byteCount: geometry.byteCount)
        writer.knownErrors = KnownErrors(index.errors())
        request.begin(geometry.byteCount)
        var output = Output(request.sink)
        try writer.begin(into: &output.placement)
        try output.flush()
        var summary = RebuildSummary(byteCount: geometry.byteCount, digest: [], isPartial: index.isIncomplete)
        let most = max(threads.count, Int(Self.batchSize >> UInt64(geometry.chunkLog2)))
        var slot: UInt64 = 0
        while slot < geometry.slots {
            try cancellation.check()
            switch try index.content(at: slot) {
            case .uniform(let kind, let limit):
                try skip(slot..<limit, kind.extent, writer, &output)
                slot = limit
            case .lost(let limit):
                summary.lost.add(range(slot..<limit))
                try skip(slot..<limit, .unreadable, writer, &output)
                slot = limit
            case .leaf(let leaf):
                var local = Int(slot - leaf.first)
                while local < leaf.slotCount {
                    let run = leaf.run(from: local)
                    let part = run.lowerBound..<min(run.upperBound, run.lowerBound + most)
                    let slots = leaf.first + UInt64(part.lowerBound)..<leaf.first + UInt64(part.upperBound)
                    if leaf.kind(of: local) == .data {
                        let entries = part.compactMap { leaf.entry(of: $0) }
                        try copy(slots.lowerBound, entries, writer, &output, &summary)
                    } else {
                        for slot in part where leaf.isLost(slot) {
                            summary.lost.add(range(leaf.first + UInt64(slot)..<leaf.first + UInt64(slot) + 1))
                        }
                        try skip(slots, leaf.kind(of: local).extent, writer, &output)
                    }
                    local = part.upperBound
                }
                slot = leaf.first + UInt64(leaf.slotCount)
            }
        }
        summary.isPartial = summary.isPartial || !summary.lost.isEmpty
        writer.flags = index.footerFlags
        if summary.isPartial { writer.flags.remove(.complete) }
        try writer.finish(WrittenDisk(byteCount: geometry.byteCount), into: &output.placement)
        try output.flush()
        summary.digest = writer.digest?.bytes ?? []
        return summary
    }

    private func range(_ slots: Range<UInt64>) -> GuestRange {
        let log2 = UInt64(geometry.chunkLog2)
        let end = slots.upperBound >= geometry.slots ? geometry.byteCount : slots.upperBound << log2
        return GuestRange(from: GuestOffset(slots.lowerBound << log2), to: GuestOffset(end))
    }

    private func skip(
        _ slots: Range<UInt64>, _ kind: Extent.Kind, _ writer: ArchiveWriter, _ output: inout Output
    ) throws(ImageError) {
        try writer.skip(kind, range(slots), into: &output.placement)
        try output.flush()
        request.advance(range(slots).count)
    }

    /// Copies the chunks of `entries`, those of the slots from `first` on: proved by all threads, placed in order.
    private func copy(
        _ first: UInt64, _ entries: [IndexEntry], _ writer: ArchiveWriter, _ output: inout Output,
        _ summary: inout RebuildSummary
    ) throws(ImageError) {
        let shares = Shares(entries.count)
        try threads.run { [self] (_) throws(ImageError) in
            let prover = try ChunkProver(disk, request.others, settings)
            while let number = shares.next() {
                try cancellation.check()
                let slot = first + UInt64(number)
                let entry = entries[number]
                let found = try prover.prove(slot, entry)
                shares.put(
                    Piece(
                        slot: slot, payload: found.payload, facts: found.facts,
                        state: found.isHealed ? .healed : found.isWhole ? .whole : .damaged), at: number)
            }
        }
        for piece in shares.pieces() {
            try place(piece, writer, &output)
            switch piece.state {
            case .whole: break
            case .healed: summary.healed.add(range(piece.slot..<piece.slot + 1))
            case .damaged: summary.damaged.add(range(piece.slot..<piece.slot + 1))
            }
            request.advance(geometry.byteCount(ofSlot: piece.slot))
        }
    }

    private func place(_ piece: Piece, _ writer: ArchiveWriter, _ output: inout Output) throws(ImageError) {
        let whole = range(piece.slot..<piece.slot + 1)
        let count = Int(whole.count)
        var map = GrainMap(grainSize: 512, capacity: count)
        map.reset(byteCount: count, to: .data)
        for error in writer.knownErrors.within(whole) {
            let start = max(error.range.start, whole.start) - whole.start
            let end = min(error.range.end, whole.end) - whole.start
            map.set(
                .unreadable, in: Int(start.roundedDown(to: 512))..<min(count, Int((end + 511).roundedDown(to: 512))))
        }
        var chunk = Chunk(range: whole, encoding: .coded(Codec("\(piece.facts.method.codec)")), input: 0..<count)
        chunk.encoded = 0..<piece.payload.count
        chunk.facts = piece.facts.bytes
        output.payload = piece.payload
        writer.remembers = piece.state != .damaged
        try writer.place(chunk, map: map, into: &output.placement)
        try output.flush()
    }

    /// Carries placements out, one after the other.
    private struct Output {
        let sink: any ByteSink
        var placement = Placement()
        var payload: [UInt8] = []

        init(_ sink: any ByteSink) { self.sink = sink }

        mutating func flush() throws(ImageError) {
            for step in placement.steps {
                switch step {
                case .write(.metadata(let bytes), let place, _):
                    try bytes.withBytes { (span) throws(ImageError) in try sink.writeMetadata(span, at: place) }
                case .write(.encoded(let range), let place, _):
                    try payload.withBytes { (span) throws(ImageError) in
                        try sink.write(span.extracting(range), at: place)
                    }
                // A repair is not gone on with: it begins anew.
                case .checkpoint: break
                case .write(.input, _, _), .zero, .setByteCount, .barrier:
                    throw ImageError(.invalidArgument, "a repaired archive is only appended to")
                }
            }
            placement.removeAll()
        }
    }

    /// The slots of a batch, and what became of them. Safe from any thread.
    private final class Shares: Sendable {
        private struct State: Sendable {
            var next = 0
            var pieces: [Piece?]
        }

        private let state: Mutex<State>

        init(_ count: Int) { state = Mutex(State(pieces: Array(repeating: nil, count: count))) }

        func next() -> Int? {
            state.withLock { state in
                guard state.next < state.pieces.count else { return nil }
                state.next += 1
                return state.next - 1
            }
        }

        func put(_ piece: Piece, at index: Int) { state.withLock { $0.pieces[index] = piece } }

        func pieces() -> [Piece] { state.withLock { $0.pieces.compactMap { $0 } } }
    }
}
