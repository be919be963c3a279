internal import ReimageCore
internal import ReimageSystem

/// One share of a comparison.
struct Pair {
    var range = GuestRange(start: .zero, count: 0)
    var first: [Segment] = []
    var second: [Segment] = []
    /// Both read as zeros throughout: there is nothing to read.
    var isZero = false
}

/// Hands out both disks in step, and keeps the first difference.
final class ComparePlan: Sendable {
    private struct State {
        var first: ExtentWalker
        var second: ExtentWalker
        var isStopped = false
        var difference: Comparison?
        var differenceAt = GuestOffset(.max)
    }

    private let state: Monitor<State>
    let isStrict: Bool
    /// What is read of each disk at once, at the most.
    static let largestPiece = 2 << 20
    /// The bytes of a share: all of a large chunk, which who needs a part of it decodes whole.
    private let size: UInt64

    init(_ first: any BlockDevice, _ second: any BlockDevice, isStrict: Bool) {
        // A strict comparison is about what the images say, not about the host's holes below them.
        let detail = isStrict ? ExtentDetail.tables : .storage
        state = Monitor(
            State(first: ExtentWalker(first, detail: detail), second: ExtentWalker(second, detail: detail)))
        self.isStrict = isStrict
        let unit = min(max(first.readUnit, second.readUnit), CopyJob.largestReadUnit)
        size = UInt64(max(Self.largestPiece, unit))
    }

    var result: Comparison { state.withLock { $0.difference ?? .identical } }

    func stop() { state.withLock { $0.isStopped = true } }

    func note(_ difference: Comparison, at offset: GuestOffset) {
        state.withLock { state in
            guard offset < state.differenceAt else { return }
            state.difference = difference
            state.differenceAt = offset
        }
    }

    /// Fills `pair` with the next share; what lies behind a difference is of no interest.
    func next(_ pair: inout Pair) throws(ImageError) -> Bool {
        try state.withLock { (state) throws(ImageError) -> Bool in
            let start = max(state.first.position, state.second.position)
            let end = max(state.first.end, state.second.end)
            guard !state.isStopped, start < end, start < state.differenceAt else { return false }
            let firstZeros = try zeros(&state.first, upTo: end)
            let secondZeros = try zeros(&state.second, upTo: end)
            let bothZero = min(firstZeros, secondZeros)
            pair.isZero = bothZero > 0
            let count = pair.isZero ? bothZero : min(size, end - start)
            pair.range = GuestRange(start: start, count: count)
            if pair.isZero {
                state.first.advance(count)
                state.second.advance(count)
            } else {
                try Self.collect(Int(count), &state.first, into: &pair.first)
                try Self.collect(Int(count), &state.second, into: &pair.second)
            }
            return true
        }
    }

    /// How many bytes from here read as zeros, those past the disk's end among them.
    private func zeros(_ walker: inout ExtentWalker, upTo end: GuestOffset) throws(ImageError) -> UInt64 {
        guard walker.position < walker.end else { return end - walker.position }
        guard let (_, count) = try walker.zeroRun(wholeUnitsOf: size) else { return 0 }
        return count
    }

    private static func collect(
        _ count: Int, _ walker: inout ExtentWalker, into segments: inout [Segment]
    ) throws(ImageError) {
        let inside = walker.position < walker.end ? Int(min(UInt64(count), walker.end - walker.position)) : 0
        try walker.collect(inside, into: &segments)
        if inside < count {
            segments.append(Segment(kind: .hole, range: inside..<count))
            walker.advance(UInt64(count - inside))
        }
    }
}
