import ReimageCore
import ReimageTesting

@testable import VHDFormat

extension CheckDamage {
    private static func corruption(_ text: String, _ place: Int? = nil, _ guest: Range<Int>? = nil) -> Expected {
        Expected(kind: .corruption, text: text, place: place, guest: guest)
    }

    private static func remark(_ text: String, _ place: Int? = nil) -> Expected {
        Expected(kind: .remark, text: text, place: place)
    }

    private static func leak(_ text: String, _ place: Int? = nil) -> Expected {
        Expected(kind: .leak, text: text, place: place)
    }

    private static let table = VHDBuilder.tablePlace

    static let header: [CheckDamage] = [
        CheckDamage(
            name: "a wrong header checksum", expected: [corruption("dynamic header's checksum is wrong", 512)],
            outcome: .left, patch: { $0.bytes[512 + 200] ^= 1 }),
        CheckDamage(
            name: "a wrong header checksum, believed",
            expected: [corruption("dynamic header's checksum is wrong", 512)], outcome: .whole,
            options: ["ignore-checksums": "on"], patch: { $0.bytes[512 + 900] ^= 1 }),
        CheckDamage(
            name: "no header", expected: [corruption("there is no dynamic header", 512)], outcome: .left,
            patch: { $0.bytes[512] ^= 1 }),
        CheckDamage(
            name: "a header outside the file", expected: [corruption("outside the file", 16)], outcome: .left,
            patch: { try $0.setFooters(16, UInt64(1) << 40) }),
        CheckDamage(
            name: "another header version", expected: [corruption("version is 3", 536)], outcome: .left,
            patch: { try $0.setHeader(24, UInt32(0x30000)) }),
        CheckDamage(
            name: "blocks of 3 KiB", expected: [corruption("blocks of 3072 bytes", 544)], outcome: .left,
            patch: { try $0.setHeader(32, UInt32(3072)) }),
        CheckDamage(
            name: "too few entries", expected: [corruption("has 40 entries, and the disk needs 42", 540)],
            outcome: .left, patch: { try $0.setHeader(28, UInt32(40)) }),
        CheckDamage(
            name: "more entries than needed", expected: [remark("has 50 entries", 540)], outcome: .remarked,
            patch: { try $0.setHeader(28, UInt32(50)) }),
        CheckDamage(
            name: "a table outside the file", expected: [corruption("outside the file", 528)], outcome: .left,
            patch: { try $0.setHeader(16, UInt64(1) << 50) }),
        CheckDamage(
            name: "a table on the copy of the footer",
            expected: [
                corruption("table lies on the footer's copy"), corruption("are said to lie"),
                corruption("is said to lie"),
                corruption("header lies on the block"),
            ],
            outcome: .left, patch: { try $0.setHeader(16, UInt64(400)) }),
        CheckDamage(
            name: "a table on the header",
            expected: [corruption("table lies on the dynamic header"), corruption("said to lie")],
            outcome: .left, patch: { try $0.setHeader(16, UInt64(1024)) }),
        CheckDamage(
            name: "a table that passes the end",
            expected: [corruption("passes the end of the file"), remark("4294967295 entries", 540)], outcome: .left,
            patch: { try $0.setHeader(28, UInt32.max) }),
        CheckDamage(
            name: "more entries than there is room for",
            expected: [
                remark("has 300 entries", 540), corruption("blocks lie on the entries", table + 168),
            ], outcome: .left, patch: { try $0.setHeader(28, UInt32(300)) }),
        CheckDamage(
            name: "zeros fill up the table", expected: [remark("is filled up with zeros", table + 168)],
            outcome: .whole,
            patch: { $0.bytes.replaceSubrange(1536 + 168..<2048, with: [UInt8](repeating: 0, count: 344)) }),
    ]

