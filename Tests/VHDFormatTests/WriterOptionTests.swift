import ReimageCore
import Testing

@testable import VHDFormat

/// Options and disks that a VHD writer does not take.
@Suite struct WriterOptionTests {
    private static let wrong: [([String: String], String)] = [
        (["size": "1"], "'size'"), (["backing_file": "x"], "backing_file"), (["backing_fmt": "vhd"], "backing_fmt"),
        (["subformat": "thin"], "subformat"), (["block_size": "3000"], "block_size"),
        (["block_size": "2K"], "block_size"), (["block_size": "512M"], "block_size"),
        (["block_size": "3M"], "block_size"), (["block_size": "2MB"], "block_size"),
        (["subformat": "fixed", "block_size": "2M"], "fixed"), (["force_size": "off"], "force_size"),
        (["force_size": "maybe"], "force_size"), (["sparse": "1"], "sparse"), (["profile": "aws"], "profile"),
        (["profile": "azure", "subformat": "dynamic"], "Azure"), (["profile": "azure", "block_size": "1M"], "fixed"),
    ]

    @Test(arguments: wrong)
    func isRefused(_ options: [String: String], _ word: String) {
        let error = #expect(throws: ImageError.self) {
            try VHDFormat().makeWriter(WritePlan(byteCount: 1 << 20, options: options))
        }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    /// An unknown name is answered with those that are known.
    @Test func unknownNamesAreAnswered() {
        let error = #expect(throws: ImageError.self) {
            try VHDFormat().makeWriter(WritePlan(byteCount: 1 << 20, options: ["cluster_size": "64k"]))
        }
        #expect(error?.advice?.contains("subformat, block_size, force_size, sparse, profile") == true)
    }

    @Test func whatNoVHDCanBe() {
        for (plan, word) in [
            (WritePlan(byteCount: 1 << 20, compression: CompressionRequest()), "compressed"),
            (WritePlan(byteCount: 0), "0 bytes"), (WritePlan(byteCount: 0, options: ["subformat": "fixed"]), "0 bytes"),
            (WritePlan(byteCount: 2040 << 30 + 1), "2040 GiB"), (WritePlan(byteCount: .max), "2040 GiB"),
            (WritePlan(byteCount: 2041 << 30, options: ["profile": "azure"]), "2040 GiB"),
            (WritePlan(byteCount: 2040 << 30, options: ["block_size": "256k"]), "1 TiB"),
            (WritePlan(byteCount: 17 << 30, options: ["block_size": "4k"]), "16 GiB"),
        ] {
            let error = #expect(throws: ImageError.self) { try VHDFormat().makeWriter(plan) }
            #expect(error?.code == .unsupported)
            #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
        }
    }

    @Test func theLargestDisksAreTaken() throws {
        for options in [[:], ["subformat": "fixed"], ["profile": "azure"], ["block_size": "512k"]] {
            _ = try VHDFormat().makeWriter(WritePlan(byteCount: 2040 << 30, options: options))
        }
        _ = try VHDFormat().makeWriter(WritePlan(byteCount: 16 << 30, options: ["block_size": "4k"]))
    }

    /// A stream whose length shows only at its end is refused there.
    @Test(arguments: [["subformat": "fixed"], [:]])
    func aStreamThatIsTooLong(_ options: [String: String]) throws {
        for count in [0, 2041 << 30] as [UInt64] {
            let writer = try VHDFormat().makeWriter(WritePlan(byteCount: nil, options: options))
            var placement = Placement()
            let error = #expect(throws: ImageError.self) {
                try writer.finish(WrittenDisk(byteCount: count), into: &placement)
            }
            #expect(error?.code == .unsupported)
        }
    }

    /// The table's 32-bit sectors end at 2 TiB, which blocks with many bitmaps between them reach before the disk ends.
    @Test func theFileEndsWhereEntriesDo() throws {
        let plan = WritePlan(byteCount: 2040 << 30, options: ["block_size": "512k"], sparseGrain: 0)
        let writer = try VHDFormat().makeWriter(plan)
        let error = #expect(throws: ImageError.self) {
            var start: UInt64 = 0
            while start < 2040 << 30 {
                var placement = Placement()
                let count = min(writer.needs.longestSkip, 2040 << 30 - start)
                try writer.skip(.zero, GuestRange(start: GuestOffset(start), count: count), into: &placement)
                start += count
            }
        }
        #expect(error?.code == .unsupported)
        #expect(error?.message.contains("2 TiB") == true)
        #expect(error?.advice?.contains("block_size=2M") == true)
    }

    /// What is added to the disk is said, once the image is finished.
    @Test func remarksTellOfLongerDisks() throws {
        for (count, options, number) in [
            (700, [:], 1024), (512, [:], 0), (1 << 20, ["profile": "azure"], 0),
            (1 << 20 + 512, ["profile": "azure"], 2 << 20),
        ] as [(UInt64, [String: String], Int)] {
            let writer = try VHDFormat().makeWriter(WritePlan(byteCount: count, options: options))
            var placement = Placement()
            try writer.finish(WrittenDisk(byteCount: count), into: &placement)
            #expect(writer.remarks.count == (number == 0 ? 0 : 1))
            #expect(writer.remarks.allSatisfy { $0.contains(" \(number) ") && $0.contains(" \(count) ") })
        }
    }

    @Test func aRunOfZerosThatIsNone() {
        for (grain, options) in [(1000, [:]), (256, [:]), (0, ["sparse": "on"])] {
            let error = #expect(throws: ImageError.self) {
                try VHDFormat().makeWriter(WritePlan(byteCount: 1 << 20, options: options, sparseGrain: grain))
            }
            #expect(error?.code == .invalidArgument)
        }
    }
}
