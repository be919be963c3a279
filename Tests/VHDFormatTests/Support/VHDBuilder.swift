import ReimageCore

@testable import VHDFormat

/// Makes VHDs byte by byte, so that a test can put any value anywhere.
///
/// Layout of a dynamic one: footer, header, table, then names and blocks in the order they are asked for, footer.
struct VHDBuilder {
    static let headerPlace = 512
    static let tablePlace = 1536
    static let id: [UInt8] = (1...16).map { UInt8($0) }

    var footer: Footer
    var header: DynamicHeader
    /// What stands at the file's end.
    var endsWithFooter = true
    /// The file; footers and header are written by ``finished()``.
    private(set) var bytes: [UInt8]
    /// The places of blocks.
    private(set) var blocks: [Int: Int] = [:]

    /// A dynamic or differencing image without blocks.
    init(size: UInt64, blockSize: UInt32 = 4096, kind: Footer.Kind = .dynamic, id: [UInt8] = Self.id) {
        footer = Footer(
            kind: kind, size: size, creator: .windows, creatorVersion: 0x000A_0000,
            geometry: Geometry(forDisk: size), timeStamp: 1000, uniqueID: id)
        footer.dataOffset = UInt64(Self.headerPlace)
        let entries = UInt32(size.dividedRoundingUp(by: UInt64(blockSize)))
        header = DynamicHeader(tableOffset: UInt64(Self.tablePlace), entries: entries, blockSize: blockSize)
        bytes = [UInt8](repeating: 0, count: Self.tablePlace)
        bytes += [UInt8](repeating: 0xFF, count: (Int(entries) * 4 + 511) / 512 * 512)
    }

    /// A fixed image.
    init(fixed data: [UInt8]) {
        footer = Footer(
            kind: .fixed, size: UInt64(data.count), creator: .windows, creatorVersion: 0x000A_0000,
            geometry: Geometry(forDisk: UInt64(data.count)), timeStamp: 1000, uniqueID: Self.id)
        header = DynamicHeader(tableOffset: 0, entries: 0, blockSize: 0)
        bytes = data
    }

    private var bitmapSize: Int { Int(DynamicHeader.bitmapByteCount(blockSize: header.blockSize)) }

    mutating func put<Number: FixedWidthInteger & BitwiseCopyable>(_ number: Number, at offset: Int) {
        bytes.withMutableBytes { $0.storeBig(number, at: offset) }
    }

    mutating func put(_ data: [UInt8], at offset: Int) {
        bytes.replaceSubrange(offset..<offset + data.count, with: data)
    }

    /// Adds bytes on the next sector.
    @discardableResult
    mutating func append(_ data: [UInt8]) -> Int {
        bytes += [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
        bytes += data
        return bytes.count - data.count
    }

    /// Stores block `index`: `data` from its start, and its bitmap, by default all set.
    mutating func store(_ index: Int, _ data: [UInt8], bitmap: [UInt8]? = nil) {
        var bits = bitmap ?? [UInt8](repeating: 0xFF, count: bitmapSize)
        bits += [UInt8](repeating: 0, count: bitmapSize - bits.count)
        let place = append(bits + data + [UInt8](repeating: 0, count: Int(header.blockSize) - data.count))
        blocks[index] = place
        setEntry(index, UInt32(place / 512))
    }

    mutating func setEntry(_ index: Int, _ value: UInt32) { put(value, at: entryPlace(index)) }

    func entryPlace(_ index: Int) -> Int { Int(header.tableOffset) + index * 4 }

    /// Adds a parent locator, and the name it points to.
    mutating func addLocator(_ platform: UInt32, _ name: [UInt8]) {
        let place = append(name)
        append([])
        header.locators.append(
            ParentLocator(
                platform: platform, dataSpace: 512, dataLength: UInt32(name.count), dataOffset: UInt64(place)))
    }

    /// The image's bytes.
    func finished() throws -> [UInt8] {
        var file = bytes
        let end = try footer.bytes()
        if footer.kind != .fixed {
            file.replaceSubrange(0..<512, with: end)
            file.replaceSubrange(Self.headerPlace..<Self.headerPlace + 1024, with: try header.bytes())
        }
        guard endsWithFooter else { return file }
        if footer.kind != .fixed { file += [UInt8](repeating: 0, count: (512 - file.count % 512) % 512) }
        return file + end
    }
}

/// The text as UTF-16, little-endian.
func utf16(_ text: String) -> [UInt8] {
    text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
}

/// `count` bytes that tell one place from every other.
func pattern(_ seed: Int, _ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: ($0 &* 7 &+ $0 / 251 &+ seed &* 31) | 1) }
}
