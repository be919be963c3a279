import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// Disks that change their length.
@Suite struct ResizeTests {
    private static let sizes = [
        512, 4096, 40 * 4096, 41 * 4096 + 1024, 42 * 4096 - 1024, 42 * 4096 - 512, 42 * 4096, 128 * 4096,
        129 * 4096, 400 * 4096, 1 << 24,
    ]

    /// Every content is that of the old disk, cut or filled up with zeros, at both ends of many resizes.
    @Test(arguments: [CheckDamage.Base.dynamic, .fixed], sizes)
    func toALength(_ base: CheckDamage.Base, _ size: Int) throws {
        let image = try base.builder().finished()
        let old = try contents(image)
        let store = MemoryStore(image, name: "test.vhd")
        try resize(store, to: size)
        try expect(store, Self.resized(old, size))
        // And back again: what was cut off must not come back.
        try resize(store, to: old.count)
        try expect(store, Self.resized(Self.resized(old, size), old.count))
    }

    @Test(arguments: ["vpc ", "qemu", "qem2", "win ", "vbox", "vs  ", "d2v\0"])
    func theSizeIsTheSameForAll(_ creator: String) throws {
        for base in [CheckDamage.Base.dynamic, .fixed] {
            var builder = base.builder()
            builder.footer.creator = Creator(code: creator.utf8.reduce(0) { $0 << 8 | UInt32($1) })
            builder.footer.geometry = .largest
            for geometry in [Geometry.largest, Geometry(cylinders: 0, heads: 4, sectorsPerTrack: 17)] {
                builder.footer.geometry = geometry
                let store = MemoryStore(try builder.finished(), name: "test.vhd")
                try resize(store, to: 1_000_448)
                let copies = try FooterCopies(store)
                let footer = try #require(copies.tail).footer
                #expect(footer.currentSize == 1_000_448 && footer.originalSize == builder.footer.originalSize)
                let isExact = footer.geometry.isLargest || footer.geometry.byteCount == 1_000_448
                #expect(isExact || creator == "win ", "\(footer.geometry)")
                #expect(try contents(store.bytes).count == 1_000_448)
            }
        }
    }

    /// A table that needs more room moves the blocks behind it; names of the parent move the table.
    @Test func aTableThatGrows() throws {
        var builder = CheckDamage.Base.dynamic.builder()
        builder.put([UInt8](repeating: 0xFF, count: 8), at: VHDBuilder.tablePlace + 168)
        let image = try builder.finished()
        let store = MemoryStore(image, name: "test.vhd")
        try resize(store, to: 4000 * 4096)
        let header = try self.header(store)
        #expect(header.tableOffset == 1536 && header.entries == 4000)
        try expect(store, Self.resized(try contents(image), 4000 * 4096))
        #expect(store.bytes.count < 70_000)
    }

    @Test func aTableThatMoves() throws {
        let image = try CheckDamage.Base.differencing.builder().finished()
        let store = MemoryStore(image, name: "test.vhd")
        let references = CheckDamage.Base.differencing.references
        let old = try contents(image, references)
        try resize(store, to: 400 * 4096, references: references)
        let header = try self.header(store)
        #expect(header.tableOffset > UInt64(image.count - 1024) && header.entries == 400)
        try expect(store, Self.resized(old, 400 * 4096), references: references)
    }

    /// Some programs cut the last block where the disk ends. What the disk gains lies in it, or blocks that move behind it.
    @Test(arguments: [42 * 4096 - 512, 42 * 4096, 60 * 4096, 400 * 4096, 41 * 4096])
    func aBlockThatTheFooterCut(_ size: Int) throws {
        for base in [CheckDamage.Base.dynamic, .differencing] {
            var file = PatchedFile(bytes: try base.builder().finished())
            file.bytes.removeSubrange(file.tail - 1024..<file.tail)
            let store = MemoryStore(file.bytes, name: "test.vhd")
            let old = try contents(file.bytes, base.references)
            try resize(store, to: size, references: base.references)
            try expect(store, Self.resized(old, size), references: base.references)
        }
    }