    static let blocks: [CheckDamage] = [
        CheckDamage(
            name: "a block past the end",
            expected: [corruption("block 3 is said to lie at byte", table + 12, 12288..<16384)],
            outcome: .zeros(12288..<16384), patch: { $0.setEntry(3, 1 << 20) }),
        CheckDamage(
            name: "a block on the header", expected: [corruption("on the dynamic header", table + 12)],
            outcome: .zeros(12288..<16384), patch: { $0.setEntry(3, 1) }),
        CheckDamage(
            name: "a block on the table", expected: [corruption("on the block allocation table", table + 12)],
            outcome: .zeros(12288..<16384), patch: { $0.setEntry(3, 3) }),
        CheckDamage(
            name: "a block on the copy of the footer", expected: [corruption("on the footer's copy", table + 12)],
            outcome: .zeros(12288..<16384), patch: { $0.setEntry(3, 0) }),
        CheckDamage(
            name: "entries of zeros",
            expected: [corruption("blocks 8 to 39 are said to lie at byte 0", table + 32, 32768..<163_840)],
            outcome: .zeros(32768..<163_840), patch: { for index in 8..<40 { $0.setEntry(index, 0) } }),
        CheckDamage(
            name: "two blocks at one place", expected: [corruption("blocks 3 and 7 lie on the same bytes", table + 28)],
            outcome: .whole, patch: { $0.setEntry(7, UInt32(($0.blocks[3] ?? 0) / 512)) }),
        CheckDamage(
            name: "blocks that lie on each other",
            expected: [
                corruption("blocks 3 and 7 lie on the same bytes", table + 28),
                corruption("blocks 5 and 8 lie on the same bytes", table + 32),
                corruption("sectors of block 7 hold data"), corruption("sectors of block 8 hold data"),
            ],
            outcome: .whole,
            patch: {
                $0.setEntry(7, UInt32(($0.blocks[3] ?? 0) / 512 + 1))
                $0.setEntry(8, UInt32(($0.blocks[5] ?? 0) / 512 + 3))
            }),
        CheckDamage(
            name: "a block into the footer", expected: [corruption("block 41 is cut short")],
            outcome: .zeros(41 * 4096 + 2048..<41 * 4096 + 3072),
            patch: { $0.bytes.removeSubrange($0.tail - 2048..<$0.tail) }),
        CheckDamage(
            name: "the end of the file cut off",
            expected: [corruption("block 41 is cut short"), corruption("at the end is missing")],
            outcome: .zeros(41 * 4096 + 1024..<41 * 4096 + 3072),
            patch: { $0.bytes.removeLast(512 + 3072) }),
        CheckDamage(
            name: "half of the file cut off",
            expected: [
                corruption("block 41 is said to lie"), corruption("block 5 is said to lie"),
                corruption("block 3 is cut short"), corruption("at the end is missing"),
            ],
            outcome: .zeros(0..<0), patch: { $0.bytes.removeLast($0.bytes.count - ($0.blocks[3] ?? 0) - 1024) }),
        CheckDamage(
            name: "what the disk does not need missing", expected: [remark("block 41 is stored in part")],
            outcome: .remarked, patch: { $0.bytes.removeSubrange($0.tail - 512..<$0.tail) }),
        CheckDamage(
            name: "data under clear bits", expected: [corruption("2 sectors of block 5 hold data", nil, 20480..<22016)],
            outcome: .whole, patch: { $0.bytes[$0.blocks[5] ?? 0] = 0b0101_1111 }),
        CheckDamage(
            name: "zeros under clear bits", expected: [], outcome: .remarked,
            build: { $0.store(9, [UInt8](repeating: 0, count: 4096), bitmap: [0]) }),
        CheckDamage(
            name: "room that nothing uses", expected: [leak("204800 bytes belong to nothing")], outcome: .whole,
            build: {
                $0.append([UInt8](repeating: 7, count: 204_800))
                $0.store(20, pattern(20, 4096))
            }),
        CheckDamage(
            name: "room at the end", expected: [leak("204800 bytes belong to nothing")], outcome: .whole,
            build: { $0.append([UInt8](repeating: 7, count: 204_800)) }),
        CheckDamage(
            name: "an aligned block", expected: [], outcome: .remarked,
            build: {
                $0.append([UInt8](repeating: 0, count: 3584))
                $0.store(20, pattern(20, 4096))
            }),
        CheckDamage(
            name: "a block behind the end of the disk",
            expected: [remark("has 43 entries", 540), leak("block 42 is behind the end of the disk", table + 168)],
            outcome: .remarked,
            patch: {
                try $0.setHeader(28, UInt32(43))
                let end = $0.tail
                $0.bytes.insert(contentsOf: [UInt8](repeating: 0xFF, count: 4608), at: end)
                $0.setEntry(42, UInt32(end / 512))
            }),
        CheckDamage(
            name: "differencing: nothing", base: .differencing, expected: [], outcome: .remarked),
        CheckDamage(
            name: "differencing: a clear bit", base: .differencing, expected: [], outcome: .partly,
            patch: { $0.bytes[$0.blocks[5] ?? 0] = 0b0101_1111 }),
        CheckDamage(
            name: "differencing: a block past the end", base: .differencing,
            expected: [corruption("block 3 is said to lie at byte", table + 12)], outcome: .zeros(12288..<16384),
            patch: { $0.setEntry(3, 1 << 20) }),
        CheckDamage(
            name: "differencing: a locator past the end", base: .differencing,
            expected: [corruption("parent locator 0 (32 bytes at 1099511627776)", 512 + 576)], outcome: .left,
            build: {
                $0.header.locators[0].dataLength = 32; $0.header.locators[0].dataOffset = 1 << 40
            }),
        CheckDamage(
            name: "differencing: a block on a locator", base: .differencing,
            expected: [corruption("on a name of the parent", table + 12)], outcome: .zeros(12288..<16384),
            patch: { $0.setEntry(3, 4) }),
        CheckDamage(
            name: "differencing: a locator over blocks that no reader takes", base: .differencing, expected: [],
            outcome: .remarked,
            build: {
                $0.append([UInt8](repeating: 7, count: 100_000))
                $0.header.locators.append(
                    ParentLocator(platform: 0x4D61_6320, dataSpace: 0, dataLength: 80_000, dataOffset: 2560))
            }),
        CheckDamage(
            name: "differencing: a name behind the table, in its last sector", base: .differencing,
            expected: [corruption("a name of the parent lies on the block allocation table")], outcome: .partly,
            build: { $0.header.locators[0].dataOffset = UInt64(table + 168) },
            patch: { $0.bytes.replaceSubrange(table + 168..<table + 192, with: utf16(".\\parent.vhd")) }),
        CheckDamage(
            name: "differencing: another parent", base: .differencing,
            expected: [corruption("is another image", 512 + 40)], outcome: .left,
            build: { $0.header.parentID[0] = 8 }),
        CheckDamage(
            name: "differencing: itself", base: .differencing,
            expected: [corruption("names itself as its parent", 512 + 40)], outcome: .left,
            build: { $0.header.parentID = VHDBuilder.id }),
        CheckDamage(
            name: "differencing: no name", base: .differencing, expected: [corruption("and names none", 512 + 64)],
            outcome: .left,
            build: {
                $0.header.parentName = []
                $0.header.locators = []
            }),
    ]
}
