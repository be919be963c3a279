internal import ReimageCodecs
internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem
internal import Synchronization

/// One thread that reads and decodes the image, tells the boards what the targets must read as, and fills their queues.
final class RestoreReader {
    /// What all readers of a restore have in common.
    struct Shared: Sendable {
        let content: DiskContent
        let feed: RestoreFeed
        let pool: PiecePool
        let runs: [TargetRun]
        let nodes: NodeBoard
        /// Whether anybody wants to know what the targets must read as.
        let hashes: Bool
        /// Whether what is there already is left as it is.
        let isDelta: Bool
        let options: JobOptions
        let unreadable: Counter
    }

    private let shared: Shared
    private let cursor: (any DiskCursor)?
    /// The disk, where it knows the nodes of its parts.
    private let digested: (any DigestedDisk)?
    private var scratch: AlignedBuffer

    init(_ shared: Shared) throws(ImageError) {
        self.shared = shared
        scratch = AlignedBuffer(byteCount: shared.isDelta ? Piece.byteCount : 0)
        switch shared.content {
        case .random(let disk):
            cursor = try disk.makeCursor()
            digested = disk as? any DigestedDisk
        case .stream:
            cursor = nil
            digested = nil
        }
    }

    /// Works until the image ends or every target has failed.
    func run() throws(ImageError) {
        while let share = try shared.feed.next(shared.pool) {
            try shared.options.cancellation.check()
            guard shared.runs.contains(where: { $0.failure == nil }) else { return }
            switch share {
            case .data(let range, let segments): try take(range, segments)
            case .zeros(let range, let kind):
                if kind == .unreadable { shared.unreadable.add(range.count) }
                takeZeros(range)
            case .piece(let piece): deliver(piece, tellsNode: true, isZero: piece.isZero)
            case .done(let range): for run in shared.runs { run.complete(range) }
            }
        }
    }

    private func take(_ range: HostRange, _ segments: [Segment]) throws(ImageError) {
        for segment in segments where segment.kind == .unreadable {
            shared.unreadable.add(UInt64(segment.range.count))
        }
        let isKnown = try takeNodes(range)
        if isKnown == .keptByAll { return }
        var offset = range.start
        while offset < range.end {
            let count = min(range.end - offset, UInt64(Piece.byteCount))
            guard let piece = shared.pool.take() else { return }
            piece.range = HostRange(start: offset, count: count)
            do throws(ImageError) {
                try fill(piece, from: Int(offset - range.start), segments)
            } catch {
                shared.pool.give(piece)
                throw error
            }
            deliver(piece, tellsNode: isKnown == .no, isZero: piece.isZero)
            offset += count
        }
    }

    private func fill(_ piece: Piece, from first: Int, _ segments: [Segment]) throws(ImageError) {
        let (start, wanted) = (piece.range.start, first..<first + Int(piece.range.count))
        try piece.fill { (buffer) throws(ImageError) in
            for segment in segments {
                let part = segment.range.clamped(to: wanted)
                guard !part.isEmpty else { continue }
                let place = part.lowerBound - first..<part.upperBound - first
                try buffer.withMutableBytes(place) { (span) throws(ImageError) in
                    guard segment.kind == .data else { return span.zero() }
                    try cursor?.read(into: &span, at: GuestOffset(start.value + UInt64(place.lowerBound)))
                }
            }
        }
    }

    /// Tells the piece's node and gives it to every target.
    private func deliver(_ piece: Piece, tellsNode: Bool, isZero: Bool) {
        let range = piece.range
        if shared.hashes {
            if tellsNode {
                try? piece.withBytes { shared.nodes.add(leavesOf: $0, at: range.start.value) }
            }
            for run in shared.runs where !run.differs(in: range) && run.hasOwnNodes(at: range.start.value) {
                try? piece.withBytes { run.addOwn(leavesOf: $0, at: range.start.value) }
            }
        }
        if isZero {
            let isAligned = range.count == UInt64(Piece.byteCount)
            if isAligned && !shared.runs.contains(where: { $0.ends.holds(range) || $0.differs(in: range) }) {
                shared.pool.give(piece)
                for run in shared.runs { _ = run.push(.zeros(range)) }
                return
            }
        }
        piece.share(with: shared.runs.count)
        for run in shared.runs where !run.push(.piece(piece)) {
            if piece.leave() { shared.pool.give(piece) }
        }
    }

