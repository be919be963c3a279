internal import ReimageCodecs
internal import ReimageCore

/// One thread's reader of the chunks that a stream holds: decodes and proves them.
final class StreamCursor: DiskCursor {
    private let held: HeldChunks
    private let chunkLog2: Int
    private let name: String
    private let decoder: ChunkDecoder
    /// For slots that are not read whole, or are shorter than their chunk.
    private var chunk = AlignedBuffer(byteCount: 0)

    init(_ held: HeldChunks, chunkLog2: Int, name: String) {
        self.held = held
        self.chunkLog2 = chunkLog2
        self.name = name
        decoder = ChunkDecoder(chunkLog2: chunkLog2)
    }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        do {
            var done = 0
            while done < buffer.byteCount {
                let place = offset.value + UInt64(done)
                let slot = place >> UInt64(chunkLog2)
                let within = Int(place & (1 << UInt64(chunkLog2) - 1))
                let count = min(1 << chunkLog2 - within, buffer.byteCount - done)
                try read(slot, within..<within + count, into: &buffer, at: done)
                done += count
            }
        } catch {
            throw error.inFile(name)
        }
    }

    private func read(
        _ slot: UInt64, _ range: Range<Int>, into buffer: inout MutableRawSpan, at start: Int
    ) throws(ImageError) {
        guard let (held, payload) = held.chunk(of: slot) else {
            throw ImageError(.invalidArgument, "a pipe is read once, and slot \(slot) has passed")
        }
        do {
            if range.lowerBound == 0, range.count == held.rawByteCount {
                try buffer.withSlice(start..<start + range.count) { (target) throws(ImageError) in
                    try load(held, payload, into: &target)
                }
            } else {
                if chunk.byteCount == 0 { chunk = AlignedBuffer(byteCount: 1 << chunkLog2) }
                try chunk.withMutableBytes(0..<held.rawByteCount) { (target) throws(ImageError) in
                    try load(held, payload, into: &target)
                }
                let end = min(range.upperBound, held.rawByteCount)
                let filled = max(end - range.lowerBound, 0)
                chunk.withBytes(range.lowerBound..<range.lowerBound + filled) { buffer.copy(from: $0, at: start) }
                buffer.zero(start + filled..<start + range.count)
            }
        } catch {
            throw ImageError(
                error.code, "the chunk of guest offset \(slot << UInt64(chunkLog2)): \(error.message)",
                at: error.place ?? .host(held.entry.place), file: error.file, advice: error.advice,
                systemCode: error.systemCode)
        }
    }

    /// Fills `target` with the bytes of the chunk, proved.
    private func load(
        _ held: HeldChunks.Held, _ payload: HeldChunks.Payload?, into target: inout MutableRawSpan
    ) throws(ImageError) {
        let isCopy = held.payload == nil
        if let payload {
            let method = try ChunkMethod(codec: held.entry.codec, filter: held.entry.filter, at: held.entry.place)
            try payload.buffer.withBytes(0..<payload.count) { (bytes) throws(ImageError) in
                try decoder.decode(bytes, method, into: &target)
            }
            guard Self.hash(of: target, held.height) == held.entry.hash else {
                throw .damaged("the stored bytes are not those that its hash stands for")
            }
            return
        }
        switch self.held.earlier {
        case .notNeeded where isCopy: target.zero()
        case .reader(let read) where isCopy:
            try read(&target, GuestOffset(held.source << UInt64(chunkLog2)))
            guard Self.hash(of: target, held.height) == held.entry.hash else {
                throw ImageError(
                    .targetFailed,
                    "an earlier chunk that it equals does not read back from the target as it was written",
                    advice: "The medium, its cable or the memory is failing; do not rely on this target.")
            }
        default:
            throw ImageError(
                .unsupported,
                "it equals an earlier chunk, which has passed in the pipe and cannot be had from the target",
                advice: "Restore into a raw file, save the archive to a file first, or make it with -o dedup=off.")
        }
    }

    private static func hash(of target: borrowing MutableRawSpan, _ height: Int) -> Hash256 {
        Geometry.node(ofChunk: target.bytes, height: height)
    }
}
