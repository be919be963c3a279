internal import ReimageCodecs
internal import ReimageCore

/// The chunks written last, by their hash: what a slot can be a duplicate of.
///
/// First in, first out; a hit does not renew a chunk's place.
struct ChunkTable {
    struct Chunk {
        var slot: UInt64
        var entry: IndexEntry
    }

    private let window: Int
    private var chunks: [Hash256: Chunk] = [:]
    /// The hashes in the order of their records, as a ring once it is full.
    private var order: [Hash256] = []
    private var oldest = 0

    init(window: UInt32) { self.window = Int(window) }

    /// The chunk of this hash.
    subscript(hash: Hash256) -> Chunk? { chunks[hash] }

    /// Adds a chunk whose hash is not in the table; the oldest one leaves it where it is full.
    mutating func insert(_ chunk: Chunk) {
        guard window > 0 else { return }
        if order.count < window {
            order.append(chunk.entry.hash)
        } else {
            chunks[order[oldest]] = nil
            order[oldest] = chunk.entry.hash
            oldest = (oldest + 1) % window
        }
        chunks[chunk.entry.hash] = chunk
    }
}