    /// A run of zeros: without bytes, but for the pieces that a target has otherwise or keeps back.
    private func takeZeros(_ range: HostRange) {
        var plain: HostRange?
        func flush() {
            guard let run = plain else { return }
            plain = nil
            if shared.hashes {
                shared.nodes.addZeros(at: run.start.value, count: run.count)
                for target in shared.runs { target.addOwnZeros(run) }
            }
            for target in shared.runs { _ = target.push(.zeros(run)) }
        }
        var offset = range.start
        while offset < range.end {
            let count = min(range.end - offset, UInt64(Piece.byteCount))
            let part = HostRange(start: offset, count: count)
            offset += count
            if shared.runs.contains(where: { $0.ends.holds(part) || $0.differs(in: part) }) {
                flush()
                guard let piece = shared.pool.take() else { return }
                piece.range = part
                try? piece.fill { buffer in buffer.withMutableBytes(0..<Int(count)) { $0.zero() } }
                deliver(piece, tellsNode: true, isZero: false)
            } else {
                plain = plain.map { HostRange(from: $0.start, to: part.end) } ?? part
            }
        }
        flush()
    }

    private enum Known { case no, told, keptByAll }

    /// Tells the nodes of a run that its disk knows, and in a delta looks whether the targets have it already.
    private func takeNodes(_ range: HostRange) throws(ImageError) -> Known {
        guard let disk = digested, shared.hashes || shared.isDelta else { return .no }
        let (size, start) = (disk.nodeByteCount, range.start.value)
        // A run that is cut short, or that some target has otherwise, is read and hashed like any other.
        guard start.isMultiple(of: size), range.count.isMultiple(of: size) || range.end.value == disk.byteCount,
            size <= shared.nodes.unit,
            !shared.runs.contains(where: { $0.differs(in: range) || $0.hasOwnNodes(at: start) })
        else { return .no }
        let height = DigestTree.height(ofPart: size, ofDisk: disk.byteCount)
        var nodes: [Hash256] = []
        for offset in stride(from: start, to: range.end.value, by: Int(size)) {
            let node = try disk.digestNode(at: GuestOffset(offset))
            shared.nodes.add(node, height: height, at: offset)
            nodes.append(node)
        }
        guard shared.isDelta, !shared.runs.contains(where: { $0.ends.holds(range) }) else { return .told }
        for run in shared.runs where run.failure == nil {
            guard try has(run, nodes, range, size: size, height: height) else { return .told }
        }
        for run in shared.runs {
            run.count { $0.kept += range.count }
            run.complete(range)
        }
        shared.options.progress.add(range.count)
        return .keptByAll
    }

    /// Whether what the target has in `range` gives `nodes`. What cannot be read counts as different.
    private func has(
        _ run: TargetRun, _ nodes: [Hash256], _ range: HostRange, size: UInt64, height: Int
    ) throws(ImageError) -> Bool {
        for (index, node) in nodes.enumerated() {
            var tree = DigestTree()
            var offset = range.start + UInt64(index) * size
            let end = min(offset + size, range.end)
            while offset < end {
                try shared.options.cancellation.check()
                let count = Int(min(end - offset, UInt64(Piece.byteCount)))
                do throws(ImageError) {
                    try scratch.withMutableBytes(0..<count) { (span) throws(ImageError) in
                        try run.medium.read(into: &span, at: offset)
                    }
                } catch {
                    return false
                }
                scratch.withBytes(0..<count) { tree.append(leavesOf: $0) }
                offset += UInt64(count)
            }
            if tree.root(height: height) != node { return false }
        }
        return true
    }
}

extension Piece {
    /// Whether it holds nothing but zeros.
    fileprivate var isZero: Bool { (try? withBytes { $0.isZero }) ?? false }
}

/// A number that many threads add to.
final class Counter: Sendable {
    private let number = Atomic<UInt64>(0)
    func add(_ count: UInt64) { number.wrappingAdd(count, ordering: .relaxed) }
    var value: UInt64 { number.load(ordering: .relaxed) }
}

extension DigestTree {
    /// The height of the node of a part of `size` bytes, on a disk of `byteCount` bytes.
    static func height(ofPart size: UInt64, ofDisk byteCount: UInt64) -> Int {
        min(size.trailingZeroBitCount - leafSize.trailingZeroBitCount, height(ofDisk: byteCount))
    }
}
