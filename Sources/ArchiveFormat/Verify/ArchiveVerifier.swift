internal import ReimageCodecs
public import ReimageCore

/// Verifies an archive: its structure always, what is stored or all content as asked.
struct ArchiveVerifier {
    /// How far a verification goes: ``ReimageCore/VerifyDepth``, or the structure alone.
    enum Depth { case structure, stored, full, deep }

    let store: any ByteStore
    let depth: Depth
    let request: VerifyRequest
    let cancellation: Cancellation
    let log: FindingLog

    private var decodes: Bool { depth == .full || depth == .deep }

    /// - Throws: `.damaged` where nothing of an archive is found, `.unsupported` for what 1.0 does not have.
    func run() throws(ImageError) -> VerifySummary {
        let header = try ArchiveImage.header(store)
        let index = try RecoveredIndex(store, header: header, cancellation)
        let disk = RecoveredDisk(index)
        var summary = VerifySummary(byteCount: disk.byteCount)
        examineEnds(index)
        let end = end(of: index)
        request.begin(total(end))
        let stored = try StoredCheck(
            store, index.rules, end: end, checksChunks: depth == .stored, takesUnknown: !decodes, request, cancellation
        ).run()
        tell(stored.findings)
        if case .root(let whole) = index.basis {
            for message in stored.audit.differences(whole.footer) { log.found(.corruption, message) }
        }
        try examineLeaves(index)
        let content = try ContentCheck(disk, selection(stored), request, cancellation).run()
        tell(content.findings.sorted { $0.place < $1.place })
        summary.lost = content.lost
        summary.unreadable = content.unreadable
        conclude(index, content, &summary)
        if depth == .deep { try compareWithScan(index, header) }
        try count(disk, stored, end)
        summary.check = log.summary
        return summary
    }

    private func selection(_ stored: StoredCheck.Result) -> ContentCheck.Selection {
        switch depth {
        case .full, .deep: .all
        case .structure: .none
        case .stored:
            stored.damaged.isEmpty && stored.gaps.isEmpty ? .none : .damaged(stored.damaged, stored.gaps)
        }
    }

    private func tell(_ findings: [StoredCheck.Finding]) {
        for finding in findings { log.found(.corruption, finding.message, at: finding.place, guest: finding.guest) }
    }

    /// The bytes that the progress counts.
    private func total(_ end: UInt64) -> UInt64 {
        let records = end - min(end, UInt64(FileHeader.byteCount))
        return decodes ? records * 2 : records
    }

    /// Where the records end: before the tail.
    private func end(of index: RecoveredIndex) -> UInt64 {
        guard case .root(let whole) = index.basis else { return store.byteCount }
        return whole.rules.byteCount - UInt64(Tail.byteCount)
    }

    /// Tells what is wrong with the file header and the index at the end.
    private func examineEnds(_ index: RecoveredIndex) {
        switch index.basis {
        case .root(let whole):
            if let damage = whole.headerDamage { log.found(.corruption, damage.message, at: .zero) }
            if !whole.footer.flags.contains(.complete) {
                log.found(.remark, "the archive was repaired, and not all that it held was found")
            }
            if case .failure(let error) = Result(catching: { () throws(ImageError) in try whole.metadata(store) }) {
                log.unexamined(error)
            }
        case .scan(let scan):
            var why: ImageError?
            do throws(ImageError) { _ = try ArchiveIndex(store, header: try ArchiveImage.header(store)) } catch {
                why = error
            }
            var place: HostOffset?
            if case .host(let offset) = why?.place { place = offset }
            log.found(.corruption, "the archive has no valid index: \(why?.message ?? "it is damaged")", at: place)
            if scan.header == nil { log.found(.corruption, "there is no file header, and no copy of it", at: .zero) }
        }
    }

    /// Loads every LEAF record.
    private func examineLeaves(_ index: RecoveredIndex) throws(ImageError) {
        guard case .root(let whole) = index.basis else { return }
        let cache = LeafCache(store, whole.rules)
        for number in 0..<whole.root.count {
            try cancellation.check()
            let entry = try whole.root.entry(number)
            guard entry.kind == .data else { continue }
            do throws(ImageError) { _ = try cache.read(entry) } catch {
                guard error.code != .unsupported else { throw error }
                let first = entry.first << UInt64(whole.geometry.leafLog2 + whole.geometry.chunkLog2)
                let count = min(
                    UInt64(1) << UInt64(whole.geometry.leafLog2 + whole.geometry.chunkLog2),
                    whole.geometry.byteCount - first)
                log.found(
                    .corruption, "the index of a leaf range is damaged: \(error.message)", at: entry.place,
                    guest: GuestRange(start: GuestOffset(first), count: count))
            }
        }
    }

