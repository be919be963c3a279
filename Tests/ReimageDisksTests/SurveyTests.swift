import ReimageCore
import ReimageDisks
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

/// How what the kernel knows, the table on the disk and the superblocks become one picture.
@Suite struct SurveyTests {
    /// A table as a test says it is.
    private struct Table: PartitionReading {
        var entries: [PartitionEntry] = []
        var error: ImageError?

        func partitions(of store: any ByteStore, sectorSize: Int) throws(ImageError) -> PartitionListing {
            if let error { throw error }
            return PartitionListing(kind: "gpt", entries: entries)
        }
    }

    private let disk = Device(
        name: "sdx", path: "/dev/sdx", number: DeviceNumber(major: 8, minor: 0), byteCount: 1 << 20)

    private let part: Device = {
        var part = Device(
            name: "sdx1", path: "/dev/sdx1", number: DeviceNumber(major: 8, minor: 1), kind: .partition,
            byteCount: 256 << 10)
        part.place = Device.Place(disk: "sdx", number: 1, start: 64 << 10)
        return part
    }()

    private func entry(_ number: Int, _ start: UInt64, _ count: UInt64) -> PartitionEntry {
        PartitionEntry(number: number, range: HostRange(start: HostOffset(start), count: count), name: "part \(number)")
    }

    /// Zeros with the mark of a swap area at `offset`.
    private func swap(at offset: Int, of count: Int) -> MemoryStore {
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.replaceSubrange(offset + 4086..<offset + 4096, with: "SWAPSPACE2".utf8)
        return MemoryStore(bytes, name: "/dev/sdx")
    }

    @Test func partitionsOfTheTable() {
        let table = Table(entries: [entry(2, 512 << 10, 128 << 10), entry(1, 64 << 10, 256 << 10)])
        let store = swap(at: 512 << 10, of: 1 << 20)
        let survey = DeviceSurvey(disk, kernel: [], tables: table) { _ in store }
        #expect(survey.partitions.map(\.entry.number) == [1, 2])
        #expect(survey.partitions.map { $0.signatures.map(\.kind) } == [[], [.swap]])
        #expect(survey.problems.isEmpty && survey.signatures.isEmpty)
    }

    @Test func kernelAndTableAgree() {
        let table = Table(entries: [entry(1, 64 << 10, 256 << 10)])
        let survey = DeviceSurvey(disk, kernel: [part], tables: table) { path in
            path == "/dev/sdx1" ? swap(at: 0, of: 256 << 10) : MemoryStore([UInt8](repeating: 0, count: 1 << 20))
        }
        #expect(survey.partitions.map(\.entry.name) == ["part 1"])
        #expect(survey.partitions.map(\.kernelName) == ["sdx1"])
        #expect(survey.partitions.first?.signatures.map(\.kind) == [.swap], "through its own node")
    }

    @Test func kernelAndTableDiffer() {
        let table = Table(entries: [entry(1, 128 << 10, 256 << 10), entry(2, 512 << 10, 1 << 10)])
        let survey = DeviceSurvey(disk, kernel: [part], tables: table) { _ in
            MemoryStore([UInt8](repeating: 0, count: 1 << 20), name: "/dev/sdx")
        }
        #expect(survey.partitions.map(\.entry.range.start.value) == [64 << 10])
        #expect(survey.problems.map(\.code) == [.damaged, .damaged])
        #expect(survey.problems.first?.file == "/dev/sdx")
    }

    @Test func whatCannotBeRead() {
        let closed = DeviceSurvey(disk, kernel: [part]) { (path) throws(ImageError) in
            throw ImageError(.unreadable, "cannot be opened", systemCode: 13)
        }
        #expect(closed.partitions.count == 1)
        #expect(closed.problems == [ImageError(.unreadable, "cannot be opened", file: "/dev/sdx", systemCode: 13)])
        let table = Table(error: .damaged("two headers differ", at: HostOffset(512)))
        let damaged = DeviceSurvey(disk, kernel: [part], tables: table) { _ in swap(at: 0, of: 1 << 20) }
        #expect(damaged.problems.map(\.message) == ["two headers differ"])
        #expect(damaged.partitions.first?.signatures.map(\.kind) == [.swap])
        var empty = disk
        empty.byteCount = 0
        let none = DeviceSurvey(empty, kernel: []) { (path) throws(ImageError) in
            Issue.record("a drive without a medium is not opened")
            throw ImageError(.unreadable, "no medium")
        }
        #expect(none.problems.isEmpty)
    }

    @Test func partitionBehindTheEnd() {
        let table = Table(entries: [entry(1, 2 << 20, 1 << 20), entry(2, 1 << 63, 1 << 62)])
        let survey = DeviceSurvey(disk, kernel: [], tables: table) { _ in swap(at: 0, of: 1 << 20) }
        #expect(survey.partitions.map { $0.signatures.count } == [0, 0])
    }
}
