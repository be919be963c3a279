internal import ReimageCodecs
internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem

/// One thread that does what stands in a target's queue.
///
/// A target's first error ends its work, and nobody else's.
final class TargetWriter {
    /// What all writers of a restore have in common.
    struct Shared: Sendable {
        let pool: PiecePool
        let hashes: Bool
        let isDelta: Bool
        /// How many bytes are written, and how long is waited at the most, before the journal hears of it.
        let checkpoint: UInt64
        let options: JobOptions
        /// How many targets the progress is shared by.
        let targets: UInt64
    }

    private let shared: Shared
    private let run: TargetRun
    /// A piece as this target has it, where that is otherwise.
    private var own: AlignedBuffer
    /// What the target holds, in a delta.
    private var found: AlignedBuffer
    private static let deltaUnit = DigestTree.leafSize

    init(_ shared: Shared, _ run: TargetRun) {
        self.shared = shared
        self.run = run
        own = AlignedBuffer(byteCount: run.overlay.isEmpty ? 0 : Piece.byteCount)
        found = AlignedBuffer(byteCount: shared.isDelta ? Piece.byteCount : 0)
    }

    /// Works until the queue is closed; passes by what comes after a failure.
    func work() {
        while let item = run.next() {
            if run.failure == nil {
                do throws(ImageError) {
                    try shared.options.cancellation.check()
                    try take(item)
                } catch {
                    run.fail(error)
                }
            }
            if case .piece(let piece) = item, piece.leave() { shared.pool.give(piece) }
        }
    }

    private func take(_ item: TargetRun.Item) throws(ImageError) {
        let range: HostRange
        switch item {
        case .piece(let piece):
            range = piece.range
            try take(piece)
        case .zeros(let run):
            range = run
            try takeZeros(run)
        }
        run.complete(range)
        shared.options.progress.add(range.count / shared.targets)
        if !shared.options.cancellation.isCancelled { try checkpoint() }
    }

    private func take(_ piece: Piece) throws(ImageError) {
        let range = piece.range
        if !run.cutsImage, range.end.value > run.limit { throw tooSmall(range) }
        guard run.differs(in: range) else {
            return try piece.withBytes { (bytes) throws(ImageError) in try put(bytes, at: range.start) }
        }
        // What the target has otherwise: cut at its end, with the overlay.
        let count = Int(min(range.end.value, run.limit) - range.start.value)
        guard count > 0 else { return }
        if own.byteCount == 0 { own = AlignedBuffer(byteCount: Piece.byteCount) }
        try piece.withBytes { (bytes) throws(ImageError) in
            own.withMutableBytes(0..<count) { own in
                own.copy(from: bytes.extracting(0..<count))
                run.overlay.apply(to: &own, at: range.start)
            }
        }
        if shared.hashes {
            own.withBytes(0..<count) { run.addOwn(leavesOf: $0, at: range.start.value) }
        }
        try own.withBytes(0..<count) { (bytes) throws(ImageError) in try put(bytes, at: range.start) }
    }

    /// Of a stream, more may come than the target can hold.
    private func tooSmall(_ range: HostRange) -> ImageError {
        ImageError(
            .targetFailed,
            "holds \(run.medium.byteCount) bytes, and the image is longer: its stream goes on past byte \(range.start)",
            file: run.medium.name, advice: "Choose a larger device; this one holds no usable disk now.")
    }

    /// Writes bytes, but for those that belong to the ends, which are kept.
    private func put(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let range = HostRange(start: offset, count: UInt64(bytes.byteCount))
        if run.ends.holds(range) { run.ends.take(bytes, at: offset) }
        guard let middle = run.ends.middle(of: range) else { return }
        let first = Int(middle.start - offset)
        let part = bytes.extracting(first..<first + Int(middle.count))
        if shared.isDelta { return try putDifference(part, at: middle.start) }
        try run.medium.write(part, at: middle.start)
        run.count { $0.written += middle.count }
    }

    /// Writes the leaves that differ from what the target holds; those that cannot be read count as different.
    private func putDifference(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let count = bytes.byteCount
        let isReadable: Bool
        do throws(ImageError) {
            try found.withMutableBytes(0..<count) { (span) throws(ImageError) in
                try run.medium.read(into: &span, at: offset)
            }
            isReadable = true
        } catch {
            isReadable = false
        }
        var start = 0
        while start < count {
            var end = start
            while end < count, !isReadable || differs(bytes, end..<min(end + Self.deltaUnit, count)) {
                end = min(end + Self.deltaUnit, count)
            }
            if end > start {
                try run.medium.write(bytes.extracting(start..<end), at: offset + UInt64(start))
                run.count { $0.written += UInt64(end - start) }
            }
            let same = min(end + Self.deltaUnit, count) - end
            run.count { $0.kept += UInt64(same) }
            start = end + same
        }
    }

    private func differs(_ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        found.withBytes(range) { bytes.extracting(range).firstDifference(from: $0) != nil }
    }

    private func takeZeros(_ range: HostRange) throws(ImageError) {
        // The pieces of the ends, and those that the target has otherwise, came as bytes.
        guard shared.isDelta else {
            try run.medium.zero(range, mode: .sparse)
            return run.count { $0.zeroed += range.count }
        }
        var offset = range.start
        while offset < range.end {
            try shared.options.cancellation.check()
            let count = Int(min(range.end - offset, UInt64(Piece.byteCount)))
            let part = HostRange(start: offset, count: UInt64(count))
            if isZero(part) {
                run.count { $0.kept += part.count }
            } else {
                try run.medium.zero(part, mode: .sparse)
                run.count { $0.zeroed += part.count }
            }
            offset += part.count
        }
    }

    private func isZero(_ range: HostRange) -> Bool {
        do throws(ImageError) {
            return try found.withMutableBytes(0..<Int(range.count)) { (span) throws(ImageError) in
                try run.medium.read(into: &span, at: range.start)
                return span.bytes.isZero
            }
        } catch {
            return false
        }
    }

    // MARK: The journal

    /// Tells the journal how far the target is, if it is time for that.
    private func checkpoint() throws(ImageError) {
        guard run.journal != nil, shared.hashes else { return }
        let isDue = run.update { state in
            let isDue =
                !state.isRecording
                && (state.done.position >= state.recorded + shared.checkpoint
                    || (state.done.position > state.recorded && state.recordedAt + .seconds(5) < .now))
            if isDue { state.isRecording = true }
            return isDue
        }
        guard isDue else { return }
        defer { run.update { $0.isRecording = false } }
        try run.record()
    }
}

extension TargetRun {
    /// Brings what is written to the medium, and then tells the journal of it.
    func record() throws(ImageError) {
        guard let journal else { return }
        let (from, done) = update { ($0.recorded, $0.done.position) }
        let (first, last) = (from / nodes.unit, min(done, limit) / nodes.unit)
        guard last > first else { return update { $0.recordedAt = .now } }
        try medium.sync()
        var known: [Hash256] = []
        for index in first..<last {
            guard let node = node(ofUnit: index) else { break }
            known.append(node)
        }
        if !known.isEmpty { try journal.note(known, from: first, unit: nodes.unit) }
        let recorded = (first + UInt64(known.count)) * nodes.unit
        update { state in
            state.recorded = recorded
            state.recordedAt = .now
        }
    }
}
