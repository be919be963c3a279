import QCOW2Format
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

/// Images that must not be written, and stores that cannot be.
@Suite struct UpdateFaultTests {
    private func image(_ change: (inout ImageBuilder) -> Void = { _ in }) -> ImageBuilder {
        var image = ImageBuilder(size: 64 << 10)
        for cluster in 0..<8 { image.data(UInt64(cluster), pattern(cluster, 512)) }
        change(&image)
        return image
    }

    private func open(_ bytes: [UInt8]) throws(ImageError) -> any WritableDisk {
        let store = MemoryStore(bytes, name: "test.qcow2")
        return try QCOW2Format().openForWriting(UpdateTarget(store: store), OpenContext())
    }

    private func write(_ bytes: [UInt8], at offset: UInt64 = 0) throws {
        let disk = try open(bytes)
        try pattern(99, 1024).withBytes { (span) throws(ImageError) in
            try disk.write(span, at: GuestOffset(offset))
        }
    }

    @Test func soundImagesAreWritten() throws { try write(image().finished()) }

    @Test(arguments: [1, 2] as [UInt64]) func dirtyAndCorruptImagesAreRefused(bit: UInt64) {
        let error = #expect(throws: ImageError.self) { try write(image { $0.incompatible = bit }.finished()) }
        #expect(error?.code == .refused)
        #expect(error?.advice?.contains("check -r all test.qcow2") == true)
    }

    @Test func whatTheTablesContradictIsNotWritten() throws {
        let sound = image()
        var places = sound
        let entry = places.entryPlace(0)
        let cases: [(String, (inout ImageBuilder, inout [UInt8]) -> Void)] = [
            ("COPIED clear, refcount 1", { image, bytes in bytes[entry] = 0 }),
            ("refcount 0 of data", { image, bytes in self.setCount(0, of: image.plain[0] ?? 0, &bytes) }),
            ("refcount 2 of data", { image, bytes in self.setCount(2, of: image.plain[0] ?? 0, &bytes) }),
            ("refcount 2 of the L2 table", { image, bytes in self.setCount(2, of: image.tables[0] ?? 0, &bytes) }),
            (
                "data on the refcount block",
                { image, bytes in bytes.replaceSubrange(entry + 6..<entry + 8, with: [4, 0]) }
            ),
            ("a block in no cluster", { image, bytes in bytes[512 + 7] = 1 }),
            ("no block", { image, bytes in bytes[512 + 6] = 0 }),
        ]
        for (name, damage) in cases {
            var image = sound
            var bytes = image.finished()
            damage(&image, &bytes)
            let error = #expect(throws: ImageError.self, "\(name)") { try write(bytes) }
            #expect(error?.code == .damaged, "\(name): \(error.map { "\($0)" } ?? "")")
            #expect(error?.advice?.contains("check -r all") == true, "\(name)")
        }
    }

    private func setCount(_ count: UInt8, of offset: UInt64, _ bytes: inout [UInt8]) {
        bytes[2 * 512 + Int(offset / 512) * 2 + 1] = count
    }

    /// The clusters of the header, the tables and the L2 table are counted as free.
    @Test func noTableIsGivenAway() throws {
        for cluster in [0, 1, 2, 3, 4] as [UInt64] {
            var bytes = image().finished()
            setCount(0, of: cluster * 512, &bytes)
            let error = #expect(throws: ImageError.self, "\(cluster)") { try write(bytes, at: 60 << 10) }
            #expect(error?.code == .damaged, "\(error.map { "\($0)" } ?? "")")
        }
    }

    @Test func aMissingRefcountTableIsRefused() throws {
        var bytes = image().finished()
        bytes.replaceSubrange(56..<60, with: [0, 0, 0, 0])
        let error = #expect(throws: ImageError.self) { try open(bytes) }
        #expect(error?.code == .refused)
    }

    @Test func autoclearBitsAreTakenAwayByTheFirstChange() throws {
        let store = MemoryStore(image { $0.autoclear = 1 << 40 | 1 }.finished())
        let disk = try QCOW2Format().openForWriting(UpdateTarget(store: store), OpenContext())
        #expect(store.bytes[88..<96].contains { $0 != 0 })
        try disk.discard(GuestRange(start: .zero, count: 512))
        #expect(!store.bytes[88..<96].contains { $0 != 0 })
    }

    /// Whichever write fails: the error says so, the image is sound, and nothing is written any more.
    @Test func aFailedWriteEndsTheWork() throws {
        let bytes = image().finished()
        let old = try contents(bytes)
        for most in 0..<20 {
            let memory = MemoryStore(bytes)
            let store = InterruptedStore(memory, after: most)
            let disk = try QCOW2Format().openForWriting(UpdateTarget(store: store), OpenContext())
            var failures = 0
            for offset in stride(from: UInt64(200), to: 60_000, by: 9000) {
                do throws(ImageError) {
                    try pattern(5, 3000).withBytes { (span) throws(ImageError) in
                        try disk.write(span, at: GuestOffset(offset))
                    }
                    #expect(failures == 0)
                } catch {
                    #expect(error.code == .targetFailed)
                    failures += 1
                }
            }
            #expect(failures > 0)
            #expect(throws: ImageError.self) { try disk.flush() }
            let now = try contents(memory.bytes)
            for place in now.indices where now[place] != old[place] {
                #expect(place >= 200 && (place - 200) % 9000 < 3000)
            }
        }
    }
}
