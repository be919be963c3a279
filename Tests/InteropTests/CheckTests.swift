import Foundation
import TestSupport
import Testing

/// Damaged images, judged by `reimage check` and by `qemu-img check`.
@Suite struct CheckTests {
    /// What a check of either program said.
    struct Verdict: Decodable {
        var corruptions: UInt64?
        var leaks: UInt64?
        var imageEnd: UInt64?
        var total: UInt64?
        var allocated: UInt64?
        var fragmented: UInt64?
        var compressed: UInt64?

        enum CodingKeys: String, CodingKey {
            case corruptions, leaks
            case imageEnd = "image-end-offset"
            case total = "total-clusters"
            case allocated = "allocated-clusters"
            case fragmented = "fragmented-clusters"
            case compressed = "compressed-clusters"
        }

        /// The numbers; the peer leaves out those that are 0.
        var numbers: [UInt64] {
            [corruptions, leaks, imageEnd, total, allocated, fragmented, compressed].map { $0 ?? 0 }
        }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var base: CheckBase
        var damage: CheckDamage
        var testDescription: String { "\(base): \(damage)" }
    }

    /// Every damage to some of the images, every image with some of the damages.
    static let cases: [Case] = CheckDamage.all.enumerated().flatMap { number, damage in
        CheckBase.all.enumerated().filter { index, base in
            damage.applies(base) && (number == 0 || index == 0 || (index * 7 + number) % 8 == 0)
        }.map { Case(base: $0.element, damage: damage) }
    }

    private let folder = Scratch()

    private func verdict(_ program: Program, _ arguments: [String]) throws -> (status: Int32, Verdict) {
        let result = try program.run(["check", "--output=json", "-f", "qcow2"] + arguments, in: folder.path)
        let verdict = try? JSONDecoder().decode(Verdict.self, from: result.output)
        return (result.status, try #require(verdict, "\(result.errors)"))
    }

    /// What qemu reads of an image, or of its snapshot.
    private func content(_ workshop: Workshop, _ name: String, snapshot: Bool = false) throws -> [UInt8] {
        let flags = snapshot ? ["-l", "before"] : []
        try workshop.img.succeed(["convert", "-f", "qcow2", "-O", "raw"] + flags + [name, "out.raw"], in: folder)
        return try #require(folder.read("out.raw"))
    }

    @Test(arguments: cases)
    func findsAndRepairsWhatQemuFinds(_ test: Case) throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        try test.base.make("image.qcow2", workshop, in: folder)
        var image = PatchedImage(bytes: try #require(folder.read("image.qcow2")))
        var expected = try content(workshop, "image.qcow2")
        let old = test.base.hasSnapshot ? try content(workshop, "image.qcow2", snapshot: true) : []
        for place in try image.range(of: test.damage.loss).clamped(to: expected.indices) { expected[place] = 0 }
        try test.damage.apply(&image)
        folder.write(image.bytes, to: "image.qcow2")
        if test.damage.loss == .asRead { expected = try content(workshop, "image.qcow2") }

        let theirs = try verdict(workshop.img, ["image.qcow2"])
        let ours = try verdict(reimage, ["image.qcow2"])
        #expect(theirs.status == test.damage.theirStatus ?? ours.status)
        if !test.damage.countsDiffer { #expect(ours.1.numbers == theirs.1.numbers) }
        #expect(folder.read("image.qcow2") == image.bytes)

        let repaired = try reimage.run(["check", "-r", "all", "image.qcow2"], in: folder.path)
        #expect(repaired.status == 0, "\(repaired.text) \(repaired.errors)")
        let proof = try workshop.img.run(["check", "-f", "qcow2", "image.qcow2"], in: folder.path)
        #expect(proof.status == 0, "\(proof.text) \(proof.errors)")
        #expect(try content(workshop, "image.qcow2") == expected)
        try reimage.succeed(["convert", "-q", "--force", "image.qcow2", "ours.raw"], in: folder)
        #expect(folder.read("ours.raw") == expected)
        guard test.base.hasSnapshot, test.damage.loss == .nothing else { return }
        #expect(try content(workshop, "image.qcow2", snapshot: true) == old)
    }
}
