import Foundation
import TestSupport
import Testing

/// The verb `check`: its exit status, its words and its JSON.
@Suite struct CheckCommandTests {
    private let folder = Scratch()

    /// Makes a small image with 8 stored clusters, changed by `damage`.
    private func make(_ damage: (inout PatchedImage) throws -> Void = { _ in }) throws -> Bool {
        guard let workshop = Workshop.standard else { return false }
        try CheckBase(name: "", options: "cluster_size=4k").make("image.qcow2", workshop, in: folder)
        var image = PatchedImage(bytes: try #require(folder.read("image.qcow2")))
        try damage(&image)
        folder.write(image.bytes, to: "image.qcow2")
        return true
    }

    private func check(_ arguments: String...) throws -> ProgramResult {
        try #require(Program.reimage).run(["check"] + arguments, in: folder.path)
    }

    private static func addLeak(_ image: inout PatchedImage) {
        image.setRefcount(2, ofClusterAt: image.target(at: image.l2Place(0)))
        image.set(image.entry(at: image.l2Place(0)) & ~PatchedImage.copied, at: image.l2Place(0))
    }

    @Test func aCleanImage() throws {
        guard try make() else { return }
        let result = try check("image.qcow2")
        #expect(result.status == 0)
        #expect(result.text.hasPrefix("No errors were found on the image.\n"))
        #expect(result.text.contains("% allocated, ") && result.text.contains("Image end offset: "))
        let quiet = try check("-q", "image.qcow2")
        #expect(quiet.status == 0 && quiet.output.isEmpty && quiet.errors.isEmpty)
    }

    @Test func leaksAlone() throws {
        guard try make(Self.addLeak) else { return }
        let result = try check("image.qcow2")
        #expect(result.status == 3)
        #expect(result.text.contains("leak: the cluster at") && result.text.contains("1 leaked clusters were found"))
        let repaired = try check("-r", "leaks", "image.qcow2")
        #expect(repaired.status == 0)
        #expect(repaired.text.contains("repaired leak") && repaired.text.contains("No errors were found"))
        #expect(try check("image.qcow2").status == 0)
    }

    @Test func corruption() throws {
        guard try make({ $0.set(1 << 40, at: $0.l2Place(1)) }) else { return }
        let before = folder.read("image.qcow2")
        let result = try check("image.qcow2")
        #expect(result.status == 2)
        #expect(result.text.contains("guest bytes 4096 to 8192"))
        // Giving back leaks does not repair it, and says so by its status.
        #expect(try check("-r", "leaks", "image.qcow2").status == 2)
        #expect(folder.read("image.qcow2")?.count == before?.count)
        #expect(try check("-r", "all", "-q", "image.qcow2").status == 0)
    }

    @Test func theJSON() throws {
        guard try make(Self.addLeak) else { return }
        let result = try check("--json", "image.qcow2")
        #expect(result.status == 3)
        let object = try JSONSerialization.jsonObject(with: result.output) as? [String: Any]
        let fields = try #require(object)
        for name in [
            "check-errors", "corruptions", "leaks", "corruptions-fixed", "leaks-fixed", "image-end-offset",
            "total-clusters", "allocated-clusters", "fragmented-clusters", "compressed-clusters",
        ] {
            #expect(fields[name] is NSNumber, "\(name)")
        }
        #expect(fields["filename"] as? String == "image.qcow2" && fields["format"] as? String == "qcow2")
        let findings = try #require(fields["findings"] as? [[String: Any]])
        #expect(findings.count == 1)
        #expect(findings[0]["kind"] as? String == "leak" && findings[0]["offset"] is NSNumber)
        #expect(findings[0]["fixed"] as? Bool == false)
        #expect(try check("--output=json", "image.qcow2").output == result.output)
    }

    @Test func manyFindingsAreCountedNotListed() throws {
        guard try make({ $0.set(0, at: $0.refcountTable) }) else { return }
        let result = try check("image.qcow2")
        #expect(result.status == 2)
        #expect(result.text.split(separator: "\n").filter { $0.hasPrefix("corruption: ") }.count == 100)
        #expect(result.text.contains("more findings of the kind: corruption"))
        let json = try check("--json", "image.qcow2")
        let fields = try #require(try JSONSerialization.jsonObject(with: json.output) as? [String: Any])
        #expect((fields["findings"] as? [Any])?.count == 100 && fields["findings-left-out"] is NSNumber)
    }

    @Test func whatCannotBeChecked() throws {
        folder.write(pattern(8192), to: "disk.raw")
        #expect(try check("-f", "raw", "disk.raw").status == 63)
        #expect(try check("disk.raw").status == 63)
        #expect(try check("-r", "all", "-f", "raw", "disk.raw").status == 63)
        #expect(try check("missing.qcow2").status == 1)
        #expect(try check("-f", "qcow2", "disk.raw").status == 1)
        #expect(folder.read("disk.raw") == pattern(8192))
        guard try make({ $0.bytes.removeLast($0.bytes.count - 8192) }) else { return }
        let cut = try check("image.qcow2")
        #expect(cut.status == 1 && cut.errors.contains("cut short"))
    }
}
