extension CheckRepairTests.Damaged {
    private static func sound(_ size: UInt64 = 8192, order: UInt32 = 4) -> ImageBuilder {
        var image = ImageBuilder(size: size)
        image.refcountOrder = order
        for cluster in 0..<4 { image.data(UInt64(cluster), pattern(cluster, 512)) }
        image.map(5, 1)
        return image
    }

    static let all: [Self] = refcounts + entries + overlaps + tables

    /// Refcounts that are wrong, or have no place.
    private static var refcounts: [Self] {
        var stale = sound()
        stale.incompatible |= 1
        var staleBytes = stale.finished()
        for cluster in 5..<8 { setRefcount(0, ofClusterAt: cluster * 512, &staleBytes) }
        var missing = sound().finished()
        for place in 512..<520 { missing[place] = 0 }
        var outside = sound().finished()
        outside[512] = 0x40
        var twice = sound().finished()
        twice.replaceSubrange(520..<528, with: twice[512..<520])
        var noTable = sound().finished()
        noTable[59] = 0
        // Two entries for one cluster, where a refcount has one bit.
        var narrow = sound(order: 0)
        narrow.map(7, narrow.plain[2] ?? 0)
        narrow.map(2, narrow.plain[2] ?? 0)
        var wide = sound(order: 6).finished()
        wide[1024] = 0xFF
        return [
            Self(name: "stale refcounts", bytes: staleBytes, words: "the refcount of the cluster"),
            Self(name: "no refcount block", bytes: missing, words: "counted anew"),
            Self(name: "refcount block outside", bytes: outside, words: "counted anew"),
            Self(name: "refcount block twice", bytes: twice, words: "counted anew"),
            Self(name: "no refcount table", bytes: noTable, words: "counted anew"),
            Self(name: "refcounts of one bit", bytes: narrow.finished(), words: "has a copy now"),
            Self(name: "refcounts of 64 bits", bytes: wide, words: "the refcount of the cluster"),
        ]
    }

    /// L1 and L2 entries that cannot be.
    private static var entries: [Self] {
        var flags = sound()
        flags.map(0, flags.plain[0] ?? 0)
        var outside = sound()
        outside.map(6, 1 << 30)
        outside.map(7, 1 << 30 | 1)
        var reserved = sound()
        reserved.map(3, (reserved.plain[3] ?? 0) | 1 << 63 | 1 << 59 | 2)
        reserved.put((reserved.tables[0] ?? 0) | 1 << 63 | 1 << 60 | 4, at: reserved.l1Offset)
        var lostTable = sound(128 << 10)
        lostTable.put(1 << 40 | 1 << 63, at: lostTable.l1Offset + 8)
        lostTable.put(0x700 as UInt64 | 1 << 63, at: lostTable.l1Offset + 16)
        var old = ImageBuilder(size: 8192)
        old.version = 2
        old.extensions = [(0xE279_2ACA, Array("raw".utf8))]
        old.backingName = Array("base".utf8)
        old.data(0, pattern(1, 512))
        old.map(3, 1 << 40)
        old.map(4, 1)
        var compressed = ImageBuilder(clusterBits: 12, size: 32768)
        compressed.compressed(0, Stream.deflate(7, count: 4096))
        let stream = compressed.append(Stream.stored(pattern(3, 4096)))
        compressed.map(1, compressed.compressedEntry(stream, 4101) | 1 << 63)
        compressed.map(2, 1 << 62 | 15 << 58 | (stream + 4000))
        compressed.map(3, 1 << 62 | 1 << 50)
        var extended = ImageBuilder(clusterBits: 14, size: 8 << 14, extended: true)
        extended.data(0, pattern(1, 16384))
        extended.data(1, pattern(2, 16384), bitmap: 0xF0 << 32 | 0x1F)
        extended.map(2, 0, bitmap: 0xF)
        extended.map(3, 1 << 40, bitmap: 0xF | 0xF0 << 32)
        extended.map(4, (extended.plain[0] ?? 0) | 1)
        var cut = sound(128 << 10)
        _ = cut.entryPlace(100)
        var cutBytes = cut.finished()
        cutBytes.removeLast(100)
        return [
            Self(name: "COPIED", bytes: flags.finished(), words: "COPIED was set"),
            Self(name: "entries outside", bytes: outside.finished(), words: "zeros now"),
            Self(name: "reserved bits", bytes: reserved.finished(), words: "became"),
            Self(name: "lost tables", bytes: lostTable.finished(), words: "was cleared"),
            Self(
                name: "version 2 overlay", bytes: old.finished(), words: "zeros now", backing: pattern(5, 8192)),
            Self(name: "compressed", bytes: compressed.finished(), words: "became", clusterSize: 4096),
            Self(name: "subclusters", bytes: extended.finished(), words: "bitmap", clusterSize: 16384),
            Self(name: "a table cut", bytes: cutBytes, words: "cut by the end"),
        ]
    }

