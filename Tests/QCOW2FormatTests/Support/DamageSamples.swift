extension DamageTests.Sample {
    typealias Field = DamageTests.Field

    static var all: [Self] { [standard, usual, overlay, extended, compressed, snapshot, dataFile] }

    /// The header's fields. What is sound though it differs: see each line.
    private static func header(_ image: ImageBuilder, _ bytes: [UInt8]) -> [Field] {
        let cluster = UInt64(image.clusterSize)
        let end = UInt64(bytes.count)
        let coverage = cluster * cluster / UInt64(image.stride)
        return [
            Field(name: "magic", offset: 0, width: 4),
            // Version 2 has no features: the same tables without them.
            Field(name: "version", offset: 4, width: 4, changesMeaning: { $0 == 2 }),
            // 0: no backing file.
            Field(name: "backing_file_offset", offset: 8, width: 8, changesMeaning: { $0 == 0 }),
            Field(name: "backing_file_size", offset: 16, width: 4, changesMeaning: { $0 == 0 }),
            // Another cluster size under which all tables are still aligned and sound is another image.
            Field(name: "cluster_bits", offset: 20, width: 4, changesMeaning: { (9...21).contains($0) }),
            // A shorter or longer disk: the bytes that both have must be equal.
            Field(name: "size", offset: 24, width: 8),
            Field(name: "crypt_method", offset: 32, width: 4),
            Field(name: "l1_size", offset: 36, width: 4, changesMeaning: { $0 * coverage < image.size }),
            // Another cluster of the file, read as an L1 table: its entries may be sound.
            Field(
                name: "l1_table_offset", offset: 40, width: 8,
                changesMeaning: { $0 % cluster == 0 && $0 >= 2 * cluster && $0 < end }),
            Field(name: "refcount_table_offset", offset: 48, width: 8),
            Field(name: "refcount_table_clusters", offset: 56, width: 4),
            Field(name: "nb_snapshots", offset: 60, width: 4),
            // Other bytes read as a snapshot table that happens to have the wanted id cannot be ruled out; they do not.
            Field(name: "snapshots_offset", offset: 64, width: 8),
            // Bit 4 takes the L2 tables for tables of another kind: another image.
            Field(
                name: "incompatible_features", offset: 72, width: 8,
                changesMeaning: { ($0 & 16 != 0) != image.extended && image.clusterBits >= 14 }),
            Field(name: "compatible_features", offset: 80, width: 8),
            Field(name: "autoclear_features", offset: 88, width: 8),
            Field(name: "refcount_order", offset: 96, width: 4),
            Field(name: "header_length", offset: 100, width: 4),
            Field(name: "compression_type", offset: 104, width: 1),
            Field(name: "extension type", offset: image.headerLength, width: 4),
            Field(name: "extension length", offset: image.headerLength + 4, width: 4),
            Field(name: "extension data", offset: image.headerLength + 8, width: 8),
            Field(name: "refcount table entry", offset: image.clusterSize, width: 8),
            Field(name: "refcount block", offset: 2 * image.clusterSize, width: 8),
        ]
    }

    /// The L1 and L2 entries of the active state.
    private static func tables(_ image: ImageBuilder, _ bytes: [UInt8], clusters: [UInt64]) -> [Field] {
        let cluster = UInt64(image.clusterSize)
        let end = UInt64(bytes.count)
        let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00
        let first = UInt64(image.l1Offset) + cluster
        var fields = [
            // Absent, or another cluster read as an L2 table.
            Field(
                name: "L1 entry", offset: image.l1Offset, width: 8,
                changesMeaning: { value in
                    let offset = value & offsetMask
                    return value & ~offsetMask & ~(1 << 63) == 0 && offset % cluster == 0
                        && (offset == 0 || (offset >= 2 * cluster && offset + cluster <= end))
                })
        ]
        for guest in clusters {
            var copy = image
            let place = copy.entryPlace(guest)
            let isDataFile = image.incompatible & 4 != 0
            let bitmap = image.extended ? DamageTests.value(bytes, Field(name: "", offset: place + 8, width: 8)) : 0
            fields.append(
                Field(
                    name: "L2 entry of cluster \(guest)", offset: place, width: 8,
                    changesMeaning: { value in
                        let offset = value & offsetMask
                        if value & 1 << 62 != 0 {
                            // A stream that begins behind the tables: deflate has no checksum, and may decode.
                            let start = value & ((1 << UInt64(70 - image.clusterBits)) - 1)
                            return !isDataFile && start >= 2 * cluster && start < end && bitmap == 0
                        }
                        guard value & 0x3F00_0000_0000_01FE == 0, offset % cluster == 0 else { return false }
                        // The zero flag, whatever the offset.
                        if value & 1 != 0 { return !image.extended }
                        // Absent; or another cluster of data.
                        if offset == 0 {
                            return image.extended ? bitmap & 0xFFFF_FFFF == 0 : !(isDataFile && value != 0)
                        }
                        return !isDataFile && offset >= 2 * cluster && offset < end && offset != UInt64(image.l1Offset)
                            && first <= end
                    }))
            guard image.extended else { continue }
            fields.append(
                Field(
                    name: "subcluster bitmap of cluster \(guest)", offset: place + 8, width: 8,
                    // Any bitmap is sound in which no subcluster is both stored and zero.
                    changesMeaning: { $0 & $0 >> 32 & 0xFFFF_FFFF == 0 }))
        }
        return fields
    }

    private static func make(
        _ name: String, _ image: ImageBuilder, clusters: [UInt64], resolver: FakeResolver = FakeResolver()
    ) -> Self {
        let bytes = image.finished()
        return Self(
            name: name, bytes: bytes, fields: header(image, bytes) + tables(image, bytes, clusters: clusters),
            resolver: resolver)
    }

    static var standard: Self {
        var image = ImageBuilder(size: 4096)
        for cluster in 0..<4 { image.data(UInt64(cluster), pattern(cluster, 512)) }
        image.map(5, 1)
        image.data(7, pattern(7, 512))
        return make("standard", image, clusters: [0, 3, 5, 6, 7])
    }

    static var usual: Self {
        var image = ImageBuilder(clusterBits: 12, size: 16384)
        image.data(0, pattern(1, 4096))
        image.data(3, pattern(3, 4096))
        return make("4 KiB clusters", image, clusters: [0, 1, 3])
    }

    static var overlay: Self {
        var image = ImageBuilder(size: 4096)
        image.extensions = [(0xE279_2ACA, Array("raw".utf8))]
        image.backingName = Array("base".utf8)
        image.data(1, pattern(1, 512))
        image.map(2, 1)
        return make(
            "overlay", image, clusters: [0, 1, 2], resolver: FakeResolver(images: ["base": pattern(9, 4096)]))
    }

    static var extended: Self {
        var image = ImageBuilder(clusterBits: 14, size: 32768, extended: true)
        image.data(0, pattern(1, 16384))
        image.data(1, pattern(2, 16384), bitmap: 0xF0 << 32 | 0x0F)
        return make("extended L2", image, clusters: [0, 1])
    }

    static var compressed: Self {
        var image = ImageBuilder(clusterBits: 12, size: 16384)
        for cluster in 0..<3 {
            image.compressed(UInt64(cluster), Stream.deflate(UInt8(cluster + 1), count: 4096))
        }
        image.compressed(3, Stream.stored(pattern(3, 4096)))
        return make("compressed", image, clusters: [0, 1, 3])
    }

    static var dataFile: Self {
        var image = ImageBuilder(size: 4096)
        image.incompatible = 4
        image.extensions = [(0x4441_5441, Array("data".utf8))]
        image.map(0, 1 << 63)
        for cluster in 1..<8 { image.map(UInt64(cluster), 1 << 63 | UInt64(cluster * 512)) }
        return make(
            "data file", image, clusters: [0, 1, 7], resolver: FakeResolver(stores: ["data": pattern(9, 4096)]))
    }

    /// A snapshot as the source, of an image that also lists a bitmap.
    static var snapshot: Self {
        var image = ImageBuilder(size: 2048)
        image.data(0, pattern(1, 512))
        let l2 = image.tables[0] ?? 0
        let old = image.append(pattern(2, 512))
        let table = image.append([UInt8](repeating: 0, count: 512))
        image.put(old | 1 << 63, at: Int(table))
        let l1 = image.append([UInt8](repeating: 0, count: 512))
        image.put(table | 1 << 63, at: Int(l1))
        let entry = Int(image.append([UInt8](repeating: 0, count: 512)))
        image.put(l1, at: entry)
        image.put(1 as UInt32, at: entry + 8)
        image.put(1 as UInt16, at: entry + 12)
        image.put(1 as UInt16, at: entry + 14)
        image.put(24 as UInt32, at: entry + 36)
        image.put(2048 as UInt64, at: entry + 48)
        image.put([0x31, 0x61], at: entry + 64)
        image.snapshotCount = 1
        image.snapshotsOffset = UInt64(entry)
        let directory = Int(image.append([UInt8](repeating: 0, count: 32)))
        image.put(l2, at: directory)
        image.put(1 as UInt32, at: directory + 8)
        image.put([1, 16, 0, 4, 0, 0, 0, 0, 0x6E, 0x61, 0x6D, 0x65], at: directory + 16)
        var data = ImageBuilder(size: 0, l1Count: 0)
        data.bytes = [UInt8](repeating: 0, count: 24)
        data.put(1 as UInt32, at: 0)
        data.put(32 as UInt64, at: 8)
        data.put(UInt64(directory), at: 16)
        image.autoclear = 1
        image.extensions = [(0x2385_2875, data.bytes)]

        var sample = make("snapshot and bitmap", image, clusters: [])
        sample.snapshot = "1"
        let end = UInt64(sample.bytes.count)
        let sound: @Sendable (UInt64) -> Bool = { value in value % 512 == 0 && value >= 512 && value < end }
        // Another cluster read as the snapshot's L1 table: its entries may be sound.
        sample.fields.append(Field(name: "snapshot L1 offset", offset: entry, width: 8, changesMeaning: sound))
        for (name, offset, width) in [
            ("snapshot L1 size", 8, 4), ("snapshot id length", 12, 2), ("snapshot name length", 14, 2),
            ("snapshot date", 16, 8), ("snapshot clock", 24, 8), ("snapshot state size", 32, 4),
            ("snapshot extra size", 36, 4), ("snapshot long state size", 40, 8), ("snapshot disk size", 48, 8),
            ("snapshot instruction count", 56, 8), ("snapshot id and name", 64, 2),
        ] {
            sample.fields.append(Field(name: name, offset: entry + offset, width: width))
        }
        for offset in stride(from: 0, to: 32, by: 8) {
            sample.fields.append(Field(name: "bitmap directory + \(offset)", offset: directory + offset, width: 8))
            if offset < 24 { sample.fields.append(Field(name: "bitmap extension", offset: 112 + offset, width: 8)) }
        }
        // Absent, or another cluster as L2 table or data.
        let change: @Sendable (UInt64) -> Bool = { value in
            let offset = value & 0x00FF_FFFF_FFFF_FE00
            return value & 1 << 62 != 0 || value & 1 == 1 || offset == 0 || sound(offset)
        }
        sample.fields.append(Field(name: "snapshot L1 entry", offset: Int(l1), width: 8, changesMeaning: change))
        sample.fields.append(Field(name: "snapshot L2 entry", offset: Int(table), width: 8, changesMeaning: change))
        return sample
    }
}
