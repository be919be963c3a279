import ReimageCore
import ReimageTesting
import Synchronization
import Testing

@testable import ReimageDisks

/// A disk with bad sectors, read as far as it can be.
@Suite struct CaptureDiskTests {
    /// Sectors that fail: for ever, or a number of times.
    final class BadSectors: ByteStore {
        private let store: MemoryStore
        private let unit: UInt64
        private let code: Int32
        /// How many more reads of each sector fail.
        private let bad: Mutex<[UInt64: Int]>
        private let count = Mutex(0)

        init(_ bytes: [UInt8], unit: Int, bad: [UInt64: Int], code: Int32 = 5) {
            store = MemoryStore(bytes, name: "/dev/bad")
            self.unit = UInt64(unit)
            self.bad = Mutex(bad)
            self.code = code
        }

        var reads: Int { count.withLock { $0 } }
        var id: StoreID { store.id }
        var name: String { store.name }
        var identity: StoreIdentity? { nil }
        var byteCount: UInt64 { store.byteCount }
        var traits: StoreTraits { store.traits }

        func fail(_ sectors: Range<UInt64>) { bad.withLock { bad in for sector in sectors { bad[sector] = .max } } }

        func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
            count.withLock { $0 += 1 }
            let sectors = offset.value / unit..<(offset.value + UInt64(buffer.byteCount) + unit - 1) / unit
            let fails = bad.withLock { bad in
                var fails = false
                for sector in sectors {
                    guard let left = bad[sector], left > 0 else { continue }
                    fails = true
                    if left != .max { bad[sector] = left - 1 }
                }
                return fails
            }
            try store.read(into: &buffer, at: offset)
            guard fails else { return }
            buffer.zero()
            throw ImageError(.unreadable, "reading failed", at: .host(offset), file: name, systemCode: code)
        }

