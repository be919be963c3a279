internal import ReimageCodecs
public import ReimageCore
public import ReimagePipeline
internal import ReimageSystem

/// Puts an image on disks: reads and decodes it once, writes it to every target, and proves each.
///
/// The order keeps a disk that is only half written from being taken for one. First the old tables are safe in the
/// journal; then both ends of the target, where tables lie, are zeros on the medium; then everything between is
/// written, brought to the medium and read back; last the ends are written, the head after the tail. A run that ends
/// at any moment before that leaves neither the old disk nor the new one to be seen.
public struct RestoreJob: Sendable {
    /// Lays out what goes over the image, once a stream has come to its end: by the disk as the target holds it.
    public typealias Planner = @Sendable (any BlockDevice, _ target: Int) throws(ImageError) -> DiskOverlay

    let content: DiskContent
    let targets: [RestoreTarget]
    /// Whether each target is read back past every cache and compared.
    public var verifies = true
    /// Whether what a target holds already is left as it is.
    public var isDelta = false
    /// Whether the digest is made even where nothing else needs hashes.
    public var makesDigest = false
    /// How many bytes are written before the journal hears of it, at least.
    public var checkpoint: UInt64 = 256 << 20
    /// For a stream: what goes over it.
    public var planner: Planner?
    let options: JobOptions

    public init(_ content: DiskContent, to targets: [RestoreTarget], options: JobOptions = JobOptions()) {
        self.content = content
        self.targets = targets
        self.options = options
    }

    /// Does the work; blocks until every target is complete or has failed.
    ///
    /// What goes wrong with one target is in its result, and stops no other.
    /// - Throws: `.unsupported` for a stream with a delta or with progress of an earlier run; `.exhausted`.
    public func run() throws(ImageError) -> RestoreSummary {
        let byteCount = try knownByteCount()
        let most = byteCount ?? targets.map(\.medium.byteCount).max() ?? 0
        let digested = digestedDisk
        let nodes = NodeBoard(byteCount: byteCount, most: most, part: digested?.nodeByteCount ?? 0)
        let runs = targets.map { TargetRun($0, imageByteCount: byteCount, nodes: nodes) }
        try prepare(runs)
        var summary = RestoreSummary()
        let unreadable = Counter()
        let start = ContinuousClock.now
        var done: [HostRange] = []
        do throws(ImageError) {
            done = try provenRanges(runs, nodes)
            summary.byteCount = try copy(runs, nodes, done, unreadable)
            nodes.finish(byteCount: summary.byteCount)
            for run in runs where !run.cutsImage { run.finish(byteCount: summary.byteCount) }
        } catch {
            for run in runs { run.fail(error) }
        }
        let seconds = start.secondsToNow
        for run in runs { run.update { $0.result.writeSeconds = seconds } }
        try finish(runs)
        for run in runs { settle(run) }
        summary.unreadableByteCount = unreadable.value
        summary.digest = digested?.contentDigest ?? (hashes ? nodes.digest() : nil)
        summary.results = runs.map(\.result)
        return summary
    }

    /// Whether it must be known what the targets read as.
    var hashes: Bool { verifies || makesDigest || targets.contains { $0.journal != nil } }

    private var digestedDisk: (any DigestedDisk)? {
        guard case .random(let disk) = content else { return nil }
        return disk as? any DigestedDisk
    }

    private func knownByteCount() throws(ImageError) -> UInt64? {
        switch content {
        case .random(let disk): return disk.byteCount
        case .stream(let stream):
            guard !isDelta, targets.allSatisfy({ $0.progress == nil }) else {
                throw ImageError(
                    .unsupported, "comes in order only; a delta and going on with a restore need to read at any place",
                    file: stream.name, advice: "Save it to a file first: reimage convert - disk.raw")
            }
            return nil
        }
    }

    /// Keeps what is to be undone, and then makes the ends of every target zeros.
    private func prepare(_ runs: [TargetRun]) throws(ImageError) {
        try each(runs) { (index, run) throws(ImageError) in
            let target = targets[index]
            if target.progress == nil, let journal = target.journal {
                try journal.save([run.ends.head, run.ends.tail].filter { !$0.isEmpty } + target.saved, of: run.medium)
            }
            for (range, _) in run.ends.parts.reversed() {
                try run.medium.zero(range, mode: .written)
                run.count { $0.written += range.count }
            }
            try run.medium.sync()
        }
    }