    /// Structures that share clusters though they must not.
    private static var overlaps: [Self] {
        var onTable = sound()
        onTable.map(6, (onTable.tables[0] ?? 0) | 1 << 63)
        var onBlock = sound()
        onBlock.map(6, 1024 | 1 << 63)
        var tableOnBlock = sound(128 << 10)
        tableOnBlock.put(1024 | 1 << 63, at: tableOnBlock.l1Offset + 8)
        var compressed = ImageBuilder(clusterBits: 12, size: 4 << 20)
        compressed.data(0, pattern(1, 4096))
        let bytes = Stream.stored(pattern(3, 4096))
        let place = compressed.append(Array(bytes[..<4096]))
        _ = compressed.entryPlace(600)
        // Its last bytes are the first of an L2 table.
        compressed.put(Array(bytes[4096...]), at: Int(compressed.tables[1] ?? 0))
        compressed.map(1, compressed.compressedEntry(place, bytes.count))
        return [
            Self(name: "data on an L2 table", bytes: onTable.finished(), words: "has a copy now"),
            Self(name: "data on a refcount block", bytes: onBlock.finished(), words: "has a copy now"),
            Self(name: "an L2 table on a refcount block", bytes: tableOnBlock.finished(), words: "was copied to"),
            Self(
                name: "compressed data on an L2 table", bytes: compressed.finished(), words: "has a copy now",
                clusterSize: 4096),
        ]
    }

    /// Snapshots and bitmaps.
    private static var tables: [Self] {
        var shared = sound()
        addSnapshot(&shared, l1: UInt64(shared.l1Offset), extra: 24)
        var incomplete = sound()
        let l2 = incomplete.append([UInt8](repeating: 0, count: 512))
        incomplete.put((incomplete.plain[0] ?? 0), at: Int(l2))
        let l1 = incomplete.append([UInt8](repeating: 0, count: 512))
        incomplete.put(l2, at: Int(l1))
        addSnapshot(&incomplete, l1: l1, extra: 0)
        var stale = sound()
        addBitmap(&stale, table: stale.append([UInt8](repeating: 0, count: 8)))
        var broken = sound()
        addBitmap(&broken, table: 1 << 40)
        broken.autoclear = 1
        return [
            Self(
                name: "a snapshot on the active L1 table", bytes: shared.finished(), words: "was moved", snapshot: "1"),
            Self(name: "an incomplete snapshot", bytes: incomplete.finished(), words: "completed", snapshot: "1"),
            Self(name: "bitmaps out of step", bytes: stale.finished(), words: "out of step"),
            Self(name: "broken bitmaps", bytes: broken.finished(), words: "contradicted"),
        ]
    }

    private static func addSnapshot(_ image: inout ImageBuilder, l1: UInt64, extra: UInt32) {
        let entry = Int(image.append([UInt8](repeating: 0, count: 512)))
        image.put(l1, at: entry)
        image.put(1 as UInt32, at: entry + 8)
        image.put(1 as UInt16, at: entry + 12)
        image.put(1 as UInt16, at: entry + 14)
        image.put(extra, at: entry + 36)
        if extra >= 16 { image.put(image.size, at: entry + 48) }
        image.put([0x31, 0x61], at: entry + 40 + Int(extra))
        image.snapshotCount = 1
        image.snapshotsOffset = UInt64(entry)
    }

    private static func addBitmap(_ image: inout ImageBuilder, table: UInt64) {
        let directory = Int(image.append([UInt8](repeating: 0, count: 512)))
        image.put(table, at: directory)
        image.put(1 as UInt32, at: directory + 8)
        image.put([1, 16, 0, 1, 0, 0, 0, 0, 0x62], at: directory + 16)
        var data = [UInt8](repeating: 0, count: 24)
        data[3] = 1
        data[15] = 32
        for index in 0..<8 { data[16 + index] = UInt8(truncatingIfNeeded: directory >> (56 - 8 * index)) }
        image.extensions = [(0x2385_2875, data), (0x1234_5678, [1, 2, 3])]
    }
}
