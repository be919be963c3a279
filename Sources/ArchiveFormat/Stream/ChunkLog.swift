internal import ReimageCore

/// The CHNK records that came last, by their slots, which rise: what a DUP can stand for.
struct ChunkLog {
    /// The most records that a reader keeps: about 24 MiB.
    static let mostEntries: UInt32 = 1 << 18

    private let window: Int
    /// A ring once it is full.
    private var chunks: [ChunkTable.Chunk] = []
    private var oldest = 0

    /// The last `window` records.
    init(window: UInt32) { self.window = Int(window) }

    mutating func append(_ slot: UInt64, _ entry: IndexEntry) {
        guard window > 0 else { return }
        if chunks.count < window {
            chunks.append(ChunkTable.Chunk(slot: slot, entry: entry))
        } else {
            chunks[oldest] = ChunkTable.Chunk(slot: slot, entry: entry)
            oldest = (oldest + 1) % window
        }
    }

    /// The chunk of `slot`; `nil` where it has none of its own, or that is too long ago.
    subscript(slot: UInt64) -> IndexEntry? {
        var (low, high) = (0, chunks.count)
        while low < high {
            let middle = (low + high) / 2
            if self[at: middle].slot < slot { low = middle + 1 } else { high = middle }
        }
        guard low < chunks.count, self[at: low].slot == slot else { return nil }
        return self[at: low].entry
    }

    private subscript(at index: Int) -> ChunkTable.Chunk { chunks[(oldest + index) % chunks.count] }

    /// The writer's table as it is after these records.
    func table() -> ChunkTable {
        var table = ChunkTable(window: UInt32(window))
        for index in chunks.indices { table.insert(self[at: index]) }
        return table
    }
}
