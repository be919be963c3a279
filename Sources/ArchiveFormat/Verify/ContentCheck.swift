internal import ReimageCodecs
internal import ReimageCore
internal import Synchronization

/// Proves every slot of an archive's disk by its hash, on many threads, and makes the disk's digest from the hashes.
///
/// - Source: archive specification 1.0, sections 5 and 8.
final class ContentCheck: Sendable {
    /// Which slots with data are decoded.
    enum Selection: Sendable {
        case all
        /// Those whose record is one of these, or lies in one of the stretches.
        case damaged(Set<HostOffset>, [HostRange])
        case none
    }

    struct Result: Sendable {
        var lost = GuestRanges()
        var unreadable = GuestRanges()
        /// What is wrong with slots, in no order.
        var findings: [StoredCheck.Finding] = []
        /// The digest that follows from the hashes; `nil` where some are not known.
        var digest: ContentDigest?
    }

    private struct State: ~Copyable {
        var slot: UInt64 = 0
        var leaf: Leaf?
        var tree: DigestTree? = DigestTree()
        /// The chunks proved last, or found damaged: what a duplicate need not have decoded again.
        var known: [HostOffset: (entry: IndexEntry, isRight: Bool)] = [:]
        var order: [HostOffset] = []
        var oldest = 0
        var result = Result()
        var isStopped = false
    }

    /// How many chunks are remembered: as many as a writer does by default.
    private static let mostKnown = 1 << 16
    /// How many slots are handed out at once.
    private static let share = 8

    private let disk: RecoveredDisk
    private let selection: Selection
    private let request: VerifyRequest
    private let cancellation: Cancellation
    private let state = Mutex(State())

    init(_ disk: RecoveredDisk, _ selection: Selection, _ request: VerifyRequest, _ cancellation: Cancellation) {
        self.disk = disk
        self.selection = selection
        self.request = request
        self.cancellation = cancellation
    }

    private var geometry: Geometry { disk.rules.geometry }

    func run() throws(ImageError) -> Result {
        let threads = selection.decodes ? request.threads.decoding(Int(geometry.chunkSize)) : request.threads
        try threads.run { [self] (_) throws(ImageError) in
            do throws(ImageError) { try work() } catch {
                state.withLock { $0.isStopped = true }
                throw error
            }
        }
        return state.withLock { state in
            var result = state.result
            result.digest = state.tree.take()?.digest(byteCount: geometry.byteCount)
            return result
        }
    }

    private func work() throws(ImageError) {
        let cursor = ArchiveCursor(disk)
        var buffer = AlignedBuffer(byteCount: selection.decodes ? 512 : 0)
        while let slots = try next() {
            for (slot, entry) in slots {
                try cancellation.check()
                if let isRight = known(entry) {
                    if !isRight { lose(slot) }
                    continue
                }
                let failure = try prove(slot, cursor, &buffer)
                remember(entry, isRight: failure == nil)
                request.advance(UInt64(entry.recordByteCount))
                if let failure {
                    note(failure, entry, slot)
                    lose(slot)
                }
            }
        }
    }

    /// Decodes a slot's chunk and proves its hash: what reading its first byte does.
    private func prove(
        _ slot: UInt64, _ cursor: ArchiveCursor, _ buffer: inout AlignedBuffer
    ) throws(ImageError) -> ImageError? {
        do {
            let count = Int(min(geometry.byteCount(ofSlot: slot), UInt64(buffer.byteCount)))
            try buffer.withMutableBytes(0..<count) { (bytes) throws(ImageError) in
                try cursor.read(into: &bytes, at: GuestOffset(slot << UInt64(geometry.chunkLog2)))
            }
            return nil
        } catch {
            guard error.code == .damaged || error.code == .unreadable else { throw error }
            return error
        }
    }

    /// The next slots to prove.
    private func next() throws(ImageError) -> [(UInt64, IndexEntry)]? {
        try state.withLock { (state) throws(ImageError) -> [(UInt64, IndexEntry)]? in
            var found: [(UInt64, IndexEntry)] = []
            while state.slot < geometry.slots, found.count < Self.share, !state.isStopped {
                try cancellation.check()
                if let leaf = state.leaf, state.slot < leaf.first + UInt64(leaf.slotCount) {
                    if let entry = take(leaf, &state) { found.append((state.slot - 1, entry)) }
                    continue
                }
                switch try disk.index.content(at: state.slot) {
                case .leaf(let leaf): state.leaf = leaf
                case .uniform(let kind, let limit):
                    let range = range(state.slot..<limit)
                    if kind == .unreadable { state.result.unreadable.add(range) }
                    state.tree?.appendZeros((limit - state.slot) << UInt64(geometry.chunkHeight))
                    state.slot = limit
                case .lost(let limit):
                    state.result.lost.add(range(state.slot..<limit))
                    state.tree = nil
                    state.slot = limit
                }
            }
            return found.isEmpty ? nil : found
        }
    }

    /// Goes on by one slot of `leaf`.
    /// - Returns: the chunk to prove.
    private func take(_ leaf: Leaf, _ state: inout State) -> IndexEntry? {
        let slot = state.slot
        let local = Int(slot - leaf.first)
        state.slot += 1
        if leaf.isLost(local) {
            state.result.lost.add(range(slot..<slot + 1))
            state.tree = nil
            return nil
        }
        guard let entry = leaf.entry(of: local) else {
            if leaf.kind(of: local) == .unreadable { state.result.unreadable.add(range(slot..<slot + 1)) }
            state.tree?.appendZeros(1 << UInt64(geometry.chunkHeight))
            return nil
        }
        state.tree?.append(entry.hash, height: geometry.chunkHeight)
        return selection.takes(entry) ? entry : nil
    }

    private func range(_ slots: Range<UInt64>) -> GuestRange {
        let log2 = UInt64(geometry.chunkLog2)
        let end = slots.upperBound >= geometry.slots ? geometry.byteCount : slots.upperBound << log2
        return GuestRange(from: GuestOffset(slots.lowerBound << log2), to: GuestOffset(end))
    }

    private func known(_ entry: IndexEntry) -> Bool? {
        state.withLock { state in
            guard let known = state.known[entry.place], known.entry == entry else { return nil }
            return known.isRight
        }
    }

    private func remember(_ entry: IndexEntry, isRight: Bool) {
        state.withLock { state in
            if state.known.updateValue((entry, isRight), forKey: entry.place) != nil { return }
            guard state.order.count == Self.mostKnown else { return state.order.append(entry.place) }
            state.known[state.order[state.oldest]] = nil
            state.order[state.oldest] = entry.place
            state.oldest = (state.oldest + 1) % Self.mostKnown
        }
    }

    private func lose(_ slot: UInt64) { state.withLock { $0.result.lost.add(range(slot..<slot + 1)) } }

    private func note(_ error: ImageError, _ entry: IndexEntry, _ slot: UInt64) {
        let finding = StoredCheck.Finding(message: error.message, place: entry.place, guest: range(slot..<slot + 1))
        state.withLock { $0.result.findings.append(finding) }
    }
}

extension ContentCheck.Selection {
    fileprivate var decodes: Bool {
        if case .none = self { false } else { true }
    }

    fileprivate func takes(_ entry: IndexEntry) -> Bool {
        switch self {
        case .all: true
        case .none: false
        case .damaged(let places, let gaps):
            places.contains(entry.place)
                || gaps.contains { $0.start < entry.place + UInt64(entry.recordByteCount) && entry.place < $0.end }
        }
    }
}
