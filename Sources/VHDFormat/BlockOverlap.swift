internal import ReimageCore

/// Two blocks that lie on the same bytes of the file, which no writer makes: one of the table's entries is wrong, and
/// only the guest could tell which.
struct BlockOverlap: CustomStringConvertible {
    /// The most entries looked at: 2 TiB of usual blocks.
    static let mostEntries = 1 << 20
    private static let pieceEntries = 64 << 10

    let first: Int
    let second: Int

    var description: String { "blocks \(first) and \(second) lie on the same bytes of the file" }

    /// The overlap that lies first in the file; `nil` where there is none, or the table is too long to look.
    static func first(in sparse: Layout.Sparse, _ store: any ByteStore) throws(ImageError) -> BlockOverlap? {
        let table = sparse.table
        guard table.count <= mostEntries else { return nil }
        var entries: [UInt32] = []
        try forEachEntry(of: table, store) { (_, entry) in entries.append(entry) }
        sort(&entries)
        let length = (sparse.blockSize + sparse.bitmapByteCount) / Geometry.sectorSize
        guard let index = entries.indices.dropFirst().first(where: { UInt64(entries[$0] - entries[$0 - 1]) < length })
        else { return nil }
        let pair = (entries[index - 1], entries[index])
        var found: [Int] = []
        try forEachEntry(of: table, store) { (index, entry) in
            if found.count < 2, entry == pair.0 || entry == pair.1 { found.append(index) }
        }
        return found.count == 2 ? BlockOverlap(first: found[0], second: found[1]) : nil
    }

    /// Hands over the entries of allocated blocks.
    private static func forEachEntry(
        of table: TableRange, _ store: any ByteStore, _ body: (Int, UInt32) -> Void
    ) throws(ImageError) {
        var first = 0
        while first < table.count {
            let count = min(pieceEntries, table.count - first)
            let bytes = try store.bytes(at: table.entry(first), count: count * 4)
            try bytes.withBytes { (words) throws(ImageError) in
                for index in 0..<count {
                    let entry = try words.big(UInt32.self, at: index * 4)
                    if entry != BlockTable.unallocated { body(first + index, entry) }
                }
            }
            first += count
        }
    }

    /// Sorts by counting 11 bits at a time, which takes a tenth of what comparing does; not at all where the blocks
    /// already lie in order, as in most images.
    private static func sort(_ entries: inout [UInt32]) {
        if zip(entries, entries.dropFirst()).allSatisfy({ $0 <= $1 }) { return }
        var other = [UInt32](repeating: 0, count: entries.count)
        for shift: UInt32 in [0, 11, 22] {
            var starts = [Int](repeating: 0, count: 2049)
            for entry in entries { starts[Int(entry >> shift & 2047) + 1] += 1 }
            for digit in 1...2048 { starts[digit] += starts[digit - 1] }
            for entry in entries {
                let digit = Int(entry >> shift & 2047)
                other[starts[digit]] = entry
                starts[digit] += 1
            }
            swap(&entries, &other)
        }
    }
}
