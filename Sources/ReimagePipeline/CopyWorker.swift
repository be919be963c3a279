internal import ReimageCodecs
internal import ReimageCore

/// One thread of a copy: takes a batch, reads and encodes it, and writes it when its turn has come.
final class CopyWorker {
    /// What all workers of a copy have in common.
    struct Shared: Sendable {
        let feed: any BatchFeed
        let committer: Committer
        let needs: WriterNeeds
        let digest: Bool
        let batchSize: Int
        let options: JobOptions
        let pace: Pace?
        let base: (any BlockDevice)?
        let reading: CopyJob.Reading
        /// Whether chunks may be stored as the source has them.
        let adopts: Bool
    }

    private let shared: Shared
    private let cursor: (any DiskCursor)?
    private let encoder: (any ChunkEncoder)?
    private var base: BaseComparison?
    private var batch: Batch
    private var encoded: AlignedBuffer
    private var placement = Placement()
    private var chunks: [Chunk] = []
    private var adopted = AdoptedChunks()

    init(_ shared: Shared, encoder: (any ChunkEncoder)?) throws(ImageError) {
        self.shared = shared
        self.encoder = encoder
        cursor = try shared.feed.makeCursor()
        base = try shared.base.map { (disk) throws(ImageError) in
            try BaseComparison(disk, batchSize: shared.batchSize, chunkSize: shared.needs.chunkSize)
        }
        batch = Batch(byteCount: shared.batchSize, grainSize: shared.needs.grainSize)
        let most = encoder == nil ? 0 : shared.needs.encodedBound * (shared.batchSize / shared.needs.chunkSize)
        encoded = AlignedBuffer(byteCount: most)
    }

    /// Works until the disk ends or another worker fails.
    func run() throws(ImageError) {
        while try shared.feed.next(&batch) {
            try shared.options.cancellation.check()
            let goesOn: Bool
            switch batch.work {
            case .zeros(let kind): goesOn = try skip(kind)
            case .bytes:
                try shared.pace?.wait(for: batch.range.count, shared.options.cancellation)
                goesOn = try copy()
            }
            guard goesOn else { return }
            shared.options.progress.add(batch.range.count)
        }
    }

    private func skip(_ kind: Extent.Kind) throws(ImageError) -> Bool {
        var counts = CopySummary()
        if kind == .unreadable { counts.addUnreadable(batch.range) }
        let runs = try base?.runs(ofZeros: batch.range, kind) ?? [(kind, batch.range)]
        return try deliver(leaves: nil, counts) { (writer, placement) throws(ImageError) in
            for (kind, range) in runs { try writer.skip(kind, range, into: &placement) }
        }
    }

    private func copy() throws(ImageError) -> Bool {
        let unit = shared.needs.padsLastChunk ? shared.needs.chunkSize : 1
        if shared.adopts, let cursor, let encoder {
            try batch.load(nil, paddedTo: unit, .extents)
            try adopted.load(&batch, cursor, encoder, shared.needs, into: &encoded)
        } else {
            try batch.load(cursor, paddedTo: unit, shared.reading)
        }
        if shared.reading != .nothing {
            try base?.mark(&batch)
        }
        try encode()
        let leaves = shared.digest ? hashLeaves() : nil
        let counts = try count()
        return try deliver(leaves: leaves, counts) { (writer, placement) throws(ImageError) in
            for chunk in chunks { try writer.place(chunk, map: batch.map, into: &placement) }
        }
    }

    private func deliver(
        leaves: [Hash256]?, _ counts: CopySummary,
        place: (any ImageWriter, inout Placement) throws(ImageError) -> Void
    ) throws(ImageError) -> Bool {
        let delivery = Committer.Delivery(
            ticket: batch.ticket, range: batch.range, endsDisk: batch.endsDisk, leaves: leaves, counts: counts)
        return try shared.committer.commit(delivery, &placement, source: batch, encoded: encoded, place: place)
    }

    private func encode() throws(ImageError) {
        chunks.removeAll(keepingCapacity: true)
        let size = shared.needs.chunkSize
        var filled = adopted.filled
        for start in stride(from: 0, to: batch.paddedByteCount, by: size) {
            let end = min(start + size, batch.paddedByteCount)
            let used = min(end, batch.byteCount) - start
            let range = GuestRange(start: batch.range.start + UInt64(start), count: UInt64(used))
            var chunk = Chunk(range: range, encoding: .plain, input: start..<end)
            chunk.lost = batch.lost.compactMap { $0.cut(to: range) }
            if encoder != nil, !batch.map.hasData(in: start..<end) {
                chunk.encoding = .zero
            } else if let known = adopted.chunk(at: start, size: size) {
                (chunk.encoding, chunk.encoded, chunk.facts) = (known.encoding, known.encoded, known.facts)
            } else if let encoder, shared.reading != .nothing {
                let count = try encoded.fill(filled..<filled + shared.needs.encodedBound) {
                    (output) throws(ImageError) in
                    chunk.encoding = try batch.buffer.withBytes(start..<end) { (bytes) throws(ImageError) in
                        try encoder.encode(bytes, into: &output)
                    }
                }
                chunk.facts = encoder.facts
                chunk.encoded = filled..<filled + count
                filled += count
            }
            chunks.append(chunk)
        }
    }

    private func hashLeaves() -> [Hash256] {
        let size = DigestTree.leafSize
        let whole = (batch.byteCount + size - 1) / size * size
        if batch.byteCount < whole { batch.buffer.withMutableBytes(batch.byteCount..<whole) { $0.zero() } }
        return batch.buffer.withBytes(0..<whole) { DigestTree.leaves(of: $0) }
    }

    private func count() throws(ImageError) -> CopySummary {
        var counts = CopySummary()
        try batch.map.forEachRun(in: 0..<batch.byteCount) { kind, range in
            if kind == .data { counts.dataByteCount += UInt64(range.count) }
        }
        // Not by the map: what is lost may be less than a grain, which then counts as data.
        for segment in batch.segments where segment.kind == .unreadable {
            let start = batch.range.start + UInt64(segment.range.lowerBound)
            counts.addUnreadable(GuestRange(start: start, count: UInt64(segment.range.count)))
        }
        for run in batch.lost { counts.addUnreadable(run.range) }
        return counts
    }
}

extension LostRun {
    /// The part of it that lies in `range`; `nil` where there is none.
    fileprivate func cut(to range: GuestRange) -> LostRun? {
        let (first, last) = (max(self.range.start, range.start), min(self.range.end, range.end))
        guard first < last else { return nil }
        return LostRun(GuestRange(from: first, to: last), systemCode: systemCode, tries: tries)
    }
}
