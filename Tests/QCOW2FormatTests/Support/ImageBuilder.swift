/// Makes qcow2 images byte by byte, so that a test can put any value anywhere.
///
/// Layout: header, refcount table, one refcount block, L1 table, then L2 tables and data in the order they are asked
/// for. Refcounts are filled in for what is there; a reader has no use for them.
struct ImageBuilder {
    var version: UInt32 = 3
    let clusterBits: Int
    let size: UInt64
    let extended: Bool
    var incompatible: UInt64 = 0
    var compatible: UInt64 = 0
    var autoclear: UInt64 = 0
    var refcountOrder: UInt32 = 4
    var headerLength = 104
    var compressionType: UInt8 = 0
    var cryptMethod: UInt32 = 0
    var extensions: [(kind: UInt32, data: [UInt8])] = []
    var backingName: [UInt8] = []
    var snapshotCount: UInt32 = 0
    var snapshotsOffset: UInt64 = 0
    let l1Count: Int

    /// The file; the header is written by ``finished()``.
    var bytes: [UInt8]
    /// The places of L2 tables by L1 index.
    private(set) var tables: [Int: UInt64] = [:]
    /// Where plain clusters lie, by guest cluster.
    private(set) var plain: [UInt64: UInt64] = [:]

    init(clusterBits: Int = 9, size: UInt64, extended: Bool = false, l1Count: Int? = nil) {
        self.clusterBits = clusterBits
        self.size = size
        self.extended = extended
        let cluster = 1 << clusterBits
        let coverage = UInt64(cluster) * UInt64(cluster / (extended ? 16 : 8))
        let count = l1Count ?? Int((size + coverage - 1) / coverage)
        self.l1Count = count
        let l1Clusters = (count * 8 + cluster - 1) / cluster
        bytes = [UInt8](repeating: 0, count: cluster * (3 + l1Clusters))
        if extended { incompatible |= 1 << 4 }
    }

    var clusterSize: Int { 1 << clusterBits }
    var stride: Int { extended ? 16 : 8 }
    var l1Offset: Int { 3 * clusterSize }

    mutating func put<Number: FixedWidthInteger>(_ number: Number, at offset: Int) {
        for index in 0..<Number.bitWidth / 8 {
            bytes[offset + index] = UInt8(truncatingIfNeeded: number >> (Number.bitWidth - 8 - index * 8))
        }
    }

    mutating func put(_ data: [UInt8], at offset: Int) {
        bytes.replaceSubrange(offset..<offset + data.count, with: data)
    }

    /// Adds bytes on the next cluster border.
    mutating func append(_ data: [UInt8]) -> UInt64 {
        let rest = bytes.count % clusterSize
        if rest != 0 { bytes += [UInt8](repeating: 0, count: clusterSize - rest) }
        let place = UInt64(bytes.count)
        bytes += data
        return place
    }

    /// Where the L2 entry of a guest cluster lies; the table is made where it is missing.
    mutating func entryPlace(_ cluster: UInt64) -> Int {
        let perTable = UInt64(clusterSize / stride)
        let index = Int(cluster / perTable)
        if tables[index] == nil {
            let place = append([UInt8](repeating: 0, count: clusterSize))
            tables[index] = place
            put(place | 1 << 63, at: l1Offset + index * 8)
        }
        return Int(tables[index] ?? 0) + Int(cluster % perTable) * stride
    }

    mutating func map(_ cluster: UInt64, _ entry: UInt64, bitmap: UInt64 = 0) {
        let place = entryPlace(cluster)
        put(entry, at: place)
        if extended { put(bitmap, at: place + 8) }
    }

    /// Stores a plain cluster.
    mutating func data(_ cluster: UInt64, _ data: [UInt8], bitmap: UInt64 = 0xFFFF_FFFF) {
        _ = entryPlace(cluster)
        let place = append(data)
        plain[cluster] = place
        map(cluster, place | 1 << 63, bitmap: bitmap)
    }

    /// Stores a compressed cluster right behind the last byte of the file.
    mutating func compressed(_ cluster: UInt64, _ stream: [UInt8]) {
        let entry = entryPlace(cluster)
        let place = UInt64(bytes.count)
        bytes += stream
        put(compressedEntry(place, stream.count), at: entry)
    }

