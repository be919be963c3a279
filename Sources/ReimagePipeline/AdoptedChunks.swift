internal import ReimageCore

/// The chunks of one batch that are stored as their source has them: decoded, so that they are proved, and not encoded.
struct AdoptedChunks: ~Copyable {
    /// One chunk.
    struct Adopted {
        let encoding: Encoding
        /// Its stored form in the batch's output.
        let encoded: Range<Int>
        let facts: [UInt8]
    }

    /// By the number of the chunk in its batch; `nil` is to be encoded.
    private(set) var chunks: [Adopted?] = []
    /// How much of the output is taken.
    private(set) var filled = 0

    /// Reads the data of `batch`, all else of which is laid down, chunk by chunk, and takes over what `encoder` lets.
    mutating func load(
        _ batch: inout Batch, _ cursor: any DiskCursor, _ encoder: any ChunkEncoder, _ needs: WriterNeeds,
        into output: inout AlignedBuffer
    ) throws(ImageError) {
        removeAll()
        let size = needs.chunkSize
        for start in stride(from: 0, to: batch.byteCount, by: size) {
            let range = start..<min(start + size, batch.byteCount)
            guard range.count == size || !needs.padsLastChunk, batch.segments.contains(where: { $0.holdsData(range) })
            else {
                try batch.read(range, cursor)
                chunks.append(nil)
                continue
            }
            let place = batch.range.start + UInt64(start)
            var form: StoredForm?
            let count = try output.fill(filled..<filled + needs.encodedBound) { (stored) throws(ImageError) in
                form = try batch.buffer.withMutableBytes(range) { (bytes) throws(ImageError) in
                    try cursor.readStored(into: &bytes, at: place, stored: &stored)
                }
            }
            batch.noteUnreadable(cursor)
            let encoded = filled..<filled + count
            let encoding = try batch.buffer.withBytes(range) { (bytes) throws(ImageError) -> Encoding? in
                guard let form, cursor.unreadable.isEmpty, !bytes.isZero else { return nil }
                return try output.withBytes(encoded) { (stored) throws(ImageError) in
                    try encoder.adopt(stored, form, of: bytes)
                }
            }
            guard let encoding else {
                chunks.append(nil)
                continue
            }
            chunks.append(Adopted(encoding: encoding, encoded: encoded, facts: encoder.facts))
            filled += count
        }
        batch.detectZeros()
    }

    /// Forgets all chunks.
    mutating func removeAll() {
        chunks.removeAll(keepingCapacity: true)
        filled = 0
    }

    /// The chunk that starts at byte `start` of the batch, where it was taken over.
    func chunk(at start: Int, size: Int) -> Adopted? {
        let index = start / size
        return index < chunks.count ? chunks[index] : nil
    }
}

extension Segment {
    /// Whether all of `bytes` is data.
    fileprivate func holdsData(_ bytes: Range<Int>) -> Bool {
        kind == .data && range.lowerBound <= bytes.lowerBound && bytes.upperBound <= range.upperBound
    }
}

extension Batch {
    /// Finds the zeros in what was read.
    fileprivate mutating func detectZeros() { buffer.withBytes { map.detectZeros(in: $0) } }

    /// Reads the data in `part` of the batch.
    fileprivate mutating func read(_ part: Range<Int>, _ cursor: any DiskCursor) throws(ImageError) {
        for segment in segments {
            let range = segment.range.clamped(to: part)
            guard !range.isEmpty, segment.kind == .data else { continue }
            let start = self.range.start + UInt64(range.lowerBound)
            try buffer.withMutableBytes(range) { (span) throws(ImageError) in try cursor.read(into: &span, at: start) }
            noteUnreadable(cursor)
        }
    }
}