    /// What an earlier run has done and the medium proves: whole units between the ends.
    private func provenRanges(_ runs: [TargetRun], _ nodes: NodeBoard) throws(ImageError) -> [HostRange] {
        guard runs.count == 1, let progress = targets[0].progress, progress.unit == nodes.unit, runs[0].failure == nil
        else { return [] }
        let run = runs[0]
        let reader = UnitReader(run, byteCount: run.limit, options)
        let candidates = progress.nodes.keys.sorted().filter { index in
            let range = reader.range(ofUnit: index)
            return index * nodes.unit < run.limit && range.count == nodes.unit && !run.ends.holds(range)
        }
        options.progress.begin(.verify, total: UInt64(candidates.count) * nodes.unit)
        for index in candidates { run.set(progress.nodes[index], ofUnit: index) }
        let verifier = TargetVerifier(run: run, byteCount: run.limit, options: options, disk: nil)
        let different = Set(try verifier.units(in: candidates))
        for index in different { run.set(nil, ofUnit: index) }
        return candidates.filter { !different.contains($0) }.reduce(into: []) { ranges, index in
            let range = reader.range(ofUnit: index)
            run.count { $0.resumed += range.count }
            if let last = ranges.last, last.end == range.start {
                ranges[ranges.count - 1] = HostRange(from: last.start, to: range.end)
            } else {
                ranges.append(range)
            }
        }
    }

    /// Reads the image once and writes it between the ends of every target.
    private func copy(
        _ runs: [TargetRun], _ nodes: NodeBoard, _ done: [HostRange], _ unreadable: Counter
    ) throws(ImageError) -> UInt64 {
        let readers = WorkerMemory(decoding: content.readUnit, options).threadCount
        let widths = runs.map { $0.medium.traits.contains(.rotational) ? 1 : min(4, readers) }
        let writers = zip(runs, widths).flatMap { run, width in Array(repeating: run, count: width) }
        let pool = PiecePool(count: readers + writers.count + 4)
        let feed = RestoreFeed(content, limit: runs.map(\.limit).max() ?? 0, done: done)
        options.progress.begin(.copy, total: nodes.byteCount)
        let reading = RestoreReader.Shared(
            content: content, feed: feed, pool: pool, runs: runs, nodes: nodes, hashes: hashes, isDelta: isDelta,
            options: options, unreadable: unreadable)
        let writing = TargetWriter.Shared(
            pool: pool, hashes: hashes, isDelta: isDelta, checkpoint: checkpoint, options: options,
            targets: UInt64(runs.count))
        let readersLeft = Monitor(readers)
        try runOnThreads(readers + writers.count, needsAll: true) { (number) throws(ImageError) in
            guard number < readers else { return TargetWriter(writing, writers[number - readers]).work() }
            defer {
                let isLast = readersLeft.update { left in
                    left -= 1
                    return left == 0
                }
                if isLast { for run in runs { run.close() } }
            }
            do throws(ImageError) {
                try RestoreReader(reading).run()
            } catch {
                // The others must not go on reading, nor wait for pieces that will not come back.
                for run in runs { run.fail(error) }
                pool.close()
                throw error
            }
        }
        return try feed.finalByteCount()
    }

    /// Brings every target that is still whole to its end, all at the same time.
    private func finish(_ runs: [TargetRun]) throws(ImageError) {
        let total = runs.filter { $0.failure == nil }.reduce(0) { $0 + $1.coveredByteCount }
        options.progress.begin(.sync, total: nil)
        let disk: (any BlockDevice)?
        if case .random(let known) = content { disk = known } else { disk = nil }
        try each(runs) { (index, run) throws(ImageError) in
            try TargetFinisher(run: run, index: index, job: self, disk: disk, total: total).finish()
        }
    }

    /// Runs `body` for each target that has not failed, on threads of their own; what it throws is the target's failure.
    private func each(
        _ runs: [TargetRun], _ body: @escaping @Sendable (Int, TargetRun) throws(ImageError) -> Void
    ) throws(ImageError) {
        try runOnThreads(runs.count, needsAll: true) { (index) throws(ImageError) in
            guard runs[index].failure == nil else { return }
            do throws(ImageError) { try body(index, runs[index]) } catch { runs[index].fail(error) }
        }
    }

    /// Makes of a failure what it means to who waits for the target: whether there is something to go on from.
    private func settle(_ run: TargetRun) {
        guard let error = run.failure, error.code != .mismatch else { return }
        var isResumable = false
        if let journal = run.journal, hashes, case .random = content {
            // What is written is worth telling of even now; where that fails, the journal knows less.
            do throws(ImageError) { try run.record() } catch {}
            isResumable = true
            let advice = "What is written is kept: go on with --resume \(journal.name)."
            run.update { $0.failure?.advice = [error.advice, advice].compactMap { $0 }.joined(separator: " ") }
        }
        guard error.code == .cancelled else { return }
        run.update { state in
            state.failure?.file = run.medium.name
            state.failure?.message = "the restore was interrupted; the disk is not usable until it is complete"
            if isResumable { state.failure?.code = .interrupted }
        }
    }
}

extension ContinuousClock.Instant {
    /// The seconds since then.
    var secondsToNow: Double {
        let elapsed = duration(to: .now).components
        return Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
    }
}
