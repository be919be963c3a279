import Foundation
import TestSupport
import Testing

/// Images made byte by byte, read by programs of others and by `reimage`.
@Suite struct VHDReadTests {
    @Test(arguments: VHDRecipe.matrix)
    func isReadAsItWasMade(_ recipe: VHDRecipe) throws {
        let made = try VHDBuilder.make(recipe)
        for reader in VHDReader.allCases { try check(reader, made) }
        let ours = try VHDReader.ours(made.name, in: made.folder)
        #expect(firstDifference(ours, made.view.disk.prefix(recipe.top.byteCount)) == nil)
    }

    /// qemu writes what all three read alike.
    @Test(arguments: VHDQEMURecipe.matrix)
    func isReadAsQemuMadeIt(_ recipe: VHDQEMURecipe) throws {
        guard let workshop = Workshop.standard else { return }
        let folder = Scratch()
        try recipe.make("image.vhd", workshop, in: folder)
        let expected = recipe.disk.resized(recipe.byteCount)
        for reader in VHDReader.allCases {
            guard let reading = try reader.read("image.vhd", in: folder) else { continue }
            #expect(firstDifference(try reading.disk, expected) == nil, "\(reader.rawValue)")
        }
        #expect(firstDifference(try VHDReader.ours("image.vhd", in: folder), expected) == nil)
    }

    /// Most images are read rightly by two others, and nothing is excepted that does not happen.
    @Test func isReadRightlyByTwoOthers() throws {
        var counts: [VHDLayer.Kind: Int] = [:]
        var reasons: Set<String> = []
        for recipe in VHDRecipe.matrix {
            let made = try VHDBuilder.make(recipe)
            let exceptions = VHDReader.allCases.map { VHDException.first($0, made) }
            reasons.formUnion(exceptions.compactMap { $0.map { "\($0.reader): \($0.reason)" } })
            let right = exceptions.filter { $0?.outcome.isRight ?? true }.count
            if right >= 2 { counts[recipe.top.kind, default: 0] += 1 }
        }
        #expect(reasons == Set(VHDException.all.map { "\($0.reader): \($0.reason)" }))
        #expect(counts.values.allSatisfy { $0 >= 20 }, "\(counts)")
        // Those of qemu are read by all three.
        #expect(counts.values.reduce(VHDQEMURecipe.matrix.count, +) >= 150, "\(counts)")
    }

    private func check(_ reader: VHDReader, _ made: VHDBuilder.Made) throws {
        guard let reading = try reader.read(made.name, in: made.folder) else { return }
        let exception = VHDException.first(reader, made)
        let comment = "\(reader.rawValue): \(exception?.reason ?? "no exception")"
        switch (reading, exception?.outcome ?? .size(made.recipe.top.byteCount)) {
        case (.disk(let disk), .size(let size)):
            #expect(firstDifference(disk, made.view.disk.resized(size)) == nil, "\(comment)")
        case (.disk(let disk), .reads(let other)):
            #expect(firstDifference(disk, other) == nil, "\(comment)")
        case (.disk(let disk), .misreads):
            #expect(disk != made.view.disk.prefix(made.recipe.top.byteCount), "\(comment)")
        case (.disk, .refuses):
            Issue.record("\(comment), but it is read")
        case (.refusal, .refuses): break
        case (.refusal(let text), _):
            Issue.record("\(comment), but: \(text)")
        }
    }
}
