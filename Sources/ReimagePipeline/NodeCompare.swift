internal import ReimageCodecs
public import ReimageCore
internal import ReimageSystem

/// What differs between two disks, by blocks of the content digest's leaves: 64 KiB.
public struct BlockDifferences: Sendable, Hashable {
    /// Runs of blocks that differ, ascending; the disk's end cuts the last.
    public internal(set) var runs: [GuestRange] = []
    /// The first byte that differs.
    public internal(set) var first: GuestOffset?
    /// Whether there are more runs than are kept.
    public internal(set) var isCut = false
}

/// Compares two disks, of which at least one keeps the nodes of its digest, and reads only what they do not settle.
///
/// Where both keep nodes, data is read only where these differ; where one does, all of the other is read. That an image's
/// nodes are those of its data is its own claim, which is not proved here.
public struct NodeCompareJob {
    static let mostRuns = 1 << 18

    private let disks: (any BlockDevice, any BlockDevice)
    private let options: JobOptions

    /// `nil` where neither disk keeps nodes.
    public init?(_ first: any BlockDevice, _ second: any BlockDevice, options: JobOptions = JobOptions()) {
        guard [first, second].contains(where: { ($0 as? any DigestedDisk)?.isWhole == true }) else { return nil }
        disks = (first, second)
        self.options = options
    }

    /// Does the work.
    /// - Throws: the first error of any thread; `.cancelled`.
    public func run() throws(ImageError) -> BlockDifferences {
        let digested = [disks.0, disks.1].compactMap { $0 as? any DigestedDisk }.filter(\.isWhole)
        let byteCount = max(disks.0.byteCount, disks.1.byteCount)
        if digested.count == 2, disks.0.byteCount == disks.1.byteCount,
            digested[0].contentDigest == digested[1].contentDigest
        {
            return BlockDifferences()
        }
        options.progress.begin(.copy, total: byteCount)
        let plan = NodePlan(disks.0, disks.1, digested, byteCount: byteCount)
        let memory = WorkerMemory(decoding: max(disks.0.readUnit, disks.1.readUnit), options)
        try runOnThreads(memory.threadCount) { [disks, options] (_) throws(ImageError) in
            do throws(ImageError) {
                let worker = try NodeCompareWorker(plan, disks.0, disks.1)
                while let range = try plan.next(options) { try worker.compare(range) }
            } catch {
                plan.stop()
                throw error
            }
        }
        return plan.result
    }
}

/// Hands out the ranges that nodes do not settle, and gathers what differs.
final class NodePlan: Sendable {
    private struct State {
        var position: UInt64 = 0
        var isStopped = false
        var found = BlockDifferences()
    }

    private let first: any BlockDevice
    private let second: any BlockDevice
    private let digested: [any DigestedDisk]
    private let byteCount: UInt64
    /// The height of the nodes that are compared, and of those that are compared first.
    let height: Int
    private let coarse: Int
    private let state = Monitor(State())

    init(_ first: any BlockDevice, _ second: any BlockDevice, _ digested: [any DigestedDisk], byteCount: UInt64) {
        self.first = first
        self.second = second
        self.digested = digested
        self.byteCount = byteCount
        height = max(Self.height(digested.map(\.nodeByteCount)), 4)
        coarse = max(Self.height(digested.map(\.coarseNodeByteCount)), height)
    }

    /// The height of a node over the largest of `sizes`.
    private static func height(_ sizes: [UInt64]) -> Int {
        max((sizes.max() ?? 0).trailingZeroBitCount - DigestTree.leafSize.trailingZeroBitCount, 0)
    }

    /// The bytes of a node of `height`.
    private static func size(_ height: Int) -> UInt64 { UInt64(DigestTree.leafSize) << UInt64(height) }

    var unit: Int { Int(Self.size(height)) }

    func stop() { state.withLock { $0.isStopped = true } }

    /// The next range that must be read, one node long; `nil` at the end.
    func next(_ options: JobOptions) throws(ImageError) -> GuestRange? {
        try state.withLock { (state) throws(ImageError) -> GuestRange? in
            while !state.isStopped, state.position < byteCount {
                try options.cancellation.check()
                let start = state.position
                let passed = try settled(from: start)
                let count = min(passed == 0 ? Self.size(height) : passed, byteCount - start)
                state.position += count
                options.progress.add(count)
                if passed == 0 { return GuestRange(start: GuestOffset(start), count: count) }
            }
            return nil
        }
    }

