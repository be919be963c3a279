internal import ReimageCodecs
internal import ReimageCore

/// Writes an archive in one pass, front to back.
///
/// - Source: archive specification 1.0, section 7.
final class ArchiveWriter: ImageWriter {
    /// The most entries of one ERRS record.
    private static let mostErrors = 65536

    let needs: WriterNeeds
    private let settings: WriterSettings
    /// That of the longest disk, until the length is known.
    private var geometry: Geometry
    private let encoderGeometry: Geometry
    private var knowsSize: Bool
    private let isResumed: Bool
    private let header: FileHeader
    private let metadata: [UInt8]

    private var records: RecordStream
    private var index: IndexBuilder
    private var table: ChunkTable
    private var metadataPlace = HostOffset.zero
    /// Slots without a CHNK record that no RUN record tells of yet.
    private var run: RunRecord?
    /// Ranges that could not be read, and that no ERRS record tells of yet.
    private var errors: [ErrorsRecord.Entry] = []
    private var lastErrors: UInt64 = 0
    /// Whether some of them lie in a leaf range that got no LEAF record.
    private var hasGap = false

    /// Ranges that are known not to have been readable, with their errors: what is added of them keeps those.
    var knownErrors = KnownErrors([])
    /// Whether chunks are put into the table, for later slots to be their duplicates.
    var remembers = true
    /// What became of the archive, but for errors of the source that show as it is written.
    var flags: Footer.Flags = .complete
    /// The disk's digest, once the archive is finished.
    private(set) var digest: Hash256?

    /// - Throws: `.unsupported` for a disk that is longer than an archive's.
    convenience init(_ plan: WritePlan) throws(ImageError) {
        try self.init(WriterSettings(plan), byteCount: plan.byteCount)
    }

    /// - Parameters:
    ///   - byteCount: the disk's length; `nil` where it is told by ``diskEnds(at:)``.
    ///   - partial: the archive that is gone on with.
    /// - Throws: `.refused` where `partial` was begun with other settings.
    init(
        _ settings: WriterSettings, byteCount: UInt64?, resuming partial: PartialArchive? = nil
    ) throws(ImageError) {
        self.settings = settings
        geometry = try settings.geometry(ofDisk: byteCount)
        encoderGeometry = geometry
        knowsSize = byteCount != nil
        metadata = try settings.metadata.payloadBytes()
        let header = settings.header(geometry, isSizeLate: byteCount == nil, metadata: metadata)
        try partial?.check(header, metadata: metadata)
        self.header = partial?.replay.header ?? header
        isResumed = partial != nil
        var needs = WriterNeeds(
            chunkSize: Int(geometry.chunkSize), grainSize: 512,
            encodedBound: ArchiveEncoder.bound(ofChunk: Int(geometry.chunkSize)), adopts: settings.adopts)
        needs.encoderByteCount = settings.encoderByteCount
        self.needs = needs
        if let replay = partial?.replay {
            records = RecordStream(
                tag: replay.header.tag, position: replay.position.value, sequence: replay.sequence)
            index = replay.index
            table = replay.chunks.table()
            metadataPlace = replay.metadata ?? .zero
            lastErrors = replay.lastErrors
        } else {
            records = RecordStream(tag: header.tag)
            index = IndexBuilder(geometry, logicalSector: header.logicalSector, isSizeLate: byteCount == nil)
            table = ChunkTable(window: settings.dedupWindow)
        }
    }

    /// Notes that the source is not what it was when the archive was begun.
    func noteSourceChange() { flags.insert(.sourceChanged) }

    func makeEncoder() throws(ImageError) -> (any ChunkEncoder)? {
        try ArchiveEncoder(settings, encoderGeometry, isSizeLate: index.isSizeLate)
    }

    func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 {
        let geometry = try settings.geometry(ofDisk: byteCount)
        // Headers, padding and entry of a chunk, a run before it; the LEAF and ROOT entry of a range.
        let perSlot = UInt64(ChunkRecord.headerByteCount + 8 + 104 + IndexEntry.byteCount + 1)
        let perRange = UInt64(LeafRecord.headerByteCount + 8 + RootEntry.byteCount)
        let ends = UInt64(FileHeader.byteCount + RootRecord.headerByteCount + Footer.byteCount + Tail.byteCount)
        return byteCount + geometry.slots * perSlot + geometry.leafRanges * perRange + ends
            + UInt64(RecordHeader.byteCount + metadata.count + 8)
    }

    func begin(into placement: inout Placement) throws(ImageError) {
        guard !isResumed else { return }
        records.append(header.bytes(), into: &placement)
        metadataPlace = records.append(.metadata, payload: metadata, into: &placement).place
        records.flush(into: &placement)
    }

