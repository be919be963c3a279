internal import ReimageCodecs
internal import ReimageCore
internal import ReimageSystem

/// Puts batches in order: asks the writer where each goes, and hands the writes back to be done in parallel.
///
/// A batch's turn comes when all before it were placed. Placing is short and does no I/O; the writes follow outside
/// the turn, unless the sink takes bytes in order only, or the placement holds a barrier: then they are done within
/// it, after every write before them.
final class Committer: Sendable {
    fileprivate struct State {
        var nextTicket: UInt64 = 0
        /// Placements handed out whose writes are not done yet.
        var outstanding = 0
        var failure: ImageError?
        /// The first batch whose writes are not done, and the ends of later ones whose are.
        var firstUnwritten: UInt64 = 0
        var writtenEnds: [UInt64: (end: GuestOffset, hasCheckpoint: Bool)] = [:]
        var pace = CheckpointPace()
        var tree: DigestTree?
        /// The ticket whose leaves the tree takes next, and what came before its turn.
        var nextHashed: UInt64 = 0
        var early: [UInt64: Leaves] = [:]
        var summary = CopySummary()
    }

    /// What the tree takes of a batch: its leaves, or a run of zeros of so many bytes.
    fileprivate enum Leaves {
        case hashes([Hash256])
        case zeros(UInt64)
    }

    /// So many batches may be ahead of the one that the tree waits for; about 1 KiB each.
    private static let mostEarly: UInt64 = 1024

    /// What a worker brings to its turn.
    struct Delivery {
        var ticket: UInt64
        var range: GuestRange
        /// Whether the disk ends with it.
        var endsDisk: Bool
        /// The hashes of the batch's leaves; `nil` for a run of zeros, or where no digest is made.
        var leaves: [Hash256]?
        var counts: CopySummary
    }

    // SAFETY: the writer is touched only before the workers start, within a turn, and after they ended.
    private struct Exclusive: @unchecked Sendable { let writer: any ImageWriter }

    private let exclusive: Exclusive
    private let sink: any ByteSink
    /// Where the guest's data goes, if not to the image.
    private let dataSink: (any ByteSink)?
    private let checkpoints: Checkpoints?
    /// Hears how far everything was written.
    private let written: @Sendable (GuestOffset) -> Void
    private let inOrder: Bool
    private let writesInTurn: Bool
    private let state: Monitor<State>

    init(
        _ writer: any ImageWriter, sink: any ByteSink, dataSink: (any ByteSink)?, tree: DigestTree? = nil,
        checkpoints: Checkpoints? = nil, written: @escaping @Sendable (GuestOffset) -> Void = { _ in }
    ) {
        self.written = written
        self.checkpoints = checkpoints
        exclusive = Exclusive(writer: writer)
        self.sink = sink
        self.dataSink = dataSink
        writesInTurn = sink.traits.contains(.appendOnly)
        inOrder = writer.needs.ascending || writesInTurn
        state = Monitor(State(tree: tree))
    }

    /// The error that came first, if any did.
    var failure: ImageError? { state.withLock { $0.failure } }

    /// Notes that a worker failed, and lets every other one stop.
    func fail(_ error: ImageError) { state.update { if $0.failure == nil { $0.failure = error } } }

    /// Waits for the delivery's turn, lets `place` decide, and writes.
    ///
    /// - Parameter source: lends the bytes that the placement speaks of.
    /// - Returns: whether the work goes on; not after a failure elsewhere.
    func commit(
        _ delivery: Delivery, _ placement: inout Placement, source: borrowing Batch, encoded: borrowing AlignedBuffer,
        place: (any ImageWriter, inout Placement) throws(ImageError) -> Void
    ) throws(ImageError) -> Bool {
        let ready: (State) -> Bool = { [inOrder] in
            if $0.failure != nil { return true }
            if inOrder { return $0.nextTicket == delivery.ticket }
            return $0.tree == nil || delivery.ticket < $0.nextHashed + Self.mostEarly
        }
        placement.removeAll()
        var hasCheckpoint = false
        var syncs = false
        let turn = try state.update(when: ready) { (state) throws(ImageError) -> Turn in
            guard state.failure == nil else { return .stop }
            if delivery.endsDisk { try exclusive.writer.diskEnds(at: delivery.range.end) }
            try place(exclusive.writer, &placement)
            state.note(delivery)
            if let checkpoint = placement.lastCheckpoint {
                hasCheckpoint = true
                syncs = state.pace.isDue(at: checkpoint)
            }
            if writesInTurn || syncs || placement.hasBarrier { return .within }
            state.nextTicket += 1
            state.outstanding += 1
            return .after
        }
        switch turn {
        case .stop:
            return false
        case .after:
            try execute(placement, source: source, encoded: encoded)
            state.update { $0.outstanding -= 1 }
        case .within:
            let goesOn = state.update(when: { $0.outstanding == 0 || $0.failure != nil }) { $0.failure == nil }
            guard goesOn else { return false }
            try execute(placement, source: source, encoded: encoded)
            if syncs { try sink.sync() }
            state.update { $0.nextTicket += 1 }
        }
        let progress = state.withLock { $0.noteWritten(delivery, hasCheckpoint: hasCheckpoint) }
        if let checkpoint = progress.checkpoint { checkpoints?.note(checkpoint) }
        if let end = progress.end { written(end) }
        return true
    }