    /// How many bytes from `start`, whole nodes of them, are known to be equal.
    private func settled(from start: UInt64) throws(ImageError) -> UInt64 {
        let zeros = min(try Self.zeros(first, from: start, byteCount), try Self.zeros(second, from: start, byteCount))
        if start + zeros >= byteCount { return byteCount - start }
        let whole = zeros.roundedDown(to: Self.size(height))
        guard whole == 0, digested.count == 2 else { return whole }
        for height in Set([coarse, height]).sorted(by: >) where start % Self.size(height) == 0 {
            let number = start / Self.size(height)
            if try digested[0].digestNode(height: height, index: number)
                == digested[1].digestNode(height: height, index: number)
            {
                return Self.size(height)
            }
        }
        return 0
    }

    /// How many bytes of `disk` from `start` read as zeros by its own word; what lies past its end does.
    private static func zeros(_ disk: any BlockDevice, from start: UInt64, _ end: UInt64) throws(ImageError) -> UInt64 {
        guard start < disk.byteCount else { return end - start }
        let extent = try disk.extent(at: GuestOffset(start), limit: disk.byteCount - start)
        guard extent.kind.readsAsZero else { return 0 }
        return start + extent.count == disk.byteCount ? end - start : extent.count
    }

    /// Adds a run of blocks, whose first byte that differs is `first`.
    func note(_ run: GuestRange, first: GuestOffset) {
        state.withLock { state in
            state.found.first = min(state.found.first ?? first, first)
            if state.found.runs.count < NodeCompareJob.mostRuns {
                state.found.runs.append(run)
            } else {
                state.found.isCut = true
            }
        }
    }

    /// What was found, in order.
    var result: BlockDifferences {
        var found = state.withLock { $0.found }
        let runs = found.runs.sorted { $0.start < $1.start }
        found.runs = []
        for run in runs {
            if let last = found.runs.last, last.end == run.start {
                found.runs[found.runs.count - 1] = GuestRange(from: last.start, to: run.end)
            } else {
                found.runs.append(run)
            }
        }
        return found
    }
}

/// One thread of a comparison by nodes.
final class NodeCompareWorker {
    /// One of the two disks, and the bytes read of it last.
    private struct Side: ~Copyable {
        let disk: any BlockDevice
        let cursor: any DiskCursor
        var buffer: AlignedBuffer

        init(_ disk: any BlockDevice, unit: Int) throws(ImageError) {
            self.disk = disk
            cursor = try disk.makeCursor()
            buffer = AlignedBuffer(byteCount: unit)
        }

        /// Reads `range`; past the disk's end are zeros.
        mutating func load(_ range: GuestRange) throws(ImageError) {
            let inside = Int(min(range.count, disk.byteCount - min(disk.byteCount, range.start.value)))
            if inside > 0 {
                let cursor = cursor
                try buffer.withMutableBytes(0..<inside) { (span) throws(ImageError) in
                    try cursor.read(into: &span, at: range.start)
                }
            }
            buffer.withMutableBytes { $0.zero(inside..<$0.byteCount) }
        }

        /// The node over all bytes read last.
        func node(height: Int) -> Hash256 {
            buffer.withBytes { bytes in
                var tree = DigestTree()
                tree.append(leavesOf: bytes)
                return tree.root(height: height)
            }
        }
    }

    private let plan: NodePlan
    private var first: Side
    private var second: Side

    init(_ plan: NodePlan, _ first: any BlockDevice, _ second: any BlockDevice) throws(ImageError) {
        self.plan = plan
        self.first = try Side(first, unit: plan.unit)
        self.second = try Side(second, unit: plan.unit)
    }

    func compare(_ range: GuestRange) throws(ImageError) {
        let number = range.start.value / UInt64(plan.unit)
        switch (first.disk as? any DigestedDisk, second.disk as? any DigestedDisk) {
        case (let index?, nil):
            try second.load(range)
            if try index.digestNode(height: plan.height, index: number) == second.node(height: plan.height) { return }
            try first.load(range)
        case (nil, let index?):
            try first.load(range)
            if try index.digestNode(height: plan.height, index: number) == first.node(height: plan.height) { return }
            try second.load(range)
        default:
            try first.load(range)
            try second.load(range)
        }
        noteDifferences(range)
    }

    private func noteDifferences(_ range: GuestRange) {
        let size = DigestTree.leafSize
        for start in stride(from: 0, to: Int(range.count), by: size) {
            let end = min(start + size, Int(range.count))
            let different = first.buffer.withBytes(start..<end) { left in
                second.buffer.withBytes(start..<end) { right in left.firstDifference(from: right) }
            }
            guard let different else { continue }
            plan.note(
                GuestRange(start: range.start + UInt64(start), count: UInt64(end - start)),
                first: range.start + UInt64(start + different))
        }
    }
}
