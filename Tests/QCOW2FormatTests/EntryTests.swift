import ReimageCore
import Testing

/// One test for each way an L1 or a standard L2 entry can be, sound or not.
@Suite struct EntryTests {
    private static let copied: UInt64 = 1 << 63

    /// Four clusters: data, zero flag, absent, and the one under test.
    private func image(version: UInt32 = 3, _ entry: (inout ImageBuilder) -> UInt64) -> [UInt8] {
        var image = ImageBuilder(size: 2048)
        image.version = version
        image.data(0, pattern(1, 512))
        if version == 3 { image.map(1, 1) }
        let value = entry(&image)
        image.map(3, value)
        return image.finished()
    }

    @Test func everySoundKindIsRead() throws {
        let bytes = image { $0.append(pattern(2, 512)) | Self.copied }
        let disk = try device(try open(bytes))
        let zeros = [UInt8](repeating: 0, count: 512)
        #expect(try read(disk) == pattern(1, 512) + zeros + zeros + pattern(2, 512))
        #expect(try read(disk, 500..<1030) == pattern(1, 512)[500...] + zeros + zeros[..<6])
        #expect(
            shape(try extents(disk)) == [
                "data 512 depth 0 at 2560", "zero 512 depth 0", "hole 512 depth 0", "data 512 depth 0 at 3072",
            ])
    }

    @Test func zeroFlagMayKeepSpaceReady() throws {
        let bytes = image { $0.append(pattern(2, 512)) | Self.copied | 1 }
        #expect(try contents(bytes) == pattern(1, 512) + [UInt8](repeating: 0, count: 1536))
    }

    @Test func copiedWithoutOffsetIsAbsent() throws {
        let disk = try device(try open(image { _ in Self.copied }))
        #expect(try extents(disk).last?.kind == .hole)
    }

    @Test func sharedClusterIsRead() throws {
        let bytes = image { $0.plain[0] ?? 0 }
        #expect(try contents(bytes).suffix(512) == pattern(1, 512)[...])
    }

    @Test(
        arguments: [
            ("reserved bits", 0x2), ("reserved bits", 0x100), ("reserved bits", 1 << 56), ("reserved bits", 1 << 61),
            ("past the end", 1 << 40), ("past the end", 0xC00), ("past the end", 0x00FF_FFFF_FFFF_FE00),
            ("lies in the refcount table", 0x200), ("lies in the L1 table", 0x600), ("lies in the header", 1 << 62),
            ("lies in the header", 1 << 62 | 0x1FF), ("more than 56 bits", 1 << 62 | 1 << 56),
            ("past the end", 1 << 62 | 0xC00), ("past the end", 1 << 62 | 1 << 55),
        ] as [(String, UInt64)])
    func brokenEntryIsAnError(field: String, entry: UInt64) throws {
        let bytes = image { _ in entry }
        expectError(.damaged, field) { _ = try contents(bytes) }
        expectError(.damaged, "L2 entry") { _ = try extents(try device(try open(bytes))) }
        // What comes before is still right.
        let disk = try device(try open(bytes))
        #expect(try read(disk, 0..<1536) == pattern(1, 512) + [UInt8](repeating: 0, count: 1024))
        let error = #expect(throws: ImageError.self) { try read(disk) }
        #expect(error?.place == .host(HostOffset(2048 + 24)))
    }

    @Test func zeroFlagInVersion2IsAnError() {
        expectError(.damaged, "version 2") { _ = try contents(image(version: 2) { _ in 1 }) }
    }

    @Test func unalignedOffsetIsAnErrorAlsoBesideTheZeroFlag() {
        for flag in [0, 1] as [UInt64] {
            var image = ImageBuilder(clusterBits: 12, size: 8192)
            image.data(0, pattern(1, 4096))
            image.map(1, (image.plain[0] ?? 0) + 512 | flag)
            expectError(.damaged, "not cluster aligned") { _ = try contents(image.finished()) }
        }
    }

    @Test(
        arguments: [
            ("reserved bits", 1), ("reserved bits", 1 << 56), ("reserved bits", 1 << 62), ("passes the end", 1 << 40),
            ("passes the end", 0xA00), ("lies in the refcount table", 0x200),
            ("lies in the L1 table", 0x600),
        ] as [(String, UInt64)])
    func brokenL1EntryIsAnError(field: String, entry: UInt64) {
        var image = ImageBuilder(size: 2048)
        _ = image.append([UInt8](repeating: 0, count: 512))
        image.bytes = image.finished()
        image.put(entry, at: image.l1Offset)
        expectError(.damaged, field) { _ = try contents(image.bytes) }
        expectError(.damaged, "L1 entry 0") { _ = try contents(image.bytes) }
    }

    @Test func unalignedTableIsAnError() {
        var image = ImageBuilder(clusterBits: 12, size: 8192)
        image.data(0, pattern(1, 4096))
        image.put((image.tables[0] ?? 0) + 512, at: image.l1Offset)
        expectError(.damaged, "not cluster aligned") { _ = try contents(image.finished()) }
    }

    @Test func lastClusterMayBeCutByTheEndOfTheFile() throws {
        var image = ImageBuilder(clusterBits: 12, size: 8192)
        image.data(1, pattern(1, 4096))
        let bytes = Array(image.finished().dropLast(4095))
        let expected = [UInt8](repeating: 0, count: 4096) + pattern(1, 1) + [UInt8](repeating: 0, count: 4095)
        #expect(try contents(bytes) == expected)
        let kinds = try extents(try device(try open(bytes))).map(\.kind)
        #expect(kinds == [.hole, .data, .zero])
        expectError(.damaged, "past the end") { _ = try contents(Array(bytes.dropLast(1))) }
    }

    @Test func oddSizesAreExact() throws {
        for size in [1, 511, 513, 1000, 4097] as [UInt64] {
            var image = ImageBuilder(size: size)
            image.data((size - 1) / 512, pattern(1, 512))
            let tail = Int((size - 1) % 512) + 1
            let disk = try device(try open(image.finished()))
            #expect(disk.byteCount == size)
            #expect(try read(disk).suffix(tail) == pattern(1, 512)[..<tail])
            #expect(try extents(disk).reduce(0) { $0 + $1.count } == size)
        }
    }

    @Test func clustersBehindTheDiskAreIgnored() throws {
        var image = ImageBuilder(size: 512, l1Count: 2)
        image.data(0, pattern(1, 512))
        image.map(1, 1 << 40)
        image.put(UInt64.max, at: image.l1Offset + 8)
        #expect(try contents(image.finished()) == pattern(1, 512))
    }

    @Test func neighboursInTheFileAreOneRun() throws {
        var image = ImageBuilder(size: 512 * 200)
        for table in 0..<4 { _ = image.entryPlace(UInt64(table * 64)) }
        for cluster in 10..<150 { image.data(UInt64(cluster), pattern(cluster, 512)) }
        let disk = try device(try open(image.finished()))
        let start = image.plain[10] ?? 0
        #expect(
            shape(try extents(disk)) == [
                "hole 5120 depth 0", "data 71680 depth 0 at \(start)", "hole 25600 depth 0",
            ])
    }

    @Test func holesOfTheHostShowInStorageDetail() throws {
        var image = ImageBuilder(clusterBits: 12, size: 16384)
        image.data(0, pattern(1, 4096))
        image.data(1, [UInt8](repeating: 0, count: 4096))
        image.data(2, pattern(2, 4096))
        let store = MemoryStoreWithHoles.make(image.finished())
        let disk = try device(try openStore(store))
        #expect(try extents(disk, detail: .tables).map(\.kind) == [.data, .hole])
        #expect(try extents(disk, detail: .storage).map(\.kind) == [.data, .zero, .data, .hole])
    }
}