    private enum Turn { case stop, within, after }

    /// Lets the writer put down what comes before the first batch.
    func begin() throws(ImageError) {
        var placement = Placement()
        try exclusive.writer.begin(into: &placement)
        try execute(placement)
    }

    /// Lets the writer complete the image, after all workers have ended.
    func finish(byteCount: UInt64) throws(ImageError) -> CopySummary {
        let summary = state.withLock { state in
            var summary = state.summary
            summary.byteCount = byteCount
            summary.digest = state.tree?.digest(byteCount: byteCount)
            return summary
        }
        let digest = summary.digest?.hash.bytes
        var placement = Placement()
        try exclusive.writer.finish(WrittenDisk(byteCount: byteCount, digest: digest), into: &placement)
        try execute(placement)
        return summary
    }

    private func execute(_ placement: Placement) throws(ImageError) {
        let nothing = AlignedBuffer(byteCount: 0)
        try execute(placement, source: Batch(byteCount: 0, grainSize: 512), encoded: nothing)
    }

    private func execute(
        _ placement: Placement, source: borrowing Batch, encoded: borrowing AlignedBuffer
    ) throws(ImageError) {
        for step in placement.steps {
            switch step {
            case .write(.input(let range), let offset, let part):
                let sink = try sink(for: part)
                if let unread = source.unread {
                    try unread.write(range, to: sink, at: offset)
                    continue
                }
                try source.buffer.withBytes(range) { (span) throws(ImageError) in try sink.write(span, at: offset) }
            case .write(.encoded(let range), let offset, let part):
                let sink = try sink(for: part)
                try encoded.withBytes(range) { (span) throws(ImageError) in try sink.write(span, at: offset) }
            case .write(.metadata(let bytes), let offset, let part):
                let sink = try sink(for: part)
                try bytes.withBytes { (span) throws(ImageError) in try sink.writeMetadata(span, at: offset) }
            case .zero(let range, let mode, let part):
                try sink(for: part).zero(range, mode: mode)
            case .setByteCount(let count, let part):
                try sink(for: part).setByteCount(count)
            case .checkpoint: break
            case .barrier:
                try sink.sync()
                try dataSink?.sync()
            }
        }
    }

    private func sink(for part: Placement.Part) throws(ImageError) -> any ByteSink {
        guard part == .data else { return sink }
        guard let dataSink else { throw ImageError(.invalidArgument, "there is no file for the data of this image") }
        return dataSink
    }
}

extension Committer.State {
    /// Notes that a delivery's writes are done.
    /// - Returns: how far all are, and how far the last checkpoint reaches that is, where that is further than before.
    fileprivate mutating func noteWritten(
        _ delivery: Committer.Delivery, hasCheckpoint: Bool
    ) -> (end: GuestOffset?, checkpoint: GuestOffset?) {
        writtenEnds[delivery.ticket] = (delivery.range.end, hasCheckpoint)
        var end: GuestOffset?
        var checkpoint: GuestOffset?
        while let next = writtenEnds.removeValue(forKey: firstUnwritten) {
            end = next.end
            if next.hasCheckpoint { checkpoint = next.end }
            firstUnwritten += 1
        }
        return (end, checkpoint)
    }

    fileprivate mutating func note(_ delivery: Committer.Delivery) {
        summary.add(delivery.counts)
        guard tree != nil else { return }
        early[delivery.ticket] = delivery.leaves.map { .hashes($0) } ?? .zeros(delivery.range.count)
        while let leaves = early.removeValue(forKey: nextHashed) {
            nextHashed += 1
            switch leaves {
            case .hashes(let hashes): for leaf in hashes { tree?.append(leaf) }
            case .zeros(let count): tree?.appendZeros(count.dividedRoundingUp(by: UInt64(DigestTree.leafSize)))
            }
        }
    }
}

extension Placement {
    fileprivate var hasBarrier: Bool { steps.contains(.barrier) }

    fileprivate var lastCheckpoint: HostOffset? {
        for step in steps.reversed() { if case .checkpoint(let place) = step { return place } }
        return nil
    }
}
