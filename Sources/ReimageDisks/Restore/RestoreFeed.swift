internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem

/// Hands the image out, run by run, to those who read it; in order, and every byte once.
final class RestoreFeed: Sendable {
    /// A share of the image.
    enum Share: Sendable {
        /// Bytes to be read by these segments.
        case data(HostRange, [Segment])
        /// A run that reads as zeros.
        case zeros(HostRange, Extent.Kind)
        /// A piece that the stream has filled.
        case piece(Piece)
        /// A run that needs no work: an earlier restore has done it.
        case done(HostRange)
    }

    private struct DiskState {
        var walker: ExtentWalker
    }

    private struct StreamState {
        var position: UInt64 = 0
        var isAtEnd = false
    }

    private enum Source {
        case disk(any BlockDevice, Monitor<DiskState>)
        case stream(any DiskStream, Monitor<StreamState>)
    }

    /// The longest run of zeros that is handed out in one go.
    private static let longestRun: UInt64 = 256 << 20
    /// The longest run of data: an archive's largest chunk.
    private static let longestShare: UInt64 = 64 << 20

    private let source: Source
    private let limit: UInt64
    private let step: UInt64
    /// Runs that an earlier restore has done: whole units, in order.
    private let done: [HostRange]

    /// - Parameters:
    ///   - limit: where the largest target ends.
    ///   - done: runs that need no work, in order; they start on whole MiB.
    init(_ content: DiskContent, limit: UInt64, done: [HostRange] = []) {
        self.limit = limit
        self.done = done
        switch content {
        case .random(let disk):
            source = .disk(disk, Monitor(DiskState(walker: ExtentWalker(disk))))
            // Who decodes a part of an archive's chunk decodes all of it, so one reader takes the whole.
            step = min(max(UInt64(Piece.byteCount), UInt64(disk.readUnit)), Self.longestShare)
        case .stream(let stream):
            source = .stream(stream, Monitor(StreamState()))
            step = UInt64(Piece.byteCount)
        }
    }

    /// The next share; `nil` at the end.
    ///
    /// - Parameter pool: where a stream's pieces come from.
    func next(_ pool: PiecePool) throws(ImageError) -> Share? {
        switch source {
        case .disk(let disk, let state):
            try state.withLock { (state) throws(ImageError) in
                try next(&state.walker, end: min(disk.byteCount, limit))
            }
        case .stream(let stream, let state):
            try state.withLock { (state) throws(ImageError) in try next(stream, &state, pool) }
        }
    }

    private func next(_ walker: inout ExtentWalker, end: UInt64) throws(ImageError) -> Share? {
        let start = walker.position.value
        guard start < end else { return nil }
        if let done = done.first(where: { $0.start.value <= start && start < $0.end.value }) {
            let range = HostRange(from: HostOffset(start), to: done.end)
            walker.advance(range.count)
            return .done(range)
        }
        let most = (done.first { $0.start.value > start }?.start.value ?? end) - start
        if let (kind, whole) = try walker.zeroRun(wholeUnitsOf: UInt64(Piece.byteCount)) {
            let count = min(whole, Self.longestRun, most, end - start)
            walker.advance(count)
            return .zeros(HostRange(start: HostOffset(start), count: count), kind)
        }
        let count = min(step - start % step, most, end - start)
        var segments: [Segment] = []
        try walker.collect(Int(count), into: &segments)
        return .data(HostRange(start: HostOffset(start), count: count), segments)
    }

    private func next(
        _ stream: any DiskStream, _ state: inout StreamState, _ pool: PiecePool
    ) throws(ImageError) -> Share? {
        guard !state.isAtEnd, let piece = pool.take() else { return nil }
        let count = try piece.fill { (buffer) throws(ImageError) in
            try buffer.fill(0..<Piece.byteCount) { (output) throws(ImageError) in try stream.read(into: &output) }
        }
        state.isAtEnd = count < Piece.byteCount
        piece.range = HostRange(start: HostOffset(state.position), count: UInt64(count))
        state.position += UInt64(count)
        guard count > 0 else {
            pool.give(piece)
            return nil
        }
        return .piece(piece)
    }

    /// The image's length, once all of it was handed out.
    /// - Throws: `.damaged` where a stream ended elsewhere than its own index says.
    func finalByteCount() throws(ImageError) -> UInt64 {
        switch source {
        case .disk(let disk, _): return disk.byteCount
        case .stream(let stream, let state):
            let position = state.withLock { $0.position }
            if let expected = stream.byteCount, expected != position {
                throw ImageError(
                    .damaged, "holds \(position) bytes where its own index says \(expected)", file: stream.name)
            }
            return position
        }
    }
}
