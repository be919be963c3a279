import ReimageCore
import Synchronization
import Testing

/// Backing files and external data files.
@Suite struct ReferenceTests {
    private func overlay(size: UInt64, format: String? = "raw", _ build: (inout ImageBuilder) -> Void = { _ in })
        -> [UInt8]
    {
        var image = ImageBuilder(size: size)
        if let format { image.extensions = [(0xE279_2ACA, Array(format.utf8))] }
        image.backingName = Array("base".utf8)
        build(&image)
        return image.finished()
    }

    @Test(arguments: [0, 1, 511, 700, 2048, 5000]) func backingOfAnyLength(count: Int) throws {
        let base = pattern(1, count)
        let bytes = overlay(size: 4096) { image in
            image.data(1, pattern(2, 512))
            image.map(2, 1)
        }
        var expected = Array((base + [UInt8](repeating: 0, count: 4096)).prefix(4096))
        expected.replaceSubrange(512..<1024, with: pattern(2, 512))
        expected.replaceSubrange(1024..<1536, with: [UInt8](repeating: 0, count: 512))
        let resolver = FakeResolver(images: ["base": base])
        let disk = try device(try open(bytes, resolver))
        #expect(try read(disk) == expected)
        for extent in try extents(disk) where extent.kind == .data { #expect(extent.stored != nil) }
        #expect(
            resolver.asked.references.withLock { $0 } == [
                Reference(role: "backing file", name: "base", format: .raw)
            ])
    }

    @Test func extentsNameTheLayer() throws {
        let middle = overlay(size: 2048) { $0.data(0, pattern(3, 512)) }
        let top = overlay(size: 4096, format: "qcow2") { image in
            image.backingName = Array("middle".utf8)
            image.map(7, 1)
        }
        var base = [UInt8](repeating: 0, count: 1536)
        base.replaceSubrange(512..<1024, with: pattern(4, 512))
        let disk = try device(try open(top, FakeResolver(images: ["middle": middle, "base": base])))
        #expect(
            shape(try extents(disk)).map { $0.split(separator: " at ")[0] } == [
                "data 512 depth 1", "data 512 depth 2", "zero 512 depth 2", "hole 512 depth 1", "hole 1536 depth 0",
                "zero 512 depth 0",
            ])
        #expect(shape(try extents(disk, layers: .top)) == ["hole 3584 depth 0", "zero 512 depth 0"])
        #expect(disk.stores.count == 3)
    }

    @Test func nameEndsAtANul() throws {
        let bytes = overlay(size: 512) { $0.backingName = Array("base\0other".utf8) }
        #expect(try open(bytes, opensReferences: false).info().backing?.name == "base")
    }

    @Test func referencesNeedAResolver() throws {
        let bytes = overlay(size: 512)
        let error = #expect(throws: ImageError.self) { try open(bytes) }
        #expect(error?.code == .refused)
        #expect(error?.message.contains("base") == true)
        let image = try open(bytes, opensReferences: false)
        #expect(try image.info().backing == Reference(role: "backing file", name: "base", format: .raw))
        #expect(throws: ImageError.self) { try image.content() }
    }

    @Test func streamBelowIsRefused() {
        let error = #expect(throws: ImageError.self) {
            try open(overlay(size: 512), FakeResolver(streams: ["base"]))
        }
        #expect(error?.code == .refused)
    }

    @Test func nameThatIsNoTextIsRefused() {
        expectError(.unsupported, "UTF-8") { _ = try open(overlay(size: 512) { $0.backingName = [0x66, 0xFF] }) }
        expectError(.damaged, "empty") { _ = try open(overlay(size: 512) { $0.backingName = [0, 65] }) }
    }

    @Test func longWalkOverAFragmentedChainIsQuick() throws {
        // Every other cluster of the backing disk: the overlay's one hole is asked for 50,000 times.
        var base = ImageBuilder(size: 512 * 100_000)
        let place = base.append(pattern(1, 512))
        for cluster in stride(from: 0, to: 100_000, by: 2) { base.map(UInt64(cluster), place) }
        let top = overlay(size: 512 * 100_000, format: "qcow2")
        let disk = try device(try open(top, FakeResolver(images: ["base": base.finished()])))
        let start = ContinuousClock.now
        #expect(try extents(disk).count == 100_000)
        #expect(ContinuousClock.now - start < .seconds(10))
    }
}

@Suite struct DataFileTests {
    private func image(raw: Bool = false, named: Bool = true, _ build: (inout ImageBuilder) -> Void) -> [UInt8] {
        var image = ImageBuilder(size: 2048)
        image.incompatible = 4
        if raw { image.autoclear = 2 }
        if named { image.extensions = [(0x4441_5441, Array("data".utf8))] }
        build(&image)
        return image.finished()
    }

    private let guest = pattern(5, 2048)
    private var resolver: FakeResolver { FakeResolver(stores: ["data": guest]) }

    @Test func offsetsAreTheGuests() throws {
        let bytes = image { image in
            image.map(0, 1 << 63)
            image.map(1, 1)
            image.map(3, 1 << 63 | 1536)
        }
        let zeros = [UInt8](repeating: 0, count: 1024)
        let disk = try device(try open(bytes, resolver))
        #expect(try read(disk) == Array(guest[..<512]) + zeros + Array(guest[1536...]))
        #expect(disk.stores.count == 2)
        #expect(try extents(disk).first?.stored?.store == disk.stores[1].id)
    }

    @Test func rawDataFileIsReadThroughTheTables() throws {
        let bytes = image(raw: true) { image in
            for index in 0..<4 { image.map(UInt64(index), 1 << 63 | UInt64(index * 512)) }
        }
        let opened = try open(bytes, resolver)
        #expect(try read(try device(opened)) == guest)
        #expect(try extents(try device(opened)).count == 1)
        let fields = try opened.info().specific
        #expect(fields.contains(InfoField("data-file", .text("data"))))
        #expect(fields.contains(InfoField("data-file-raw", .flag(true))))
    }

    @Test func brokenEntriesAreErrors() {
        expectError(.damaged, "is not the guest's") {
            _ = try contents(image { $0.map(0, 1 << 63 | 512) }, resolver)
        }
        expectError(.damaged, "is not the guest's") { _ = try contents(image { $0.map(1, 1 << 63) }, resolver) }
        expectError(.damaged, "compressed") { _ = try contents(image { $0.map(0, 1 << 62 | 512) }, resolver) }
        expectError(.damaged, "past the end") {
            _ = try contents(image { $0.map(3, 1 << 63 | 1536) }, FakeResolver(stores: ["data": Array(guest[..<1536])]))
        }
        expectError(.damaged, "does not name it") { _ = try open(image(named: false) { _ in }) }
    }

    @Test func referencesNeedAResolver() throws {
        let bytes = image { _ in }
        let error = #expect(throws: ImageError.self) { try open(bytes) }
        #expect(error?.code == .refused)
        #expect(throws: ImageError.self) { try open(bytes, opensReferences: false).content() }
    }
}
