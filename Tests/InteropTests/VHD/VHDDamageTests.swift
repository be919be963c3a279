import Foundation
import ReimageTesting
import TestSupport
import Testing

/// Damaged VHD images: what can be read is read, and nothing else is.
@Suite struct VHDDamageTests {
    @Test(arguments: VHDDamage.all)
    func isReadRightlyOrNotAtAll(_ damage: VHDDamage) throws {
        let made = try VHDBuilder.make(VHDDamage.recipe(damage.kind))
        var image = PatchedVHD(bytes: Data(try #require(made.folder.read(made.name))), layer: made.recipe.top)
        damage.apply(&image)
        try image.bytes.write(to: URL(fileURLWithPath: made.folder.file(made.name)))
        let before = made.folder.names

        let result = try convert(made, [])
        switch damage.outcome {
        case .read(let words):
            #expect(result.status == 0, "\(result.errors)")
            if let words { #expect(result.errors.contains(words), "\(result.errors)") }
            #expect(try #require(made.folder.read("ours.raw")).elementsEqual(made.view.disk))
        case .refused(let status, let words, let place):
            #expect(result.status == status, "\(result.errors)")
            if let place { #expect(result.errors.contains("at byte \(place) of"), "\(result.errors)") }
            #expect(result.errors.contains(words), "\(result.errors)")
            #expect(made.folder.names == before)
        }
        if damage.remedy.isEmpty { return }
        let remedied = try convert(made, damage.remedy)
        #expect(remedied.status == 0, "\(remedied.errors)")
        #expect(try #require(made.folder.read("ours.raw")).elementsEqual(made.view.disk))
    }

    /// Two blocks in one place: nothing is lost by reading, and both are what is stored there.
    @Test func readsABlockTwice() throws {
        let made = try VHDBuilder.make(VHDDamage.recipe(.dynamic))
        var image = PatchedVHD(bytes: made.fileBytes, layer: made.recipe.top)
        let (one, two) = (image.blocks[0], image.blocks[1])
        image.bytes.set(image.number(4, at: two.entry), 4, at: one.entry)
        try image.bytes.write(to: URL(fileURLWithPath: made.folder.file(made.name)))
        let size = made.recipe.top.blockSize
        var expected = made.view.disk
        expected.set(Data(expected[two.block * size..<(two.block + 1) * size]), at: one.block * size)
        #expect(firstDifference(try VHDReader.ours(made.name, in: made.folder), expected) == nil)
        let theirs = try VHDReader.qemu.read(made.name, in: made.folder)
        if let theirs { #expect(firstDifference(try theirs.disk, expected) == nil) }
        let said = try convert(made, ["--force"])
        #expect(said.status == 0 && said.errors.contains("note:"), "\(said.errors)")
    }

    /// Bytes of the structures changed by chance, their checksums made right: nothing traps.
    @Test(arguments: [VHDLayer.Kind.dynamic, .differencing, .fixed])
    func endsInOrder(_ kind: VHDLayer.Kind) throws {
        let made = try VHDBuilder.make(VHDDamage.recipe(kind))
        let sound = Data(try #require(made.folder.read(made.name)))
        var random = SeededGenerator(seed: UInt64(kind.rawValue))
        for round in 0..<24 {
            var image = PatchedVHD(bytes: sound, layer: made.recipe.top)
            let value = UInt8(truncatingIfNeeded: random.pick([0, 1, 0x7F, 0x80, 0xFF, random.below(256)]))
            let place = random.below(85)
            if round % 3 == 0 || kind == .fixed {
                image.changeFooters { $0[place] = value }
            } else {
                let place = random.pick([place, 576 + random.below(48), 16 + random.below(24)])
                image.changeHeader { $0[place] = value }
            }
            try image.bytes.write(to: URL(fileURLWithPath: made.folder.file(made.name)))
            let result = try convert(made, ["--force"])
            #expect([0, 3, 4, 63].contains(result.status), "round \(round): \(result.status) \(result.errors)")
        }
    }

    private func convert(_ made: VHDBuilder.Made, _ flags: [String]) throws -> ProgramResult {
        let arguments = ["convert", "-f", "vhd"] + flags + [made.name, "ours.raw"]
        return try #require(Program.reimage).run(arguments, in: made.folder.path)
    }
}