    func diskEnds(at end: GuestOffset) throws(ImageError) {
        guard index.isSizeLate, !knowsSize else { return }
        knowsSize = true
        geometry = try Geometry(
            byteCount: end.value, chunkLog2: geometry.chunkLog2, leafLog2: geometry.leafLog2)
        index.learn(geometry)
    }

    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
        let first = range.start.value >> UInt64(geometry.chunkLog2)
        let end = range.end.value.dividedRoundingUp(by: geometry.chunkSize)
        guard first == index.slot, end <= geometry.slots else { throw outOfOrder(range) }
        let kind = settings.kind(readingAsZero: kind)
        while index.slot < end {
            let slot = index.slot
            let left = end - slot
            let isWhole = index.room == geometry.leafSlots && left >= geometry.leafSlots
            let count = isWhole ? left.roundedDown(to: geometry.leafSlots) : min(left, index.room)
            note(kind, at: slot, count: count, into: &placement)
            if isWhole {
                index.add(kind, ranges: count >> UInt64(geometry.leafLog2))
            } else {
                index.add(kind, count: count)
            }
            if kind == .unreadable {
                let start = slot << UInt64(geometry.chunkLog2)
                let stop = min((slot + count) << UInt64(geometry.chunkLog2), geometry.byteCount)
                add(LostRun(GuestRange(start: GuestOffset(start), count: stop - start)), into: &placement)
            }
            if isWhole { hasGap = !errors.isEmpty } else { closeRange(into: &placement) }
        }
    }

    func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError) {
        let slot = index.slot
        guard slot < geometry.slots, chunk.range.start.value == slot << UInt64(geometry.chunkLog2),
            chunk.range.count == geometry.byteCount(ofSlot: slot)
        else { throw outOfOrder(chunk.range) }
        let input = chunk.input.lowerBound..<chunk.input.lowerBound + Int(chunk.range.count)
        var unreadable: [GuestRange] = []
        var kinds: Set<Extent.Kind> = []
        try map.forEachRun(in: input) { kind, range in
            kinds.insert(kind)
            guard kind == .unreadable else { return }
            let start = chunk.range.start + UInt64(range.lowerBound - input.lowerBound)
            unreadable.append(GuestRange(start: start, count: UInt64(range.count)))
        }
        if chunk.encoding == .zero {
            let kind = kinds.count == 1 ? settings.kind(readingAsZero: kinds.first ?? .zero) : .zero
            note(kind, at: slot, count: 1, into: &placement)
            index.add(kind, count: 1)
        } else {
            try store(chunk, input, into: &placement)
        }
        for run in Self.runs(unreadable, known: chunk.lost) { add(run, into: &placement) }
        closeRange(into: &placement)
    }

    /// The unreadable ranges of a chunk, ascending; of those that are `known` it is told how they failed.
    private static func runs(_ ranges: [GuestRange], known: [LostRun]) -> [LostRun] {
        guard !known.isEmpty else { return ranges.map { LostRun($0) } }
        var runs = known
        for range in ranges {
            var start = range.start
            for run in known where run.range.end > start && run.range.start < range.end {
                if run.range.start > start { runs.append(LostRun(GuestRange(from: start, to: run.range.start))) }
                start = max(start, run.range.end)
            }
            if start < range.end { runs.append(LostRun(GuestRange(from: start, to: range.end))) }
        }
        return runs.sorted { $0.range.start < $1.range.start }
    }

    /// Places a chunk with data, or finds that it was placed before.
    private func store(_ chunk: Chunk, _ input: Range<Int>, into placement: inout Placement) throws(ImageError) {
        let slot = index.slot
        // A layout without bytes has no facts: every chunk counts as stored, and as no other's duplicate.
        let facts =
            try chunk.facts.isEmpty
            ? nil : chunk.facts.withBytes { (bytes) throws(ImageError) in try ChunkFacts(decoding: bytes) }
        var hash = facts?.hash ?? DigestTree.zeroNodes[geometry.chunkHeight]
        if index.isSizeLate, UInt64(input.count) < geometry.chunkSize {
            let height = min(geometry.chunkHeight, DigestTree.height(ofDisk: UInt64(input.count)))
            hash = DigestTree.node(hash, of: height, raisedTo: geometry.chunkHeight)
        }
        if facts != nil, let known = table[hash] {
            note(.duplicate, at: slot, count: 1, source: known.slot, into: &placement)
            index.add(known.entry, isDuplicate: true)
            return
        }
        flushRun(into: &placement)
        if hasGap { flushErrors(into: &placement) }
        let method = facts?.method ?? ChunkMethod(.store)
        let isPlain = chunk.encoding == .plain
        let byteCount = isPlain ? input.count : chunk.encoded.count
        let record = ChunkRecord(
            slot: slot, rawByteCount: UInt32(input.count), method: method,
            diskSize: index.diskSize(before: slot + 1), chunkLog2: geometry.chunkLog2, hash: hash)
        let placed = records.append(
            .chunk, extension: record.extensionBytes(), payload: isPlain ? .input(input) : .encoded(chunk.encoded),
            byteCount: UInt64(byteCount), check: facts?.payloadCheck ?? 0, into: &placement)
        let entry = IndexEntry(
            place: placed.place, storedByteCount: UInt32(byteCount), method: method, hash: hash)
        index.add(entry, isDuplicate: false)
        if facts != nil, remembers { table.insert(ChunkTable.Chunk(slot: slot, entry: entry)) }
    }

    func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
        if index.slot == 0 { try diskEnds(at: GuestOffset(disk.byteCount)) }
        guard disk.byteCount == geometry.byteCount, index.slot == geometry.slots else {
            throw ImageError(
                .invalidArgument, "the disk has \(disk.byteCount) bytes, and was said to have \(geometry.byteCount)")
        }
        flushRun(into: &placement)
        flushErrors(into: &placement)
        let (root, entries) = index.finish()
        let placed = records.append(
            .root, extension: root.extensionBytes(), payload: entries, into: &placement)
        var copy = header
        copy.diskByteCount = geometry.byteCount
        digest = root.digest
        var footer = Footer(
            root, (placed.place, placed.byteCount), metadata: metadataPlace, header: copy, index, lastErrors: lastErrors
        )
        if !flags.contains(.complete) { footer.flags.remove(.complete) }
        footer.flags.formUnion(flags.intersection(.sourceChanged))
        let end = records.append(.footer, payload: footer.payloadBytes(), into: &placement)
        records.append(Tail(footer: end.place, tag: header.tag).bytes(), into: &placement)
        records.flush(into: &placement)
    }

    private func outOfOrder(_ range: GuestRange) -> ImageError {
        if index.isSizeLate, range.end.value > geometry.byteCount {
            return ImageError(
                .unsupported, "the disk is longer than the \(humanSize(geometry.byteCount)) that its archive can have",
                advice: "Take larger chunks (-o chunk_size), or a source that tells its length beforehand.")
        }
        return ImageError(
            .invalidArgument, "an archive of \(geometry.byteCount) bytes is written in order, and not at \(range)")
    }
}

