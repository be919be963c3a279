import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// What the writers write, the reader reads.
@Suite struct WriterConformanceTests {
    private let suite = FormatConformance(VHDFormat())

    private static let options: [[String: String]] = [
        [:], ["subformat": "fixed"], ["block_size": "4k"], ["block_size": "64k", "sparse": "on"],
        ["block_size": "4M"], ["subformat": "fixed", "sparse": "on"],
    ]

    private func disk(_ count: Int, seed: UInt64) -> [UInt8] {
        PatternDisk.bytes(count: count, seed: seed) + [UInt8](repeating: 0, count: (512 - count % 512) % 512)
    }

    @Test(arguments: options, [1, 512, 65_537, 3_000_000])
    func readsBack(_ options: [String: String], count: Int) throws {
        for grain in [4096, 0] where grain != 0 || options["sparse"] == nil {
            let plan = WritePlan(byteCount: nil, options: options, sparseGrain: grain)
            let guest = disk(count, seed: 5)
            try suite.checkWriter(guest, plan: plan)
            try suite.checkWriter(guest, plan: plan, mixes: [.init(tellsByteCount: false)])
        }
    }

    /// A block is opened for whatever comes first in it, and filled up before, between and behind.
    @Test func blocksThatHoldLittle() throws {
        for (block, places) in [
            (4 << 20, [5 << 20, 12 << 20 - 1]), (4 << 20, [0, 3 << 20, 9 << 20]), (1 << 20, [1 << 20, 7 << 20]),
        ] {
            var guest = [UInt8](repeating: 0, count: 13 << 20)
            for place in places { guest[place] = 1 }
            try suite.checkWriter(guest, plan: WritePlan(byteCount: nil, options: ["block_size": "\(block)"]))
        }
    }

    /// In front of a parent, every sector is read from where it was put: also zeros over the parent's data.
    @Test(arguments: ["4k", "64k", "2M", "4M"])
    func readsBackOverAParent(_ block: String) throws {
        let id = [UInt8](repeating: 7, count: 16)
        let guest = disk(3_000_000, seed: 8)
        for zeroKind in [Extent.Kind.zero, .hole] {
            // A hole is the parent's to decide: it has zeros there. Else it has data everywhere, which must be hidden.
            let below = [UInt8](repeating: zeroKind == .hole ? 0 : 0xEE, count: guest.count)
            let parent = try suite.write(
                below, plan: WritePlan(byteCount: nil, stamp: ImageStamp(uniqueID: id)))
            let plan = WritePlan(
                byteCount: nil, options: ["block_size": block],
                backing: Reference(role: "backing file", name: "base.vhd", format: "vhd"),
                backingFacts: BackingFacts(path: "/base.vhd", uniqueID: id))
            let resolver = FakeResolver(images: ["base.vhd": parent])
            try suite.checkWriter(
                guest, plan: plan,
                mixes: [
                    .init(zeroKind: zeroKind), .init(chunksPerBatch: 3, skipsZeros: false, zeroKind: zeroKind),
                    .init(skipsZeros: false, marksZeros: false), .init(zeroKind: zeroKind, tellsByteCount: false),
                ], context: OpenContext(references: resolver))
            #expect(!resolver.asked.all.isEmpty)
        }
    }

    /// Every written image passes all checks of reading.
    @Test(arguments: [[:], ["subformat": "fixed"]])
    func passesTheChecksOfReading(_ options: [String: String]) throws {
        let guest = disk(300_000, seed: 9)
        let image = try suite.write(guest, plan: WritePlan(byteCount: nil, options: options))
        var sample = FormatConformance.Sample("written", image: image, guest: guest)
        sample.isRecognised = options.isEmpty
        let disk = try VHDFormat().open(ImageSource(store: MemoryStore(image)), OpenContext()).content()
        guard case .random(let device) = disk else { return #expect(Bool(false), "a VHD is a disk") }
        try suite.checkExtents(of: device, sample)
        try suite.checkReads(of: device, sample)
        try suite.checkFaults(sample)
    }
}