    func compressedEntry(_ place: UInt64, _ count: Int) -> UInt64 {
        let sectors = (place + UInt64(count) - 1) / 512 - place / 512
        return 1 << 62 | sectors << UInt64(70 - clusterBits) | place
    }

    /// The whole file.
    func finished() -> [UInt8] {
        var image = self
        image.put(0x5146_49FB as UInt32, at: 0)
        image.put(version, at: 4)
        image.put(UInt32(clusterBits), at: 20)
        image.put(size, at: 24)
        image.put(cryptMethod, at: 32)
        image.put(UInt32(l1Count), at: 36)
        image.put(UInt64(l1Count == 0 ? 0 : l1Offset), at: 40)
        image.put(UInt64(clusterSize), at: 48)
        image.put(1 as UInt32, at: 56)
        image.put(snapshotCount, at: 60)
        image.put(snapshotsOffset, at: 64)
        if version >= 3 {
            image.put(incompatible, at: 72)
            image.put(compatible, at: 80)
            image.put(autoclear, at: 88)
            image.put(refcountOrder, at: 96)
            image.put(UInt32(headerLength), at: 100)
            if headerLength > 104 { image.put([compressionType], at: 104) }
        }
        var position = version >= 3 ? headerLength : 72
        for (kind, data) in extensions {
            image.put(kind, at: position)
            image.put(UInt32(data.count), at: position + 4)
            image.put(data, at: position + 8)
            position += 8 + (data.count + 7) / 8 * 8
        }
        if !backingName.isEmpty {
            position += 8
            image.put(UInt64(position), at: 8)
            image.put(UInt32(backingName.count), at: 16)
            image.put(backingName, at: position)
        }
        image.put(UInt64(2 * clusterSize), at: clusterSize)
        for cluster in 0..<min((bytes.count + clusterSize - 1) / clusterSize, clusterSize / 2) {
            image.put(1 as UInt16, at: 2 * clusterSize + cluster * 2)
        }
        return image.bytes
    }
}

/// Bytes that differ from place to place and are never zero.
func pattern(_ seed: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 7 &+ $0 / 251 &+ seed &* 31) | 1) }
}

/// Streams small enough to be made by hand.
enum Stream {
    /// A raw deflate stream of `count` times `byte`: one fixed block, a literal and matches at distance 1.
    static func deflate(_ byte: UInt8, count: Int) -> [UInt8] {
        var bits: [UInt8] = [1, 1, 0]
        func put(_ code: Int, _ width: Int) {
            for bit in (0..<width).reversed() { bits.append(UInt8(code >> bit & 1)) }
        }
        func literal() { if byte < 144 { put(0x30 + Int(byte), 8) } else { put(0x190 + Int(byte) - 144, 9) } }
        literal()
        for _ in 0..<(count - 1) / 258 {
            put(0b1100_0101, 8)
            put(0, 5)
        }
        for _ in 0..<(count - 1) % 258 { literal() }
        put(0, 7)
        while bits.count % 8 != 0 { bits.append(0) }
        return stride(from: 0, to: bits.count, by: 8).map { start in
            (0..<8).reduce(UInt8(0)) { $0 | bits[start + $1] << UInt8($1) }
        }
    }

    /// A raw deflate stream that stores `data`.
    static func stored(_ data: [UInt8]) -> [UInt8] {
        let count = UInt16(data.count)
        let low = UInt8(truncatingIfNeeded: count)
        let high = UInt8(count >> 8)
        return [1, low, high, ~low, ~high] + data
    }

    /// A zstd frame of one raw block, of 256 to 65791 bytes.
    static func zstd(_ data: [UInt8]) -> [UInt8] {
        let size = data.count - 256
        let block = data.count << 3 | 1
        return [0x28, 0xB5, 0x2F, 0xFD, 0x60, UInt8(size & 255), UInt8(size >> 8)]
            + [UInt8(block & 255), UInt8(block >> 8 & 255), UInt8(block >> 16)] + data
    }
}