    @Test func whatLiesBehindTheDiskStaysHidden() throws {
        var builder = CheckDamage.Base.dynamic.builder()
        builder.store(41, pattern(41, 4096))
        let image = try builder.finished()
        let store = MemoryStore(image, name: "test.vhd")
        let old = try contents(image)
        try resize(store, to: 50 * 4096)
        try expect(store, Self.resized(old, 50 * 4096), mayLeak: true)
    }

    @Test func aParentThatIsLonger() throws {
        let image = try CheckDamage.Base.differencing.builder().finished()
        let references = CheckDamage.Base.differencing.references
        let store = MemoryStore(image, name: "test.vhd")
        let old = try contents(image, references)
        try resize(store, to: 10 * 4096, references: references)
        try expect(store, Self.resized(old, 10 * 4096), references: references)
        let shorter = store.bytes
        expectError(.unsupported, "the parent's disk is longer") {
            try resize(store, to: 20 * 4096, references: references)
        }
        #expect(store.bytes == shorter)
    }

    @Test func isRefused() throws {
        let image = try CheckDamage.Base.dynamic.builder().finished()
        let store = MemoryStore(image, name: "test.vhd")
        expectError(.refused, "would cut off its end") { try resize(store, to: 4096, shrinks: false) }
        expectError(.unsupported, "a VHD has 512 to") { try resize(store, to: 2040 << 30 + 1) }
        expectError(.invalidArgument, "no preallocation 'metadata'") {
            try resize(store, to: 1 << 20, preallocation: "metadata")
        }
        expectError(.invalidArgument, "takes space when it is written") {
            try resize(store, to: 1 << 20, preallocation: "full")
        }
        #expect(store.bytes == image)
        var file = PatchedFile(bytes: image)
        try file.setFooters(84, UInt8(1))
        expectError(.refused, "is suspended", at: 84) {
            try resize(MemoryStore(file.bytes, name: "test.vhd"), to: 1 << 20)
        }
        file = PatchedFile(bytes: image)
        file.setEntry(3, 1 << 20)
        expectError(.refused, "the image is damaged") {
            try resize(MemoryStore(file.bytes, name: "test.vhd"), to: 1 << 20)
        }
        let fixed = MemoryStore(try CheckDamage.Base.fixed.builder().finished(), name: "test.vhd")
        expectError(.invalidArgument, "disks that grow") { try resize(fixed, to: 512, preallocation: "full") }
    }

    @Test func anOddLengthIsRoundedUp() throws {
        let store = MemoryStore(try CheckDamage.Base.fixed.builder().finished(), name: "test.vhd")
        try resize(store, to: 20_001, preallocation: "full")
        #expect(try contents(store.bytes).count == 20_480)
    }

    // MARK: Support

    static func resized(_ bytes: [UInt8], _ count: Int) -> [UInt8] {
        Array(bytes.prefix(count)) + [UInt8](repeating: 0, count: max(0, count - bytes.count))
    }

    private func resize(
        _ store: MemoryStore, to count: Int, shrinks: Bool = true, preallocation: String? = nil,
        references: FakeResolver? = nil
    ) throws {
        try VHDFormat().resize(
            UpdateTarget(store: store),
            ResizeRequest(byteCount: UInt64(count), allowsShrinking: shrinks, preallocation: preallocation),
            OpenContext(references: references))
    }

    private func header(_ store: MemoryStore) throws -> DynamicHeader {
        try Array(store.bytes[512..<1536]).withBytes { try DynamicHeader(decoding: $0, at: HostOffset(512)) }
    }

    private func expect(
        _ store: MemoryStore, _ content: [UInt8], references: FakeResolver? = nil, mayLeak: Bool = false,
        location: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try contents(store.bytes, references) == content, sourceLocation: location)
        let log = Findings()
        let summary = try VHDFormat().check(
            ImageSource(store: store), OpenContext(references: references), report: log.take)
        #expect(
            summary.corruptions == 0 && summary.checkErrors == 0 && (mayLeak || summary.leaks == 0), "\(log.all)",
            sourceLocation: location)
    }
}
