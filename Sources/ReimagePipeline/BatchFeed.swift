internal import ReimageCore
internal import ReimageSystem

/// Hands out a disk batch by batch to many workers.
protocol BatchFeed: Sendable {
    /// The disk's length where it is known.
    var byteCount: UInt64? { get }

    /// Gives `batch` the next share of the disk.
    /// - Returns: whether there was any.
    func next(_ batch: inout Batch) throws(ImageError) -> Bool

    /// A reader for one worker; `nil` where ``next(_:)`` fills the buffer itself.
    func makeCursor() throws(ImageError) -> (any DiskCursor)?

    /// The disk's length, once ``next(_:)`` has said that there is no more.
    func finalByteCount() throws(ImageError) -> UInt64

    /// Takes note that everything before `offset` was written.
    func written(before offset: GuestOffset)
}

extension BatchFeed {
    func written(before offset: GuestOffset) {}
}

/// Plans a disk from its extents; the workers read what it names.
final class DiskFeed: BatchFeed {
    private struct State {
        var walker: ExtentWalker
        var ticket: UInt64 = 0
    }

    private let disk: any BlockDevice
    private let batchSize: UInt64
    private let longestRun: UInt64
    private let sharing: BlockSharing?
    private let state: Monitor<State>

    /// - Parameters:
    ///   - start: where the disk is gone on with.
    ///   - longestRun: the longest run of zeros that is handed out in one go.
    init(
        _ disk: any BlockDevice, from start: GuestOffset = .zero, batchSize: Int, longestRun: UInt64,
        sharing: BlockSharing? = nil
    ) {
        self.disk = disk
        self.sharing = sharing
        self.batchSize = UInt64(batchSize)
        self.longestRun = max(longestRun.roundedDown(to: self.batchSize), self.batchSize)
        state = Monitor(State(walker: ExtentWalker(disk, from: start)))
    }

    var byteCount: UInt64? { disk.byteCount }

    func next(_ batch: inout Batch) throws(ImageError) -> Bool {
        try state.withLock { (state) throws(ImageError) -> Bool in
            let start = state.walker.position
            guard start < state.walker.end else { return false }
            batch.unread = nil
            if let (kind, whole) = try state.walker.zeroRun(wholeUnitsOf: batchSize) {
                let count = min(whole, longestRun)
                batch.work = .zeros(kind)
                batch.range = GuestRange(start: start, count: count)
                state.walker.advance(count)
            } else if try sharing?.take(&state.walker, unit: batchSize, into: &batch) != true {
                batch.work = .bytes
                batch.range = GuestRange(start: start, count: min(batchSize, state.walker.end - start))
                try state.walker.collect(Int(batch.range.count), into: &batch.segments)
            }
            batch.endsDisk = state.walker.position == state.walker.end
            batch.ticket = state.ticket
            state.ticket += 1
            return true
        }
    }

    func makeCursor() throws(ImageError) -> (any DiskCursor)? { try disk.makeCursor() }

    func finalByteCount() throws(ImageError) -> UInt64 { disk.byteCount }
}

/// Reads a stream front to back; only one worker at a time can.
final class StreamFeed: BatchFeed {
    private struct State {
        var position: UInt64 = 0
        var ticket: UInt64 = 0
        var isAtEnd = false
        /// The first byte of the next batch, read to see whether there is one.
        var ahead: UInt8?
    }

    private let stream: any DiskStream
    private let batchSize: Int
    private let state = Monitor(State())

    init(_ stream: any DiskStream, batchSize: Int) {
        self.stream = stream
        self.batchSize = batchSize
    }

    var byteCount: UInt64? { stream.byteCount }

    func next(_ batch: inout Batch) throws(ImageError) -> Bool {
        try state.withLock { (state) throws(ImageError) -> Bool in
            guard !state.isAtEnd else { return false }
            let count = try batch.buffer.fill(0..<batchSize) { (output) throws(ImageError) in
                if let byte = state.ahead { output.append(byte) }
                state.ahead = nil
                try stream.read(into: &output)
            }
            if count == batchSize, stream.byteCount == nil {
                state.ahead = try nextByte()
                state.isAtEnd = state.ahead == nil
            } else {
                state.isAtEnd = count < batchSize
            }
            guard count > 0 else { return false }
            batch.endsDisk = state.isAtEnd || stream.byteCount == state.position + UInt64(count)
            batch.work = .bytes
            batch.range = GuestRange(start: GuestOffset(state.position), count: UInt64(count))
            batch.segments = [Segment(kind: .data, range: 0..<count)]
            batch.ticket = state.ticket
            state.position += UInt64(count)
            state.ticket += 1
            return true
        }
    }

    /// The byte that follows; `nil` at the end.
    private func nextByte() throws(ImageError) -> UInt8? {
        var byte = AlignedBuffer(byteCount: 1)
        let count = try byte.fill(0..<1) { (output) throws(ImageError) in try stream.read(into: &output) }
        return try count == 0 ? nil : byte.withBytes { (bytes) throws(ImageError) in try bytes.little(at: 0) }
    }

    func makeCursor() throws(ImageError) -> (any DiskCursor)? { nil }

    func finalByteCount() throws(ImageError) -> UInt64 {
        let position = state.withLock { $0.position }
        if let expected = stream.byteCount, expected != position {
            throw ImageError(
                .damaged, "holds \(position) bytes where its own index says \(expected)", file: stream.name)
        }
        return position
    }
}
