internal import ReimageCore

/// Hands out the blocks of a new image front to back, and keeps the block allocation table (BAT).
struct TableBuilder {
    /// The most entries there is memory for: 16 MiB of table.
    static let mostEntries: UInt64 = 4 << 20
    private static let unused = UInt32.max
    /// What the bytes of a block are aligned to, so that no page of the host holds parts of two blocks.
    static let alignment: UInt64 = 4096

    private let blockSize: UInt64
    /// The bytes before a block: its bitmap, filled up to whole pages in front.
    let bitmapSpace: UInt64
    /// Where the next block's bitmap space begins.
    private(set) var next: HostOffset
    /// The sector of each block's bitmap, as far as blocks were stored.
    private var sectors: [UInt32] = []

    /// - Parameter start: where the first block may begin.
    init(blockSize: UInt64, from start: UInt64) {
        self.blockSize = blockSize
        let bitmap = DynamicHeader.bitmapByteCount(blockSize: UInt32(clamping: blockSize))
        bitmapSpace = bitmap.dividedRoundingUp(by: Self.alignment) * Self.alignment
        next = HostOffset(start.dividedRoundingUp(by: Self.alignment) * Self.alignment)
    }

    /// Whether any block was stored.
    var isEmpty: Bool { sectors.isEmpty }

    /// The bytes that a block takes in the file.
    var stride: UInt64 { bitmapSpace + blockSize }

    /// The number of entries for a disk of `size` bytes.
    /// - Throws: `.unsupported` where the table would pass what there is memory for.
    static func entries(forDisk size: UInt64, blockSize: UInt64) throws(ImageError) -> UInt64 {
        let count = size.dividedRoundingUp(by: blockSize)
        guard count <= mostEntries else {
            throw ImageError(
                .unsupported,
                "in blocks of \(humanSize(blockSize)), a disk can have \(humanSize(mostEntries * blockSize)), not \(size) bytes",
                advice: "Take larger blocks: -o block_size=2M.")
        }
        return count
    }

    /// The bytes of the table of `entries` entries, in whole sectors.
    static func byteCount(entries: UInt64) -> UInt64 {
        (4 * entries).dividedRoundingUp(by: Geometry.sectorSize) * Geometry.sectorSize
    }

    /// The place of the data of block `index`, which comes behind all that were stored before.
    mutating func allocate(_ index: UInt64) throws(ImageError) -> HostOffset {
        _ = try Self.entries(forDisk: (index + 1) * blockSize, blockSize: blockSize)
        let place = next + bitmapSpace
        let bitmap = place.value - DynamicHeader.bitmapByteCount(blockSize: UInt32(clamping: blockSize))
        guard let sector = UInt32(exactly: bitmap / Geometry.sectorSize), sector != Self.unused else {
            throw ImageError(
                .unsupported, "the image passes the 2 TiB that its block allocation table can address",
                advice: "Take larger blocks, which have fewer bitmaps between them: -o block_size=2M.")
        }
        if index >= UInt64(sectors.count) {
            sectors += repeatElement(Self.unused, count: Int(index) + 1 - sectors.count)
        }
        sectors[Int(index)] = sector
        next = next + stride
        return place
    }

    /// Stores the table of as many entries as there is room for from `offset` on; the rest of its last sector counts.
    func store(in bytes: inout MutableRawSpan, at offset: Int, byteCount: Int) {
        for index in 0..<byteCount / 4 {
            bytes.storeBig(index < sectors.count ? sectors[index] : Self.unused, at: offset + 4 * index)
        }
    }
}
