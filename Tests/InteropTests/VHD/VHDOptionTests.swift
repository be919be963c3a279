import Foundation
import TestSupport
import Testing

/// What the user decides about reading a VHD: the size, the parent's place, and whether it is one at all.
@Suite struct VHDOptionTests {
    private let reimage = Program.reimage

    private func run(_ arguments: [String], _ made: VHDBuilder.Made) throws -> ProgramResult {
        try #require(reimage).run(["convert", "--force"] + arguments, in: made.folder.path)
    }

    /// Data behind what the geometry covers is neither dropped nor kept unasked.
    @Test(arguments: [VHDLayer.Kind.fixed, .dynamic], [VHDLayer.Creator.virtualPC, .qemu])
    func asksWhichSizeCounts(_ kind: VHDLayer.Kind, _ creator: VHDLayer.Creator) throws {
        var layer = VHDLayer(kind: kind, size: 3_000_320)
        layer.creator = creator
        layer.blockSize = 64 << 10
        layer.fillsTail = true
        let made = try VHDBuilder.make(VHDRecipe(index: 6000, layers: [layer]))
        #expect(layer.byteCount < layer.size)
        let refused = try run(["-f", "vhd", made.name, "ours.raw"], made)
        #expect(refused.status == 3 && refused.errors.contains("--vhd-size"), "\(refused.errors)")
        #expect(made.folder.read("ours.raw") == nil)
        for (rule, count) in [("current", layer.size), ("chs", layer.byteCount)] {
            let ours = try VHDReader.ours(made.name, ["-f", "vhd", "--vhd-size", rule], in: made.folder)
            #expect(firstDifference(ours, made.view.disk.prefix(count)) == nil, "\(rule)")
        }
    }

    /// The geometry of any creator's image may be asked for, where there is one that fits.
    @Test func takesTheGeometryOnRequest() throws {
        var layer = VHDLayer(kind: .dynamic, size: 3_000_320)
        let made = try VHDBuilder.make(VHDRecipe(index: 6001, layers: [layer]))
        let ours = try VHDReader.ours(made.name, ["-f", "vpc", "--vhd-size", "chs"], in: made.folder)
        #expect(firstDifference(ours, made.view.disk.prefix(layer.geometrySize)) == nil)
        layer.geometry = .maximal
        let other = try VHDBuilder.make(VHDRecipe(index: 6001, layers: [layer]))
        #expect(try run(["-f", "vpc", "--vhd-size", "chs", other.name, "ours.raw"], other).status != 0)
    }

