@testable import QCOW2Format
import ReimageCore
import ReimageTesting
import Testing

@Suite struct WriterTests {
    /// Options, and whether the data is compressed.
    struct Style: Sendable, CustomTestStringConvertible {
        var options: [String: String]
        var compression: CompressionRequest?

        init(_ options: [String: String], _ compression: CompressionRequest? = nil) {
            self.options = options
            self.compression = compression
        }

        var testDescription: String { "\(options.sorted { $0.key < $1.key })\(compression == nil ? "" : " -c")" }

        func plan(byteCount: UInt64? = nil) -> WritePlan {
            WritePlan(byteCount: byteCount, options: options, compression: compression)
        }
    }

    static let styles: [Style] = [
        Style([:]), Style(["compat": "0.10"]), Style(["cluster_size": "512"]), Style(["cluster_size": "2M"]),
        Style(["extended_l2": "on", "cluster_size": "16k"]), Style(["extended_l2": "on"]),
        Style(["refcount_bits": "1", "cluster_size": "4k"]), Style(["refcount_bits": "64", "cluster_size": "512"]),
        Style(["preallocation": "metadata"]), Style(["preallocation": "full", "extended_l2": "on"]),
        Style([:], CompressionRequest()), Style(["compression_type": "zstd"], CompressionRequest(level: 1)),
        Style(["cluster_size": "4k", "refcount_bits": "2"], CompressionRequest(level: 6)),
        Style(["cluster_size": "512", "refcount_bits": "1"], CompressionRequest(codec: .zstd)),
        Style(["extended_l2": "on"], CompressionRequest(level: 3)),
    ]

    @Test(arguments: styles, [0, 1, 512, 65_537, 3_000_000])
    func readsBack(_ style: Style, count: Int) throws {
        let suite = FormatConformance(QCOW2Format())
        let guest = PatternDisk.bytes(count: count, seed: 5)
        // The image's disk is a whole number of sectors.
        try suite.checkWriter(guest + [UInt8](repeating: 0, count: (512 - count % 512) % 512), plan: style.plan())
        try suite.checkWriter(
            guest + [UInt8](repeating: 0, count: (512 - count % 512) % 512), plan: style.plan(),
            mixes: [.init(tellsByteCount: false)])
    }

    /// A length that is no whole number of sectors is rounded up, as QEMU shows whole sectors only.
    @Test func roundsTheLengthUp() throws {
        let image = try FormatConformance(QCOW2Format()).write([UInt8](repeating: 7, count: 700))
        #expect(try contents(image) == [UInt8](repeating: 7, count: 700) + [UInt8](repeating: 0, count: 324))
    }

    /// What a disk needs at the most is what it takes when every cluster of it is data.
    @Test(arguments: styles.filter { $0.compression == nil }, [1, 700_000, 9_000_001])
    func mostBytesAreThoseOfAFullDisk(_ style: Style, count: Int) throws {
        var random = SeededGenerator(seed: 3)
        let noise = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) | 1 }
        let image = try FormatConformance(QCOW2Format()).write(noise, plan: style.plan())
        let writer = try QCOW2Format().makeWriter(style.plan(byteCount: UInt64(count)))
        #expect(try writer.mostBytes(forDisk: UInt64(count)) == UInt64(image.count))
    }

    /// Clusters that do not shrink are stored as they are, and cost no more than without compression.
    @Test func noiseIsStoredPlain() throws {
        var random = SeededGenerator(seed: 4)
        let noise = (0..<1 << 20).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let suite = FormatConformance(QCOW2Format())
        let plain = try suite.write(noise)
        let compressed = try suite.write(noise, plan: Style([:], CompressionRequest()).plan())
        #expect(compressed.count == plain.count)
    }

    /// Compressed clusters lie byte by byte behind each other, and as many share a cluster as a refcount can count.
    @Test func compressedClustersShareHostClusters() throws {
        let text = [UInt8](repeating: 65, count: 64 << 16)
        let suite = FormatConformance(QCOW2Format())
        let wide = try suite.write(text, plan: Style([:], CompressionRequest()).plan())
        // Header, refcount block, L2, one cluster of data, refcount table; the L1 table is cut to a sector.
        #expect(wide.count == 5 * 65_536 + 512)
        let narrow = try suite.write(text, plan: Style(["refcount_bits": "2"], CompressionRequest()).plan())
        #expect(narrow.count == wide.count + (64 / 3) * 65_536)
        let single = try suite.write(text, plan: Style(["refcount_bits": "1"], CompressionRequest()).plan())
        #expect(single.count == wide.count + 63 * 65_536)
    }

    @Test func aDiskThatIsTooLargeForItsClusters() {
        let plan = Style(["cluster_size": "512"]).plan(byteCount: 200 << 30)
        let error = #expect(throws: ImageError.self) { try QCOW2Format().makeWriter(plan) }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains("128 GiB") == true)
        #expect(error?.advice?.contains("cluster_size=2M") == true)
    }
}

/// Options that are none, have no such value, or contradict each other.
@Suite struct WriterOptionTests {
    private static let wrong: [([String: String], String)] = [
        (["size": "1"], "'size'"), (["backing_file": "x"], "backing_file"), (["compat": "2"], "compat"),
        (["cluster_size": "3000"], "cluster_size"),
        (["cluster_size": "256"], "cluster_size"), (["cluster_size": "4M"], "cluster_size"),
        (["cluster_size": "64KB"], "cluster_size"), (["compression_type": "lzo"], "compression_type"),
        (["refcount_bits": "3"], "refcount_bits"), (["refcount_bits": "128"], "refcount_bits"),
        (["extended_l2": "maybe"], "extended_l2"), (["preallocation": "some"], "preallocation"),
        (["compat": "0.10", "extended_l2": "on"], "extended_l2"),
        (["compat": "0.10", "lazy_refcounts": "on"], "lazy_refcounts"),
        (["compat": "0.10", "refcount_bits": "8"], "refcount_bits"),
        (["compat": "0.10", "compression_type": "zstd"], "compression_type"),
        (["compat": "0.10", "data_file": "x"], "data_file"),
        (["extended_l2": "on", "cluster_size": "8k"], "extended_l2"), (["data_file_raw": "on"], "data_file_raw"),
    ]