// Runs, ranges that could not be read, and the ends of leaf ranges.
extension ArchiveWriter {
    /// Adds slots without a CHNK record to the run in hand, or begins another.
    private func note(
        _ kind: SlotKind, at slot: UInt64, count: UInt64, source: UInt64 = 0, into placement: inout Placement
    ) {
        if let run, run.kind == kind, kind != .duplicate || run.source + run.count == source {
            self.run?.count += count
            return
        }
        flushRun(into: &placement)
        run = RunRecord(
            first: slot, count: count, kind: kind, chunkLog2: geometry.chunkLog2, source: source,
            diskSize: FileHeader.unknownSize)
    }

    private func flushRun(into placement: inout Placement) {
        guard var run else { return }
        self.run = nil
        run.diskSize = index.diskSize(before: run.first + run.count)
        _ = records.append(.run, extension: run.extensionBytes(), into: &placement)
    }

    /// Adds a range that could not be read. Images do not tell why, nor how often it was tried; devices, and an older
    /// archive, do.
    private func add(_ run: LostRun, into placement: inout Placement) {
        let known = run.systemCode == 0 ? knownErrors.within(run.range) : []
        guard known.isEmpty else {
            for var entry in known {
                let start = max(entry.range.start, run.range.start)
                entry.range = GuestRange(from: start, to: min(entry.range.end, run.range.end))
                add(entry, into: &placement)
            }
            return
        }
        let entry = ErrorsRecord.Entry(
            range: run.range, code: UInt32(clamping: run.systemCode), tries: UInt32(clamping: run.tries))
        add(entry, into: &placement)
    }

    private func add(_ entry: ErrorsRecord.Entry, into placement: inout Placement) {
        if let last = errors.last, last.range.end == entry.range.start, last.code == entry.code,
            last.tries == entry.tries
        {
            errors[errors.count - 1].range = GuestRange(from: last.range.start, to: entry.range.end)
            return
        }
        if errors.count == Self.mostErrors { flushErrors(into: &placement) }
        errors.append(entry)
    }

    private func flushErrors(into placement: inout Placement) {
        hasGap = false
        guard !errors.isEmpty else { return }
        flushRun(into: &placement)
        let record = ErrorsRecord(previous: lastErrors, entries: errors)
        errors.removeAll()
        let placed = records.append(
            .errors, extension: record.extensionBytes(), payload: record.payloadBytes(), into: &placement)
        lastErrors = placed.place.value
    }

    /// Ends the leaf range in hand where it is full.
    private func closeRange(into placement: inout Placement) {
        guard index.isFull else { return }
        guard let (record, payload) = index.close() else {
            hasGap = !errors.isEmpty
            return
        }
        flushRun(into: &placement)
        flushErrors(into: &placement)
        let placed = records.append(
            .leaf, extension: record.extensionBytes(), payload: payload, into: &placement)
        index.add(record, at: placed)
        records.flush(into: &placement)
        placement.append(.checkpoint(HostOffset(records.position)))
    }
}
