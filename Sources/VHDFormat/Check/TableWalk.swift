internal import ReimageCore

/// Walks a block allocation table in pieces, whatever its length: entries side by side that hold the same come as one.
struct TableWalk {
    static let unallocated = UInt32.max
    private static let pieceEntries = 16 << 10

    let store: any ByteStore
    let table: TableRange

    /// Hands over runs of equal entries from entry `start` on up to `end`: the first, their number, and what they hold.
    func forEachRun(
        _ start: Int = 0, _ end: Int? = nil, _ body: (CheckFacts.Entries, UInt32) throws(ImageError) -> Void
    ) throws(ImageError) {
        let end = min(end ?? table.count, table.count)
        var run: (entries: CheckFacts.Entries, value: UInt32)?
        func take(_ first: Int, _ count: Int, _ value: UInt32) throws(ImageError) {
            if let old = run, old.value == value {
                run = (.init(first: old.entries.first, count: old.entries.count + count), value)
            } else {
                if let old = run { try body(old.entries, old.value) }
                run = (.init(first: first, count: count), value)
            }
        }
        var index = start
        while index < end {
            let place = table.entry(index)
            // A hole in the file holds zeros, and may be as long as a file can be.
            let extent = try store.extent(at: place, limit: UInt64(end - index) * 4)
            if extent.kind == .hole, extent.count >= 4 {
                let count = Int(extent.count / 4)
                try take(index, count, 0)
                index += count
                continue
            }
            let count = min(Self.pieceEntries, end - index)
            let bytes = try store.bytes(at: place, count: count * 4)
            try bytes.withBytes { (words) throws(ImageError) in
                var first = 0
                while first < count {
                    let value = try words.big(UInt32.self, at: first * 4)
                    var next = first + 1
                    while next < count, try words.big(UInt32.self, at: next * 4) == value { next += 1 }
                    try take(index + first, next - first, value)
                    first = next
                }
            }
            index += count
        }
        if let run { try body(run.entries, run.value) }
    }
}
