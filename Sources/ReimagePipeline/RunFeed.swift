internal import ReimageCore
internal import ReimageSystem

/// Takes a stream run by run: zeros go on as runs, and what came as data is decoded by the workers.
final class RunFeed: BatchFeed {
    private struct State {
        var position = GuestOffset.zero
        var ticket: UInt64 = 0
        /// What is left of the run that came last.
        var ahead: Extent?
        var isAtEnd = false
    }

    private let stream: any RunStream
    private let batchSize: UInt64
    private let longestRun: UInt64
    private let state = Monitor(State())

    /// - Parameters:
    ///   - batchSize: a multiple of the stream's unit.
    ///   - longestRun: the longest run of zeros that is handed out in one go.
    init(_ stream: any RunStream, batchSize: Int, longestRun: UInt64) {
        self.stream = stream
        self.batchSize = UInt64(batchSize)
        self.longestRun = max(longestRun.roundedDown(to: self.batchSize), self.batchSize)
    }

    var byteCount: UInt64? { stream.byteCount }

    func next(_ batch: inout Batch) throws(ImageError) -> Bool {
        try state.withLock { (state) throws(ImageError) -> Bool in
            guard let first = try current(&state) else { return false }
            batch.range = GuestRange(start: state.position, count: 0)
            let whole = wholeUnits(first, state)
            if first.kind.readsAsZero, whole > 0 {
                batch.work = .zeros(first.kind)
                batch.range = GuestRange(start: state.position, count: min(whole, longestRun))
                pass(batch.range.count, &state)
            } else {
                batch.work = .bytes
                batch.segments.removeAll(keepingCapacity: true)
                while batch.range.count < batchSize, let extent = try current(&state) {
                    let count = min(extent.count, batchSize - batch.range.count)
                    batch.append(extent.kind, count: Int(count))
                    pass(count, &state)
                }
            }
            batch.endsDisk = stream.byteCount == state.position.value
            batch.ticket = state.ticket
            state.ticket += 1
            return true
        }
    }

    /// The run at the position; `nil` at the end.
    private func current(_ state: inout State) throws(ImageError) -> Extent? {
        if state.ahead == nil, !state.isAtEnd {
            state.ahead = try stream.advance()
            state.isAtEnd = state.ahead == nil
        }
        return state.ahead
    }

    private func pass(_ count: UInt64, _ state: inout State) {
        state.position += count
        guard var extent = state.ahead, extent.count > count else { return state.ahead = nil }
        extent.count -= count
        state.ahead = extent
    }

    /// How much of `extent` makes whole batches, or reaches the disk's end.
    private func wholeUnits(_ extent: Extent, _ state: State) -> UInt64 {
        let reachesEnd = state.position.value + extent.count == stream.byteCount
        return reachesEnd ? extent.count : extent.count.roundedDown(to: batchSize)
    }

    func makeCursor() throws(ImageError) -> (any DiskCursor)? { try stream.makeCursor() }

    func finalByteCount() throws(ImageError) -> UInt64 { state.withLock { $0.position.value } }

    func written(before offset: GuestOffset) { stream.release(before: offset) }
}

extension Batch {
    /// Adds a run behind the last one.
    fileprivate mutating func append(_ kind: Extent.Kind, count: Int) {
        let end = byteCount + count
        if let last = segments.last, last.kind == kind {
            segments[segments.count - 1].range = last.range.lowerBound..<end
        } else {
            segments.append(Segment(kind: kind, range: byteCount..<end))
        }
        range = GuestRange(start: range.start, count: UInt64(end))
    }
}