    /// Decides what the digest is worth.
    private func conclude(_ index: RecoveredIndex, _ content: ContentCheck.Result, _ summary: inout VerifySummary) {
        guard content.lost.isEmpty, let digest = content.digest else { return summary.isPartial = true }
        summary.digestIsClaim = !decodes
        summary.digest = digest.hash.bytes
        guard case .root(let whole) = index.basis else { return }
        summary.isPartial = !whole.footer.flags.contains(.complete)
        if digest != whole.digest {
            log.found(.corruption, "the index gives the digest \(digest), and the archive claims \(whole.digest)")
        }
    }

    /// Makes the index anew from CHNK and RUN records alone, and compares it with the one in the file.
    private func compareWithScan(_ index: RecoveredIndex, _ header: Result<FileHeader, ImageError>) throws(ImageError) {
        let scan = try ArchiveScan(store, header: header, takesLeaves: false, cancellation)
        guard scan.rules.geometry.byteCount == index.rules.geometry.byteCount,
            scan.rules.geometry.chunkLog2 == index.rules.geometry.chunkLog2
        else {
            return log.found(.corruption, "the records tell of a disk of another size than the index")
        }
        let other = RecoveredDisk(RecoveredIndex(store, .scan(scan)))
        let mine = RecoveredDisk(index)
        let log2 = UInt64(index.rules.geometry.chunkLog2)
        var slot: UInt64 = 0
        while slot < index.rules.geometry.slots {
            try cancellation.check()
            let (first, second) = (try mine.run(at: slot), try other.run(at: slot))
            let end = first.kind == .data ? slot + 1 : min(first.end, second.end)
            let (own, found) = (try mine.chunk(of: slot), try other.chunk(of: slot))
            let isSame = first.kind == second.kind && own == found
            if !isSame {
                let limit = min(end << log2, index.rules.geometry.byteCount)
                log.found(
                    .corruption, "the index and the records tell of different chunks",
                    guest: GuestRange(from: GuestOffset(slot << log2), to: GuestOffset(limit)))
            }
            slot = end
        }
    }

    private func count(_ disk: RecoveredDisk, _ stored: StoredCheck.Result, _ end: UInt64) throws(ImageError) {
        let slots = disk.rules.geometry.slots
        log.measure { summary in
            summary.imageEndOffset = HostOffset(min(end + UInt64(Tail.byteCount), store.byteCount))
            summary.totalClusters = slots
            summary.allocatedClusters = stored.audit.counts.chunks
            summary.compressedClusters = stored.audit.compressedCount
        }
    }
}

extension ArchiveFormat {
    public func verify(
        _ source: ImageSource, _ request: VerifyRequest, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> VerifySummary {
        try verify(source, .init(request.depth), request, context, report)
    }

    /// Checks the archive's structure: both headers, every record's header, the index, and the order of slots. The content
    /// of chunks is not read.
    public func check(
        _ source: ImageSource, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary {
        try verify(source, .structure, VerifyRequest(.stored), context, report).check
    }

    /// Makes a damaged archive anew: all that is left of it, and what `request` has other disks for.
    public func rebuild(
        _ source: ImageSource, _ request: RebuildRequest, _ context: OpenContext
    ) throws(ImageError) -> RebuildSummary {
        do throws(ImageError) {
            let store = try source.randomAccess(for: name)
            return try ArchiveRepair(store, request, context.cancellation).run()
        } catch {
            throw error.inFile(source.name)
        }
    }

    private func verify(
        _ source: ImageSource, _ depth: ArchiveVerifier.Depth, _ request: VerifyRequest, _ context: OpenContext,
        _ report: (CheckFinding) -> Void
    ) throws(ImageError) -> VerifySummary {
        do throws(ImageError) {
            let store = try source.randomAccess(for: name)
            return try withoutActuallyEscaping(report) { (report) throws(ImageError) in
                try ArchiveVerifier(
                    store: store, depth: depth, request: request, cancellation: context.cancellation,
                    log: FindingLog(report)
                ).run()
            }
        } catch {
            throw error.inFile(source.name)
        }
    }
}

extension ArchiveVerifier.Depth {
    fileprivate init(_ depth: VerifyDepth) {
        self =
            switch depth {
            case .stored: .stored
            case .full: .full
            case .deep: .deep
            }
    }
}
