import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// Disks whose footer has two sizes.
@Suite struct SizeTests {
    private let geometry = Geometry(cylinders: 2, heads: 1, sectorsPerTrack: 6)  // 6144 bytes

    private func dynamic(_ creator: Creator, _ blocks: [Int] = [], size: UInt64 = 12_288) throws -> [UInt8] {
        var image = VHDBuilder(size: size)
        image.footer.creator = creator
        image.footer.geometry = geometry
        for block in blocks { image.store(block, pattern(block, 4096)) }
        return try image.finished()
    }

    @Test func creatorDecides() throws {
        #expect(try open(try dynamic(.windows)).info().virtualSize == 12_288)
        for creator in [Creator.virtualPC, .qemu] {
            let image = try open(try dynamic(creator))
            #expect(try image.info().virtualSize == 6144)
            #expect(try image.info().remarks.contains { $0.contains("two sizes") })
            #expect(try device(image).byteCount == 6144)
        }
        var image = VHDBuilder(size: 4096)
        image.footer.creator = .virtualPC
        image.footer.geometry = Geometry(cylinders: 0, heads: 0, sectorsPerTrack: 0)
        #expect(try open(try image.finished()).info().virtualSize == 4096)
        expectError(.invalidArgument, "geometry", at: 56) {
            _ = try open(try image.finished(), options: ["vhd-size": "chs"])
        }
        image.footer.geometry = .largest
        #expect(try open(try image.finished()).info().virtualSize == 4096)
    }

    @Test func dataBehindTheChosenEndIsNotLost() throws {
        // Block 1 passes the geometry's 6144 bytes, block 2 lies behind.
        for block in [1, 2] {
            let image = try dynamic(.virtualPC, [0, block])
            for size in ["12288", "6144"] { expectError(.refused, size) { _ = try contents(image) } }
            let error = #expect(throws: ImageError.self) { try contents(image) }
            #expect(error?.advice?.contains("--vhd-size current") == true)
            #expect(error?.advice?.contains("--vhd-size chs") == true)
            #expect(try open(image).info().virtualSize == 6144)
            #expect(try contents(image, options: ["vhd-size": "current"]).count == 12_288)
            let cut = try contents(image, options: ["vhd-size": "chs"])
            #expect(cut == Array(try contents(image, options: ["vhd-size": "current"])[..<6144]))
            #expect(try notes(image, options: ["vhd-size": "chs"]).contains { $0.contains("6144 bytes behind") })
        }
        #expect(try contents(try dynamic(.virtualPC, [0])).count == 6144)
    }

    @Test func zerosBehindTheChosenEndAreNoLoss() throws {
        var image = VHDBuilder(size: 12_288)
        image.footer.creator = .virtualPC
        image.footer.geometry = geometry
        image.store(1, pattern(1, 2048))
        image.store(2, [])
        #expect(try contents(try image.finished()).count == 6144)
    }

    @Test func geometryThatPassesTheSize() throws {
        // The geometry spans 6144 bytes of a disk of 4608: the rest of its last block may hold data, and more entries.
        var image = VHDBuilder(size: 4608)
        image.footer.geometry = geometry
        image.store(1, pattern(1, 512))
        #expect(try contents(try image.finished()).count == 4608)
        image.store(1, pattern(1, 1024))
        expectError(.refused, "6144") { _ = try contents(try image.finished()) }
        #expect(try contents(try image.finished(), options: ["vhd-size": "current"]).count == 4608)
    }

    /// The last block may be cut where the disk ends, whatever its geometry spans; but not before.
    @Test(arguments: [Creator.windows, .virtualPC]) func geometryThatPassesACutBlock(_ creator: Creator) throws {
        var image = VHDBuilder(size: 4608)
        image.footer.creator = creator
        image.footer.geometry = geometry
        image.store(1, pattern(1, 512))
        var file = PatchedFile(bytes: try image.finished())
        file.bytes.removeSubrange(file.tail - 3584..<file.tail)
        #expect(try contents(file.bytes).count == 4608)
        file.bytes.removeLast(512)
        #expect(try contents(file.bytes).count == 4608)
        file.bytes.removeLast(1)
        expectError(.damaged, "block 1") { _ = try contents(file.bytes) }

        image.footer.geometry = Geometry(cylinders: 8, heads: 1, sectorsPerTrack: 1)
        file = PatchedFile(bytes: try image.finished())
        file.bytes.removeSubrange(file.tail - 4096..<file.tail)
        expectError(.damaged, "block 1") { _ = try contents(file.bytes) }
    }

    @Test func fixedFilesThatHoldMore() throws {
        let data = pattern(1, 8192)
        var image = VHDBuilder(fixed: data)
        image.footer.currentSize = 4096
        expectError(.refused, "4096") { _ = try contents(try image.finished()) }
        let current = ["vhd-size": "current"]
        #expect(try contents(try image.finished(), options: current) == Array(data[..<4096]))
        #expect(try notes(try image.finished(), options: current).contains { $0.contains("4096 bytes behind") })
        image = VHDBuilder(fixed: Array(data[..<4096]) + [UInt8](repeating: 0, count: 4096))
        image.footer.currentSize = 4096
        #expect(try contents(try image.finished()) == Array(data[..<4096]))

        image = VHDBuilder(fixed: data)
        image.footer.creator = .virtualPC
        image.footer.geometry = geometry
        expectError(.refused, "6144") { _ = try contents(try image.finished()) }
        #expect(try contents(try image.finished(), options: current) == data)
        #expect(try contents(try image.finished(), options: ["vhd-size": "chs"]) == Array(data[..<6144]))
    }

    @Test func damageBehindTheChosenEndIsSeen() throws {
        var image = VHDBuilder(size: 12_288)
        image.footer.creator = .virtualPC
        image.footer.geometry = geometry
        image.setEntry(2, 1)
        expectError(.damaged, "block 2", at: image.entryPlace(2)) { _ = try contents(try image.finished()) }
    }
}
