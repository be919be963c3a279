import ReimageCore
import Testing

@testable import VHDFormat

/// A sound image, and all its fields.
struct DamageSample: Sendable, CustomTestStringConvertible {
    /// A field, and the values under which other bytes are right, because the image then says something else.
    struct Field: Sendable {
        var name: String
        /// The first byte of each copy.
        var offsets: [Int]
        var width: Int
        /// Structures whose checksum is made right again: their places and lengths, and the checksum's place in them.
        var checksums: [(place: Int, count: Int, field: Int)] = []
        /// Whether `value` is sound by the format's own word: different bytes are then no silent loss.
        var changesMeaning: @Sendable (UInt64) -> Bool = { _ in false }

        func value(in bytes: [UInt8]) -> UInt64 {
            bytes[offsets[0]..<offsets[0] + width].reduce(0) { $0 << 8 | UInt64($1) }
        }

        /// A copy of `bytes` in which the field holds `value`.
        func put(_ value: UInt64, _ bytes: [UInt8]) -> [UInt8] {
            var bytes = bytes
            for offset in offsets {
                for index in 0..<width {
                    bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64((width - 1 - index) * 8))
                }
            }
            for (place, count, field) in checksums {
                let sum = try? Array(bytes[place..<place + count]).withBytes { (span) throws(ImageError) in
                    try structureChecksum(span, field: field)
                }
                bytes.withMutableBytes { $0.storeBig(sum ?? 0, at: place + field) }
            }
            return bytes
        }
    }

    var name: String
    var bytes: [UInt8]
    var fields: [Field]
    var resolver: FakeResolver?
    var testDescription: String { name }

    static func all() throws -> [Self] { [try fixed(), try dynamic(), try differencing()] }

    private static func footerFields(_ places: [Int]) -> [(String, Int, Int)] {
        [
            ("cookie", 0, 8), ("features", 8, 4), ("version", 12, 4), ("data offset", 16, 8), ("time stamp", 24, 4),
            ("creator", 28, 4), ("creator version", 32, 4), ("creator OS", 36, 4), ("original size", 40, 8),
            ("current size", 48, 8), ("cylinders", 56, 2), ("heads", 58, 1), ("sectors", 59, 1), ("kind", 60, 4),
            ("unique id", 68, 8), ("saved state", 84, 1), ("reserved", 100, 8),
        ]
    }

    /// The footers' fields: of one copy and of both, with wrong and with right checksums.
    ///
    /// Another size is another disk: the bytes that both have must be equal.
    private static func footers(_ places: [Int], isDifferencing: Bool) -> [Field] {
        var fields: [Field] = []
        for (name, offset, width) in footerFields(places) {
            // A differencing image that says it is a dynamic one has no parent.
            let changes: @Sendable (UInt64) -> Bool = { isDifferencing && name == "kind" && $0 == 3 }
            for place in places {
                fields.append(Field(name: "footer at \(place): \(name)", offsets: [place + offset], width: width))
            }
            fields.append(
                Field(
                    name: places.count == 2 ? "both footers: \(name)" : "footer: \(name)",
                    offsets: places.map { $0 + offset }, width: width, checksums: places.map { ($0, 512, 64) },
                    changesMeaning: changes))
        }
        for place in places {
            fields.append(Field(name: "footer at \(place): checksum", offsets: [place + 64], width: 4))
        }
        return fields
    }

    private static func header(_ image: VHDBuilder, _ fileByteCount: Int) -> [Field] {
        let place = VHDBuilder.headerPlace
        let end = UInt64(fileByteCount)
        let table = UInt64(image.header.entries) * 4
        let blockSize = UInt64(image.header.blockSize)
        let entries = UInt64(image.header.entries)
        // Other bytes of the file, read as a table, may be sound; so may the blocks where blocks are of another size.
        let isTable: @Sendable (UInt64) -> Bool = { $0 >= 1536 && $0 < end && $0 + table <= end }
        let isBlock: @Sendable (UInt64) -> Bool = { $0 & ($0 &- 1) == 0 && $0 != blockSize && $0 * entries >= 4096 }
        let checksum = [(place: place, count: 1024, field: 36)]
        var fields = [
            Field(name: "header: cookie", offsets: [place], width: 8, checksums: checksum),
            Field(name: "header: next offset", offsets: [place + 8], width: 8, checksums: checksum),
            Field(
                name: "header: table offset", offsets: [place + 16], width: 8, checksums: checksum,
                changesMeaning: isTable),
            Field(name: "header: version", offsets: [place + 24], width: 4, checksums: checksum),
            Field(name: "header: entries", offsets: [place + 28], width: 4, checksums: checksum),
            Field(
                name: "header: block size", offsets: [place + 32], width: 4, checksums: checksum,
                changesMeaning: isBlock),
            Field(name: "header: parent id", offsets: [place + 40], width: 8, checksums: checksum),
            Field(name: "header: parent time stamp", offsets: [place + 56], width: 4, checksums: checksum),
            Field(name: "header: parent name", offsets: [place + 64], width: 8, checksums: checksum),
            Field(name: "header: checksum", offsets: [place + 36], width: 4),
            Field(name: "header: table offset without checksum", offsets: [place + 16], width: 8),
        ]
        for index in 0..<2 {
            let locator = place + 576 + 24 * index
            for (name, offset, width) in [("code", 0, 4), ("space", 4, 4), ("length", 8, 4), ("offset", 16, 8)] {
                fields.append(
                    Field(
                        name: "locator \(index): \(name)", offsets: [locator + offset], width: width,
                        checksums: checksum))
            }
        }
        return fields
    }

    private static func entries(_ image: VHDBuilder, _ fileByteCount: Int) -> [Field] {
        let dataEnd = UInt64(fileByteCount - 512)
        let first = UInt64(VHDBuilder.tablePlace + 512)
        let blockSize = UInt64(image.header.blockSize)
        let count = Int(image.header.entries)
        let size = image.footer.currentSize
        return (0..<count).map { index in
            let used = min(blockSize, size - UInt64(index) * blockSize)
            return Field(
                name: "entry \(index)", offsets: [image.entryPlace(index)], width: 4,
                // Absent, or another place that a block can lie at.
                changesMeaning: { value in
                    value == 0xFFFF_FFFF || value * 512 >= first && value * 512 + 512 + used <= dataEnd
                })
        }
    }

    static func fixed() throws -> Self {
        let image = VHDBuilder(fixed: pattern(1, 4096))
        return Self(
            name: "fixed", bytes: try image.finished(), fields: footers([4096], isDifferencing: false), resolver: nil)
    }

    static func dynamic() throws -> Self {
        var image = VHDBuilder(size: 14_848)
        for (index, count) in [(2, 4096), (0, 4096), (3, 2560)] { image.store(index, pattern(index, count)) }
        let bytes = try image.finished()
        var fields = footers([0, bytes.count - 512], isDifferencing: false)
        fields += header(image, bytes.count) + entries(image, bytes.count)
        fields.append(Field(name: "bitmap", offsets: [try #require(image.blocks[0])], width: 8))
        return Self(name: "dynamic", bytes: bytes, fields: fields, resolver: nil)
    }

    static func differencing() throws -> Self {
        var image = VHDBuilder(size: 16_384, kind: .differencing, id: [UInt8](repeating: 9, count: 16))
        image.header.parentID = VHDBuilder.id
        image.header.parentName = Array("base".utf16)
        image.addLocator(ParentLocator.relativeWindows, utf16(".\\base"))
        image.addLocator(ParentLocator.absoluteWindows, utf16("C:\\x\\base"))
        image.store(1, pattern(1, 4096), bitmap: [0xC3])
        image.store(0, pattern(0, 4096))
        let bytes = try image.finished()
        var fields = footers([0, bytes.count - 512], isDifferencing: true)
        fields += header(image, bytes.count) + entries(image, bytes.count)
        for locator in image.header.locators {
            fields.append(Field(name: "name", offsets: [Int(locator.dataOffset)], width: 8))
        }
        fields.append(
            Field(name: "bitmap", offsets: [try #require(image.blocks[1])], width: 8, changesMeaning: { _ in true }))
        var base = VHDBuilder(size: 16_384)
        for index in [0, 1, 3] { base.store(index, pattern(50 + index, 4096)) }
        return Self(
            name: "differencing", bytes: bytes, fields: fields,
            resolver: FakeResolver(images: ["base": try base.finished()]))
    }
}
