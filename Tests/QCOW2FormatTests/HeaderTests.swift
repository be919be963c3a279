import ReimageCore
import Testing

/// Every rule of the header, broken one at a time.
@Suite struct HeaderTests {
    private struct Case: CustomTestStringConvertible {
        var name: String
        var offset: Int
        var value: UInt64
        var width = 8
        var code = ImageError.Code.damaged
        var testDescription: String { "\(name) = \(value)" }
    }

    private static let cases: [Case] = [
        Case(name: "cluster_bits", offset: 20, value: 8, width: 4),
        Case(name: "cluster_bits", offset: 20, value: 22, width: 4),
        Case(name: "cluster_bits", offset: 20, value: 0, width: 4),
        Case(name: "cluster_bits", offset: 20, value: 0xFFFF_FFFF, width: 4),
        Case(name: "size", offset: 24, value: 1 << 63),
        Case(name: "size", offset: 24, value: .max),
        Case(name: "l1_size", offset: 24, value: 1 << 40),
        Case(name: "l1_size", offset: 36, value: 0, width: 4),
        Case(name: "l1_size", offset: 36, value: 4_194_305, width: 4),
        Case(name: "l1_size", offset: 36, value: 4_194_304, width: 4),
        Case(name: "crypt_method", offset: 32, value: 3, width: 4, code: .unsupported),
        Case(name: "crypt_method", offset: 32, value: 2, width: 4),
        Case(name: "l1_table_offset", offset: 40, value: 0),
        Case(name: "l1_table_offset", offset: 40, value: 0x601),
        Case(name: "l1_table_offset", offset: 40, value: 1 << 40),
        Case(name: "l1_table_offset", offset: 40, value: 1 << 63),
        Case(name: "L1 table", offset: 40, value: 0x200),
        Case(name: "refcount_table_offset", offset: 48, value: 0),
        Case(name: "refcount_table_offset", offset: 48, value: 0x201),
        Case(name: "refcount_table_offset", offset: 48, value: 1 << 63),
        Case(name: "refcount_table_offset", offset: 48, value: 1 << 40),
        Case(name: "refcount_table_clusters", offset: 56, value: 16385, width: 4),
        Case(name: "nb_snapshots", offset: 60, value: 65537, width: 4),
        Case(name: "snapshots_offset", offset: 60, value: 1, width: 4),
        Case(name: "snapshots_offset", offset: 64, value: 8),
        Case(name: "snapshots_offset", offset: 64, value: 1 << 60),
        Case(name: "bit 5", offset: 72, value: 1 << 5, code: .unsupported),
        Case(name: "bit 63", offset: 72, value: 1 << 63, code: .unsupported),
        Case(name: "data file", offset: 72, value: 1 << 2),
        Case(name: "compression_type", offset: 72, value: 1 << 3),
        Case(name: "cluster_bits", offset: 72, value: 1 << 4),
        Case(name: "data-file-raw", offset: 88, value: 1 << 1),
        Case(name: "refcount_order", offset: 96, value: 7, width: 4),
        Case(name: "header_length", offset: 100, value: 96, width: 4),
        Case(name: "header_length", offset: 100, value: 105, width: 4),
        Case(name: "header_length", offset: 100, value: 520, width: 4),
        Case(name: "header_length", offset: 100, value: 0xFFFF_FFFF, width: 4),
        Case(name: "backing_file_offset", offset: 8, value: 8),
        Case(name: "backing_file_offset", offset: 8, value: 513),
        Case(name: "backing_file_offset", offset: 8, value: .max),
    ]

    @Test(arguments: cases) private func ruleIsKept(broken: Case) {
        var image = ImageBuilder(size: 4096)
        image.bytes = image.finished()
        if broken.width == 4 {
            image.put(UInt32(broken.value), at: broken.offset)
        } else {
            image.put(broken.value, at: broken.offset)
        }
        expectError(broken.code, broken.name) { _ = try open(image.bytes) }
    }

    @Test(arguments: [(1024, 4096), (400, 112), (1 << 31, 112)] as [(UInt32, UInt64)])
    func backingNameIsBounded(size: UInt32, offset: UInt64) {
        var image = ImageBuilder(clusterBits: offset == 112 ? 9 : 13, size: 4096)
        image.bytes = image.finished()
        image.put(offset, at: 8)
        image.put(size, at: 16)
        if size == 400 { image.put(401 as UInt32, at: 16) }
        expectError(.damaged, "backing_file_size") { _ = try open(image.bytes) }
    }

    @Test func unknownFeatureIsCalledByItsNameWithoutControlCharacters() {
        var image = ImageBuilder(clusterBits: 12, size: 4096)
        image.incompatible = 1 << 7 | 1 << 9
        image.extensions = [
            (0x6803_F857, [0, 7] + Array("time\u{1B}[31mtravel".utf8) + [UInt8](repeating: 0, count: 31))
        ]
        expectError(.unsupported, "'time\\u{1B}[31mtravel' (bit 7), bit 9") { _ = try open(image.finished()) }
    }

    @Test func extensionsAreBounded() throws {
        for (kind, count) in [(0xE279_2ACA, 16), (0x0537_BE77, 16), (0x0537_BE77, 8)] as [(UInt32, Int)] {
            var image = ImageBuilder(size: 4096)
            image.extensions = [(kind, [UInt8](repeating: 65, count: count))]
            #expect(throws: ImageError.self) { try open(image.finished()) }
        }
        for count in [401, 1 << 31, UInt32.max] as [UInt32] {
            var image = ImageBuilder(size: 4096)
            image.bytes = image.finished()
            image.put(0x1234_5678 as UInt32, at: 104)
            image.put(count, at: 108)
            expectError(.damaged, "header extension 0x12345678") { _ = try open(image.bytes) }
        }
        var twice = ImageBuilder(size: 4096)
        twice.extensions = [(0xE279_2ACA, [65]), (0xE279_2ACA, [65])]
        expectError(.damaged, "twice") { _ = try open(twice.finished()) }
        var unknown = ImageBuilder(size: 4096)
        unknown.extensions = [(0x1234_5678, [1, 2, 3]), (0xE279_2ACA, Array("raw".utf8))]
        _ = try open(unknown.finished())
    }

    @Test func compressionTypeNeedsItsBit() {
        for (type, bit, code) in [(1, false, ImageError.Code.damaged), (0, true, .damaged), (2, true, .unsupported)]
            as [(UInt8, Bool, ImageError.Code)]
        {
            var image = ImageBuilder(size: 4096)
            image.headerLength = 112
            image.compressionType = type
            image.incompatible = bit ? 8 : 0
            expectError(code, "compression_type") { _ = try open(image.finished()) }
        }
    }

    @Test func tablesMayNotLieOnEachOther() {
        var image = ImageBuilder(size: 4096)
        image.bytes = image.finished()
        image.put(2 as UInt32, at: 56)
        image.put(0x400 as UInt64, at: 40)
        expectError(.damaged, "overlaps the refcount table") { _ = try open(image.bytes) }
    }

    @Test(arguments: 0...6 as ClosedRange<UInt32>) func refcountWidthIsShown(order: UInt32) throws {
        var image = ImageBuilder(size: 4096)
        image.refcountOrder = order
        let info = try open(image.finished()).info()
        #expect(info.specific.contains(InfoField("refcount-bits", .number(1 << UInt64(order)))))
    }
}