    @Test(arguments: wrong)
    func isRefused(_ options: [String: String], _ word: String) {
        let error = #expect(throws: ImageError.self) {
            try QCOW2Format().makeWriter(WritePlan(byteCount: 1 << 20, options: options))
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    private static let contradictions: [(WritePlan, String)] = [
        (WritePlan(byteCount: 1, options: ["preallocation": "metadata"], compression: .init()), "preallocated"),
        (WritePlan(byteCount: 1, options: ["data_file": "x"], compression: .init()), "data file"),
        (WritePlan(byteCount: 1, sparseGrain: 0, compression: .init()), "zeros"),
        (WritePlan(byteCount: 1, options: ["compression_type": "zlib"], compression: .init(codec: .zstd)), "--codec"),
        (WritePlan(byteCount: 1, compression: .init(codec: Codec("lzma"))), "lzma"),
        (WritePlan(byteCount: 1, compression: .init(level: 13)), "level 13"),
        (WritePlan(byteCount: 1, compression: .init(codec: .zstd, level: 23)), "level 23"),
        (WritePlan(byteCount: 1, options: ["preallocation": "full"], backing: base), "preallocation"),
        (WritePlan(byteCount: 1, options: ["data_file": "x", "data_file_raw": "on"], backing: base), "raw data file"),
    ]

    private static let base = Reference(role: "backing file", name: "base.raw", format: .raw)

    @Test(arguments: 0..<contradictions.count)
    func contradicts(_ index: Int) {
        let (plan, word) = Self.contradictions[index]
        let error = #expect(throws: ImageError.self) { try QCOW2Format().makeWriter(plan) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    /// A name that the first cluster cannot hold is refused before a wrong header is written.
    @Test func aNameThatIsTooLong() throws {
        for (count, options) in [(1024, [:]), (500, ["cluster_size": "512"])] {
            let name = Reference(role: "backing file", name: String(repeating: "n", count: count), format: .raw)
            let writer = try QCOW2Format().makeWriter(WritePlan(byteCount: 512, options: options, backing: name))
            var placement = Placement()
            let error = #expect(throws: ImageError.self) {
                try writer.finish(WrittenDisk(byteCount: 512), into: &placement)
            }
            #expect(error?.code == .invalidArgument)
        }
    }
}

/// The clusters of a new image, and their counts.
@Suite struct ClusterAllocatorTests {
    @Test(arguments: 0...6, [9, 12, 16])
    func countsEveryClusterOnce(order: Int, clusterBits: UInt64) throws {
        let coding = RefcountCoding(order: order, clusterBits: clusterBits)
        for data in [0, 1, 63, 64, 500, 4095, 4096, 5000] {
            var allocator = try ClusterAllocator(coding)
            var placement = Placement()
            for _ in 0..<data {
                _ = try allocator.allocate()
                allocator.flush(into: &placement)
            }
            let end = try allocator.finish(last: 2, into: &placement)
            let total = try ClusterAllocator.fileClusters(counting: UInt64(1 + data + 2), coding)
            #expect(end.last.value >> clusterBits == total - 2)
            #expect(try counts(placement, end.table, total + 100, coding) == total)
        }
    }

    /// How many clusters below `limit` the blocks count once; none may be counted otherwise.
    private func counts(
        _ placement: Placement, _ table: HostOffset, _ limit: UInt64, _ coding: RefcountCoding
    ) throws -> UInt64 {
        var tables: [HostOffset: [UInt8]] = [:]
        for case .write(.metadata(let bytes), let place, .image) in placement.steps {
            #expect(tables.updateValue(bytes, forKey: place) == nil)
        }
        let entries = try #require(tables[table])
        var once: UInt64 = 0
        for cluster in 0..<limit {
            let index = Int(cluster >> coding.entryBits)
            guard index * 8 < entries.count else { break }
            let place = try entries.withBytes { (words) throws(ImageError) in try words.big(UInt64.self, at: index * 8)
            }
            guard place != 0 else { continue }
            let block = try #require(tables[HostOffset(place)])
            let count = try block.withBytes { (bytes) throws(ImageError) in
                try coding.count(Int(cluster & (coding.entriesPerBlock - 1)), in: bytes)
            }
            #expect(count <= 1)
            if count == 1 {
                #expect(once == cluster, "the clusters in use are the first ones")
                once += 1
            }
        }
        return once
    }

    @Test(arguments: 0...6)
    func storesAndReadsEveryWidth(order: Int) throws {
        let coding = RefcountCoding(order: order, clusterBits: 9)
        var random = SeededGenerator(seed: UInt64(order))
        var block = [UInt8](repeating: 0xA5, count: 512)
        let counts = (0..<Int(coding.entriesPerBlock)).map { _ in random.next() & coding.most }
        try block.withMutableBytes { (bytes) throws(ImageError) in
            for (index, count) in counts.enumerated() { try coding.store(count, index, in: &bytes) }
        }
        try block.withBytes { (bytes) throws(ImageError) in
            for (index, count) in counts.enumerated() { #expect(try coding.count(index, in: bytes) == count) }
        }
    }
}
