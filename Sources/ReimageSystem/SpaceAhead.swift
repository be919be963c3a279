internal import CReimageSystem
internal import ReimageCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The space of a new file that is allocated ahead of its writes.
///
/// ext4 lets one direct write at a time into space that is not allocated, and many into space that is. So while a file
/// is written more or less front to back, up to 64 MiB before the writes are allocated by one call. What was not
/// written of it in the end, the holes of a sparse file among it, is given back: the file takes the space and has the
/// length that it would have without.
///
/// Every write is claimed before it begins. Space is given back only where it was never claimed, and only under the
/// lock, so that it cannot meet a write.
final class SpaceAhead: Sendable {
    fileprivate struct State {
        /// What is allocated and was not claimed: ascending, on borders of blocks.
        var unclaimed: [Range<UInt64>] = []
        /// Nothing behind it was ever claimed or allocated.
        var frontier: UInt64 = 0
        /// The end of the foremost write.
        var position: UInt64 = 0
        /// How much was written in one go up to there; gaps count against it.
        var streak: UInt64 = 0
        /// The file's length as its writer knows it.
        var length: UInt64 = 0
        /// The length that the writer has set, behind which nothing need be allocated.
        var end = UInt64.max
        var isOff = false
    }

    private static let block: UInt64 = 4096
    private static let unit: UInt64 = 4 << 20
    private static let most: UInt64 = 64 << 20
    /// Giving back a gap costs about as much as writing this.
    private static let gapCost: UInt64 = 256 << 10
    /// What the file system must have free beside, so that nothing fails for want of what is only borrowed.
    private static let spare: UInt64 = 1 << 30

    private let file: FileDescriptor
    private let state = Mutex(State())

    /// Space for the new `file`; `nil` where it is not empty, or its file system does not gain by it.
    init?(_ file: FileDescriptor) {
        guard let status = try? file.status(.targetFailed), status.st_size == 0,
            reimage_queues_fresh_writes(file.number) == 1
        else { return nil }
        self.file = file
    }

    /// The file's length, what is allocated behind it left out.
    var byteCount: UInt64 { state.withLock { $0.length } }

    /// Takes `range` out of what may be given back, and allocates it and what follows where that helps.
    func claim(_ range: HostRange) {
        let start = range.start.value.roundedDown(to: Self.block)
        guard let end = range.end.value.roundedUp(to: Self.block), start < end else { return }
        state.withLock { state in
            state.length = max(state.length, range.end.value)
            state.follow(start..<end, gapCost: Self.gapCost)
            if end > state.frontier { extend(&state, over: start..<end) }
            state.claim(start..<end)
        }
    }

    /// The writer sets the file's length, before the file is cut or extended.
    func setByteCount(_ count: UInt64) {
        state.withLock { state in
            state.length = count
            state.end = count
            state.claim((count.roundedUp(to: Self.block) ?? .max)..<UInt64.max)
        }
    }

    /// Gives back what was not claimed, and allocates nothing from now on: the file system is full.
    /// - Returns: whether there was anything.
    func release() -> Bool {
        state.withLock { state in
            state.isOff = true
            let isAny = !state.unclaimed.isEmpty
            punch(&state)
            return isAny
        }
    }

    /// Gives back what was not claimed, and cuts the file to its length.
    /// - Throws: `.targetFailed` where it cannot be cut.
    func settle() throws(ImageError) {
        try state.withLock { (state) throws(ImageError) in
            punch(&state)
            state.frontier = state.position
            let length = state.length
            guard try file.status(.targetFailed).st_size > length else { return }
            guard retrying({ ftruncate(file.number, off_t(clamping: length)) }) == 0 else {
                throw .system(.targetFailed, "cannot be made \(length) bytes long", file: file.name)
            }
        }
    }

    private func extend(_ state: inout State, over range: Range<UInt64>) {
        let start = max(state.frontier, range.lowerBound)
        state.frontier = range.upperBound
        let ahead = min(state.streak.roundedDown(to: Self.unit), Self.most)
        let last = max(state.end.roundedDown(to: Self.block), range.upperBound)
        let end = ahead > last - range.upperBound ? last : range.upperBound + ahead
        guard !state.isOff, ahead > 0, end > range.upperBound, end <= UInt64(Int64.max) else { return }
        var free: UInt64 = 0
        guard unsafe reimage_free_space(file.number, &free) == 0, free >= Self.spare + (end - start),
            reimage_reserve(file.number, off_t(start), off_t(end - start)) == 0
        else {
            // A call that fails for want of space may have taken some.
            if free >= Self.spare { state.unclaimed.append(start..<end) }
            state.frontier = end
            return state.isOff = true
        }
        state.unclaimed.append(start..<end)
        state.frontier = end
        punch(&state, below: start - min(start, Self.most))
    }

    /// Gives back what was not claimed below `end`; the writes are expected to have passed by there.
    private func punch(_ state: inout State, below end: UInt64 = .max) {
        let count = state.unclaimed.prefix { $0.upperBound <= end }.count
        for gap in state.unclaimed.prefix(count) {
            // What cannot be given back is space that is not used, and no harm to the file.
            _ = reimage_punch_hole(file.number, off_t(gap.lowerBound), off_t(gap.upperBound - gap.lowerBound))
        }
        state.unclaimed.removeFirst(count)
    }
}

extension SpaceAhead.State {
    /// Judges by the write of `range` how well the next ones can be foreseen.
    fileprivate mutating func follow(_ range: Range<UInt64>, gapCost: UInt64) {
        streak += UInt64(range.count)
        guard range.upperBound > position else { return }
        if range.lowerBound > position {
            streak -= min(streak, range.lowerBound - position + gapCost)
        }
        position = range.upperBound
    }

    /// Takes `range` out of the unclaimed space.
    fileprivate mutating func claim(_ range: Range<UInt64>) {
        var low = 0
        var high = unclaimed.count
        while low < high {
            let middle = (low + high) / 2
            if unclaimed[middle].upperBound <= range.lowerBound { low = middle + 1 } else { high = middle }
        }
        var end = low
        var left: [Range<UInt64>] = []
        while end < unclaimed.count, unclaimed[end].lowerBound < range.upperBound {
            let gap = unclaimed[end]
            if gap.lowerBound < range.lowerBound { left.append(gap.lowerBound..<range.lowerBound) }
            if gap.upperBound > range.upperBound { left.append(range.upperBound..<gap.upperBound) }
            end += 1
        }
        if low < end { unclaimed.replaceSubrange(low..<end, with: left) }
    }
}
