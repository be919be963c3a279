import ReimageCore
import ReimagePipeline
import Testing

@Suite struct CompareTests {
    private func compare(
        _ first: [(Extent.Kind, Int)], _ second: [(Extent.Kind, Int)], seed: Int = 0, strict: Bool = false,
        threads: Int = 4
    ) throws -> Comparison {
        try CompareJob(
            ScriptedDisk(first), ScriptedDisk(second, seed: seed), isStrict: strict,
            options: JobOptions(threadCount: threads)
        ).run()
    }

    @Test func equalDisksAreIdentical() throws {
        let runs = ScriptedDisk.mixed(6_000_123, seed: 9)
        #expect(try compare(runs, runs) == .identical)
        #expect(try compare(runs, runs, strict: true) == .identical)
        #expect(try compare([], []) == .identical)
    }

    @Test func zerosAreEqualHoweverTheyAreKept() throws {
        #expect(try compare([(.hole, 5 << 20)], [(.zero, 3 << 20), (.hole, 2 << 20)]) == .identical)
        #expect(try compare([(.hole, 5 << 20)], [(.zero, 3 << 20), (.unreadable, 2 << 20)]) == .identical)
    }

    @Test(arguments: [1, 2, 8])
    func theFirstDifferenceIsTold(_ threads: Int) throws {
        let first: [(Extent.Kind, Int)] = [(.data, 12 << 20)]
        for place in [0, 1, 4095, 65536, (1 << 20) - 1, 1 << 20, 5_000_001, (12 << 20) - 1] {
            let second: [(Extent.Kind, Int)] = [(.data, place), (.hole, 1), (.data, (12 << 20) - place - 1)]
            let expected = Comparison.differs(at: GuestOffset(UInt64(place)))
            #expect(try compare(first, second.filter { $0.1 > 0 }, threads: threads) == expected)
        }
    }

    @Test func theRestOfALongerDiskCountsAsZeros() throws {
        let short: [(Extent.Kind, Int)] = [(.data, 1_500_000)]
        #expect(try compare(short, short + [(.hole, 9 << 20)]) == .identical)
        #expect(try compare(short + [(.zero, 77)], short) == .identical)
        let longer = short + [(.zero, 3 << 20), (.data, 1)]
        #expect(try compare(short, longer) == .differs(at: GuestOffset(1_500_000 + 3 << 20)))
        #expect(try compare(longer, short) == .differs(at: GuestOffset(1_500_000 + 3 << 20)))
        #expect(try compare(short, short + [(.hole, 1)], strict: true) == .sizesDiffer)
    }

    @Test func strictLooksAtAllocationToo() throws {
        let stored = ZeroDataDisk(byteCount: 3 << 20)
        let empty = EmptyDisk(byteCount: 3 << 20)
        #expect(try CompareJob(stored, empty).run() == .identical)
        #expect(try CompareJob(stored, empty, isStrict: true).run() == .allocationDiffers(at: .zero))
    }

    @Test func anErrorIsNoResult() throws {
        let good = ScriptedDisk([(.data, 8 << 20)])
        let bad = ScriptedDisk([(.data, 8 << 20)], badByte: 4_000_000)
        let error = #expect(throws: ImageError.self) { try CompareJob(good, bad).run() }
        #expect(error?.code == .unreadable)
    }
}

/// Zeros that are stored as data.
private struct ZeroDataDisk: BlockDevice, Sendable {
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore] = []

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent { Extent(.data, count: min(limit, byteCount - offset.value)) }

    func makeCursor() throws(ImageError) -> any DiskCursor { Zeros() }

    private final class Zeros: DiskCursor {
        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) { buffer.zero() }
    }
}