    @Test func takesTheFooterThatIsAskedFor() throws {
        let made = try VHDBuilder.make(VHDDamage.recipe(.dynamic))
        var image = PatchedVHD(bytes: Data(try #require(made.folder.read(made.name))), layer: made.recipe.top)
        image.changeTail { $0.set(512 << 10, 8, at: 48) }
        try image.bytes.write(to: URL(fileURLWithPath: made.folder.file(made.name)))
        for (end, count) in [("head", 1 << 20), ("tail", 512 << 10)] {
            let ours = try VHDReader.ours(made.name, ["-f", "vhd", "--vhd-footer", end], in: made.folder)
            #expect(firstDifference(ours, made.view.disk.prefix(count)) == nil, "\(end)")
        }
    }

    /// A fixed image has no sign at its start.
    @Test(arguments: [false, true])
    func recognisesFixedImages(isShort: Bool) throws {
        var layer = VHDLayer(kind: .fixed, size: 1 << 20)
        layer.hasShortFooter = isShort
        let made = try VHDBuilder.make(VHDRecipe(index: 6002, layers: [layer]))
        let result = try run([made.name, "ours.raw"], made)
        #expect(result.status == 0 && result.errors.contains("-f raw"), "\(result.errors)")
        #expect(made.folder.read("ours.raw").map { firstDifference(Data($0), made.view.disk) == nil } == true)
        #expect(try VHDReader.ours(made.name, ["-f", "raw"], in: made.folder) == made.fileBytes)
    }

    /// Every rule that a footer must keep so that a raw disk is taken for a fixed image.
    @Test(arguments: [8, 12, 16, 48, 60, 64])
    func takesOtherFootersForData(field: Int) throws {
        let made = try VHDBuilder.make(VHDRecipe(index: 6003, layers: [VHDLayer(kind: .fixed, size: 1 << 20)]))
        var image = PatchedVHD(bytes: made.fileBytes, layer: made.recipe.top)
        // 8 stands for a cookie that is none, 64 for a checksum.
        let place = field == 8 ? 0 : field == 48 ? 54 : field + 3
        image.changeTail(field == 64 ? .stale : .right) { $0[place] ^= 4 }
        try image.bytes.write(to: URL(fileURLWithPath: made.folder.file(made.name)))
        let result = try run([made.name, "ours.raw"], made)
        if field == 60 {
            // Another type than fixed: an image whose start is gone, at most.
            #expect(result.status == 0 || result.status == 4, "\(result.errors)")
        } else {
            #expect(result.status == 0, "\(result.errors)")
            #expect(made.folder.read("ours.raw").map { Data($0) } == image.bytes)
        }
    }

    // MARK: Parents

    /// The child whose parent is moved about.
    private func child() throws -> VHDBuilder.Made { try VHDBuilder.make(VHDDamage.recipe(.differencing)) }

    @Test func namesTheParentThatIsMissing() throws {
        let made = try child()
        try FileManager.default.removeItem(atPath: made.folder.file("layer0.vhd"))
        let before = made.folder.names
        let result = try run(["-f", "vhd", made.name, "ours.raw"], made)
        #expect(result.status == 4 && result.errors.contains("layer0.vhd"), "\(result.errors)")
        #expect(made.folder.names == before)
    }

    @Test func looksForParentsWhereItIsTold() throws {
        let made = try child()
        let elsewhere = Scratch()
        try FileManager.default.moveItem(
            atPath: made.folder.file("layer0.vhd"), toPath: elsewhere.file("layer0.vhd"))
        #expect(try run(["-f", "vhd", made.name, "ours.raw"], made).status == 4)
        let ours = try VHDReader.ours(made.name, ["-f", "vhd", "--parent-dir", elsewhere.path], in: made.folder)
        #expect(firstDifference(ours, made.view.disk) == nil)
    }

    /// A parent above the image's folder is one that an image of a stranger could ask for.
    @Test func leavesTheFolderOnlyWhenAllowed() throws {
        var recipe = VHDDamage.recipe(.differencing)
        recipe.layers[1].parentFolder = "../"
        let made = try VHDBuilder.make(recipe, at: "child/")
        let refused = try run(["-f", "vhd", made.name, "ours.raw"], made)
        #expect(refused.status == 3, "\(refused.errors)")
        #expect(refused.errors.contains("layer0.vhd") && refused.errors.contains("--allow-references"))
        #expect(made.folder.read("ours.raw") == nil)
        let ours = try VHDReader.ours(made.name, ["-f", "vhd", "--allow-references", "any"], in: made.folder)
        #expect(firstDifference(ours, made.view.disk) == nil)
    }

    @Test func refusesAnImageBelowItself() throws {
        let made = try child()
        var image = PatchedVHD(bytes: made.fileBytes, layer: made.recipe.top)
        let identity = image.bytes[68..<84]
        image.changeHeader { $0.set(Data(identity), at: 40) }
        try image.bytes.write(to: URL(fileURLWithPath: made.folder.file(made.name)))
        try image.bytes.write(to: URL(fileURLWithPath: made.folder.file("layer0.vhd")))
        let result = try run(["-f", "vhd", made.name, "ours.raw"], made)
        #expect(result.status == 3 || result.status == 4, "\(result.status) \(result.errors)")
        #expect(made.folder.read("ours.raw") == nil)
    }

    @Test func refusesADamagedParent() throws {
        let made = try child()
        var parent = Data(try #require(made.folder.read("layer0.vhd")))
        parent[parent.count - 400] ^= 1
        try parent.write(to: URL(fileURLWithPath: made.folder.file("layer0.vhd")))
        let result = try run(["-f", "vhd", made.name, "ours.raw"], made)
        #expect(result.status == 4 && result.errors.contains("layer0.vhd"), "\(result.errors)")
        #expect(made.folder.read("ours.raw") == nil)
    }
}

extension VHDBuilder.Made {
    /// The image under test.
    var fileBytes: Data { FileManager.default.contents(atPath: folder.file(name)) ?? Data() }
}
