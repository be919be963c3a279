internal import ReimageCodecs
internal import ReimageCore
internal import ReimageSystem

/// One target while it is written: its queue, what it must read as, how far it is. Safe from any thread.
final class TargetRun: Sendable {
    /// Something to be done.
    enum Item: Sendable {
        case piece(Piece)
        case zeros(HostRange)
    }

    struct State: Sendable {
        var items: [Item] = []
        var isClosed = false
        var failure: ImageError?
        var result: RestoreResult
        var done: Watermark
        /// The place up to which the journal knows of the work, and when it was told.
        var recorded: UInt64
        var recordedAt = ContinuousClock.now
        var isRecording = false
    }

    let medium: any UpdatableStore
    let journal: RestoreJournal?
    let ends: HeldEnds
    /// How much of the image the target takes, in bytes; for a stream the most that it can take.
    let limit: UInt64
    /// Whether what the image has past ``limit`` is left away, because it was looked at before: not that of a stream.
    let cutsImage: Bool
    let overlay: DiskOverlay
    /// The nodes that all targets have in common, and those of the units that this one has otherwise.
    let nodes: NodeBoard
    private let ownNodes: NodeBoard
    private let ownUnits: Set<UInt64>
    private let state: Monitor<State>

    /// Longer queues would only hold the description of zeros.
    private static let longestQueue = 256

    init(_ target: RestoreTarget, imageByteCount: UInt64?, nodes: NodeBoard) {
        medium = target.medium
        journal = target.journal
        ends = HeldEnds(byteCount: medium.byteCount)
        overlay = target.overlay
        self.nodes = nodes
        let limit = min(imageByteCount ?? .max, target.byteCount ?? .max, medium.byteCount)
        self.limit = limit
        cutsImage = imageByteCount != nil
        var own: Set<UInt64> = []
        let content = HostRange(start: .zero, count: limit)
        for range in target.overlay.ranges {
            guard let inside = range.overlap(content) else { continue }
            own.formUnion(nodes.index(of: inside.start.value)...nodes.index(of: inside.end.value - 1))
        }
        if let imageByteCount, imageByteCount > limit, limit > 0 { own.insert(nodes.index(of: limit - 1)) }
        ownUnits = own
        ownNodes = NodeBoard(byteCount: imageByteCount == nil ? nil : limit, most: nodes.unit, part: nodes.unit)
        var result = RestoreResult(name: medium.name)
        result.overlay = target.overlay
        result.byteCount = limit
        state = Monitor(State(result: result, done: Watermark(), recorded: 0))
    }

    // MARK: What it must read as

    /// Whether the target has `range` otherwise than the image, or only a part of it.
    func differs(in range: HostRange) -> Bool { range.end.value > limit || overlay.touches(range) }

    /// Whether the unit of `offset` has nodes of its own.
    func hasOwnNodes(at offset: UInt64) -> Bool { ownUnits.contains(nodes.index(of: offset)) }

    /// Adds the leaves of `bytes`, as this target has them, to those of its own units.
    func addOwn(leavesOf bytes: RawSpan, at offset: UInt64) {
        if hasOwnNodes(at: offset) { ownNodes.add(leavesOf: bytes, at: offset) }
    }

    /// Adds zeros, as this target has them, to those of its own units.
    func addOwnZeros(_ range: HostRange) {
        for index in ownUnits {
            let unit = HostRange(start: HostOffset(index * nodes.unit), count: nodes.unit)
            if let part = range.overlap(unit) { ownNodes.addZeros(at: part.start.value, count: part.count) }
        }
    }

    /// The node of unit `index`.
    func node(ofUnit index: UInt64) -> Hash256? {
        ownUnits.contains(index) ? ownNodes.node(ofUnit: index) : nodes.node(ofUnit: index)
    }

    /// Takes over what unit `index` must read as, or forgets it.
    func set(_ node: Hash256?, ofUnit index: UInt64) {
        (ownUnits.contains(index) ? ownNodes : nodes).set(node, ofUnit: index)
    }

    /// How much of the target the image covers, once all of it was read.
    var coveredByteCount: UInt64 { min(limit, nodes.byteCount ?? limit) }

    /// Says how long a stream was.
    func finish(byteCount: UInt64) {
        ownNodes.finish(byteCount: byteCount)
        update { $0.result.byteCount = min(limit, byteCount) }
    }

    /// The digest of as much as the image covers.
    func digest() -> ContentDigest? {
        guard let byteCount = nodes.byteCount, byteCount <= limit else { return nil }
        return nodes.digest { [ownUnits, ownNodes] in ownUnits.contains($0) ? ownNodes.node(ofUnit: $0) : nil }
    }

    // MARK: The queue

    /// Adds something to do, once there is room.
    /// - Returns: whether it was taken; not after a failure.
    func push(_ item: Item) -> Bool {
        state.update(when: { $0.items.count < Self.longestQueue || $0.failure != nil }) { state in
            guard state.failure == nil else { return false }
            state.items.append(item)
            return true
        }
    }

    /// The next thing to do; `nil` when there will be no more.
    func next() -> Item? {
        state.update(when: { !$0.items.isEmpty || $0.isClosed }) { $0.items.isEmpty ? nil : $0.items.removeFirst() }
    }

    /// Says that nothing more will come.
    func close() { state.update { $0.isClosed = true } }

    // MARK: How far it is

    /// The error that ended the work on this target.
    var failure: ImageError? { state.withLock { $0.failure } }

    /// Ends the work on this target; what is in its queue is passed by.
    func fail(_ error: ImageError) { state.update { if $0.failure == nil { $0.failure = error } } }

    func update<Value>(_ body: (inout State) -> Value) -> Value { state.update { body(&$0) } }

    func count(_ body: (inout RestoreCounts) -> Void) { state.withLock { body(&$0.result.counts) } }

    /// Notes that `range` is as it must be.
    func complete(_ range: HostRange) { state.withLock { $0.done.complete(range) } }

    /// The result as it stands.
    var result: RestoreResult {
        state.withLock { state in
            var result = state.result
            result.error = state.failure
            return result
        }
    }
}

/// The place up to which all is done, while ranges get done in any order.
struct Watermark: Sendable {
    private(set) var position: UInt64 = 0
    private var ahead: [UInt64: UInt64] = [:]

    mutating func complete(_ range: HostRange) {
        ahead[range.start.value] = range.end.value
        while let end = ahead.removeValue(forKey: position) { position = end }
    }
}