        func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
            try store.extent(at: offset, limit: limit)
        }
    }

    private let bytes = PatternDisk.bytes(count: 3 << 20, seed: 4)

    private func run(_ start: UInt64, _ count: UInt64, tries: Int = 1) -> LostRun {
        LostRun(GuestRange(start: GuestOffset(start), count: count), systemCode: 5, tries: tries)
    }

    /// The bytes with zeros for what is lost.
    private func expected(_ lost: [LostRun]) -> [UInt8] {
        lost.reduce(into: bytes) { bytes, run in
            for index in Int(run.range.start.value)..<Int(run.range.end.value) { bytes[index] = 0 }
        }
    }

    @Test(arguments: [512, 4096])
    func losesNoMoreThanTheSectors(_ sector: Int) throws {
        let bad: [UInt64] = [0, 1, 100, 255, 256, UInt64(bytes.count / sector - 1)]
        let store = BadSectors(bytes, unit: sector, bad: Dictionary(uniqueKeysWithValues: bad.map { ($0, .max) }))
        let disk = CaptureDisk(store, sectorSize: sector, options: CaptureOptions(onReadError: .zero, retries: 2))
        let unit = UInt64(sector)
        let lost = [
            run(0, 2 * unit, tries: 3), run(100 * unit, unit, tries: 3), run(255 * unit, 2 * unit, tries: 3),
            run(UInt64(bytes.count) - unit, unit, tries: 3),
        ]
        #expect(try disk.bytes(at: .zero, count: bytes.count, piece: 1 << 20) == expected(lost))
        #expect(disk.lost == lost)
        // Again, in other pieces: the same, and no sector is tried once more.
        let before = store.reads
        #expect(try disk.bytes(at: .zero, count: bytes.count, piece: 100_000) == expected(lost))
        #expect(disk.lost == lost && store.reads - before < 45)
    }

    /// A large dead area costs little more than one try a sector, and every sector around it is read.
    @Test(arguments: [512, 4096], [0, 3])
    func deadAreas(_ physical: Int, _ retries: Int) throws {
        // From the midst of a MiB to the midst of the one after the next, in whole physical sectors.
        let (first, last) = (UInt64(1_000 * 512 / 4096 * 8), UInt64(4_800 * 512 / 4096 * 8))
        let bad = Dictionary(uniqueKeysWithValues: (first..<last).map { ($0, Int.max) })
        let store = BadSectors(bytes, unit: 512, bad: bad)
        let options = CaptureOptions(onReadError: .zero, retries: retries)
        let disk = CaptureDisk(store, sectorSize: 512, physicalSectorSize: physical, options: options)
        let lost = run(first * 512, (last - first) * 512)
        #expect(try disk.bytes(at: .zero, count: bytes.count, piece: 1 << 20) == expected([lost]))
        #expect(disk.lost == [lost])
        // One try for each sector, the larger requests, and a few for edges, samples and whether the device is there.
        let sectors = Int(last - first)
        #expect(store.reads <= (physical == 512 ? sectors + sectors / 6 + 200 : sectors / 3 + 200), "\(store.reads)")
    }

    /// A disk that says that its physical sectors are larger than they are: at the ends of what is dead nothing is lost
    /// that can be read.
    @Test func physicalSectorsThatAreNone() throws {
        let bad = Dictionary(uniqueKeysWithValues: (UInt64(101)..<1003).map { ($0, Int.max) })
        let disk = CaptureDisk(
            BadSectors(bytes, unit: 512, bad: bad), sectorSize: 512, physicalSectorSize: 4096,
            options: CaptureOptions(onReadError: .zero, retries: 0))
        let lost = run(101 * 512, 902 * 512)
        #expect(try disk.bytes(at: .zero, count: bytes.count, piece: 1 << 20) == expected([lost]))
        #expect(disk.lost == [lost])
    }

    /// In a long run of failing sectors, one that comes when it is tried again makes all be tried again.
    @Test func aDeadAreaThatComesBack() throws {
        // Each fails in its large request, in the parts of 64 and 4 KiB, and once by itself.
        let late = Dictionary(uniqueKeysWithValues: (UInt64(2048)..<2248).map { ($0, 4) })
        let store = BadSectors(bytes, unit: 512, bad: late)
        let disk = CaptureDisk(store, sectorSize: 512, options: CaptureOptions(onReadError: .zero, retries: 1))
        #expect(try disk.bytes(at: .zero, count: bytes.count, piece: 1 << 20) == bytes)
        #expect(disk.lost.isEmpty)
    }

    @Test func stops() throws {
        let store = BadSectors(bytes, unit: 512, bad: [3000: .max])
        let disk = CaptureDisk(store, sectorSize: 512)
        let error = #expect(throws: ImageError.self) {
            try disk.bytes(at: .zero, count: bytes.count, piece: 1 << 20)
        }
        #expect(error?.code == .unreadable && error?.place == .guest(GuestOffset(3000 * 512)))
        #expect(error?.message.contains("512 bytes cannot be read") == true && error?.systemCode == 5)
        #expect(error?.advice?.contains("--on-read-error zero") == true && error?.file == "/dev/bad")
        #expect(disk.lost.isEmpty)
    }

    /// A sector that comes at last: its large request, each step and some tries fail before.
    @Test(arguments: [0, 1, 3])
    func triesAgain(_ retries: Int) throws {
        let options = CaptureOptions(onReadError: .zero, retries: retries)
        let comes = BadSectors(bytes, unit: 512, bad: [3000: 4 + retries - 1])
        let disk = CaptureDisk(comes, sectorSize: 512, options: options)
        #expect(try disk.bytes(at: .zero, count: bytes.count, piece: 1 << 20) == bytes)
        #expect(disk.lost.isEmpty)
        let late = BadSectors(bytes, unit: 512, bad: [3000: 4 + retries])
        let other = CaptureDisk(late, sectorSize: 512, options: options)
        let lost = [run(3000 * 512, 512, tries: retries + 1)]
        #expect(try other.bytes(at: .zero, count: bytes.count, piece: 1 << 20) == expected(lost))
        #expect(other.lost == lost)
    }

    /// A device that is gone is not a device full of bad sectors.
    @Test func vanishes() throws {
        let store = BadSectors(bytes, unit: 512, bad: [:])
        let disk = CaptureDisk(store, sectorSize: 512, options: CaptureOptions(onReadError: .zero, retries: 0))
        let cursor = try disk.makeCursor()
        _ = try cursor.bytes(at: .zero, count: 1 << 20)
        store.fail(0..<UInt64(bytes.count / 512))
        let error = #expect(throws: ImageError.self) { try cursor.bytes(at: GuestOffset(1 << 20), count: 1 << 20) }
        #expect(error?.code == .unreadable && error?.message.contains("does not answer") == true)
        #expect(disk.lost.isEmpty)
        // Other failures than those of a medium end it at once: no such device, no medium, a read past the end.
        for code in [6, 19, 123, 22] as [Int32] {
            let other = BadSectors(bytes, unit: 512, bad: [8: .max], code: code)
            let disk = CaptureDisk(other, sectorSize: 512, options: CaptureOptions(onReadError: .zero))
            let error = #expect(throws: ImageError.self) { try disk.bytes(at: .zero, count: 1 << 20) }
            #expect(error?.systemCode == code && other.reads == 1)
        }
        let cut = CaptureDisk(MemoryStore([]), sectorSize: 512, options: CaptureOptions(onReadError: .zero))
        #expect(throws: ImageError.self) { try cut.makeCursor().bytes(at: .zero, count: 512) }
    }

    @Test func cancels() throws {
        let cancellation = Cancellation()
        let store = BadSectors(bytes, unit: 512, bad: [5: .max])
        let disk = CaptureDisk(
            store, sectorSize: 512, options: CaptureOptions(onReadError: .zero, retries: 1000),
            cancellation: cancellation)
        cancellation.cancel()
        let error = #expect(throws: ImageError.self) { try disk.bytes(at: .zero, count: 4096) }
        #expect(error?.code == .cancelled && store.reads == 0)
    }

    @Test func mapFiles() {
        let lost = [run(0x200, 0x200), run(0x400, 0x200, tries: 2), run(0x10000, 0x1000)]
        #expect(
            RescueMap.text(byteCount: 0x1_0000_0000, lost: lost).split(separator: "\n").filter { !$0.hasPrefix("#") }
                == [
                    "0x100000000  +  1", "0x00000000  0x00000200  +", "0x00000200  0x00000400  -",
                    "0x00000600  0x0000FA00  +", "0x00010000  0x00001000  -", "0x00011000  0xFFFEF000  +",
                ])
        #expect(RescueMap.text(byteCount: 512, lost: [run(0, 512)]).hasSuffix("0x00000000  0x00000200  -\n"))
    }
}
