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
            damage.applies(base) && (number == 0 || index == 0 || (index * 7 + number) % 4 == 0)
        }.map { Case(base: $0.element, damage: damage) }
    }

    private let folder = Scratch()

    private func verdict(_ program: Program, _ arguments: [String]) throws -> (status: Int32, Verdict) {
        let result = try program.run(["check", "--output=json", "-f", "qcow2"] + arguments, in: folder.path)
        let verdict = try? JSONDecoder().decode(Verdict.self, from: result.output)
        return (result.status, try #require(verdict, "\(result.errors)"))
    }

    @Test(arguments: cases)
    func findsWhatQemuFinds(_ test: Case) throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        try test.base.make("image.qcow2", workshop, in: folder)
        var image = PatchedImage(bytes: try #require(folder.read("image.qcow2")))
        try test.damage.apply(&image)
        folder.write(image.bytes, to: "image.qcow2")

        let theirs = try verdict(workshop.img, ["image.qcow2"])
        let ours = try verdict(reimage, ["image.qcow2"])
        #expect(theirs.status == test.damage.theirStatus ?? ours.status)
        if !test.damage.countsDiffer { #expect(ours.1.numbers == theirs.1.numbers) }
    }
}
