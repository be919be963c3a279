internal import ReimageCore

/// Looks for data under clear bits of a dynamic image's bitmaps. There a clear bit says that the sector was never
/// written: some programs read what is stored all the same, some refuse it, and one that writes may lose it.
struct BitmapExaminer {
    private static let pieceByteCount = 64 << 10

    let store: any ByteStore
    let sparse: CheckedImage.Sparse

    /// The sectors, by their number in the block, that are not zeros although their bits are clear.
    /// - Parameter byteCount: how many of the block's bytes are looked at; they are in the file.
    func hiddenSectors(ofBlockAt start: UInt64, byteCount: UInt64) throws(ImageError) -> [Int] {
        let sector = Int(Geometry.sectorSize)
        let bitmap = try store.bytes(at: HostOffset(start), count: Int(sparse.bitmapByteCount))
        if !bitmap.contains(where: { $0 != 0xFF }) { return [] }
        var hidden: [Int] = []
        let data = HostOffset(start + sparse.bitmapByteCount)
        var position = 0
        while position < Int(byteCount) {
            let count = min(Self.pieceByteCount, Int(byteCount) - position)
            let sectors = position / sector..<(position + count + sector - 1) / sector
            if sectors.contains(where: { bitmap[$0 / 8] << UInt8($0 % 8) & 0x80 == 0 }) {
                let bytes = try store.bytes(at: data + UInt64(position), count: count)
                bytes.withBytes { span in
                    for index in sectors where bitmap[index / 8] << UInt8(index % 8) & 0x80 == 0 {
                        let first = index * sector - position
                        if !span.extracting(first..<min(first + sector, count)).isZero { hidden.append(index) }
                    }
                }
            }
            position += count
        }
        return hidden
    }
}
