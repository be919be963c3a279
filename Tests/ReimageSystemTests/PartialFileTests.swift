import Foundation
import ReimageCore
import ReimageSystem
import TestSupport
import Testing

@Suite struct PartialFileTests {
    private let scratch = Scratch()

    private func fill(_ partial: PartialFile, _ text: String) throws {
        try Array(text.utf8).withBytes { (span) throws(ImageError) in try partial.sink.write(span, at: .zero) }
    }

    @Test func appearsUnderItsNameOnlyWhenCommitted() throws {
        let partial = try PartialFile(for: scratch.file("out"), existing: .refuse)
        try fill(partial, "new")
        #expect(scratch.names == [".out.partial"])
        try partial.commit()
        #expect(scratch.names == ["out"])
        #expect(scratch.read("out") == Array("new".utf8))
    }

    @Test func leavesNothingBehindWhenDiscarded() throws {
        let partial = try PartialFile(for: scratch.file("out"), existing: .refuse)
        try fill(partial, "new")
        partial.discard()
        #expect(scratch.names.isEmpty)
        do { _ = try PartialFile(for: scratch.file("out"), existing: .refuse) }
        #expect(scratch.names.isEmpty, "a reference dropped is a file discarded")
    }

    @Test func refusesWhatExists() throws {
        scratch.write([1], to: "out")
        let error = #expect(throws: ImageError.self) { try PartialFile(for: scratch.file("out"), existing: .refuse) }
        #expect(error?.code == .refused)
        #expect(error?.advice?.contains("--force") == true)
        #expect(scratch.names == ["out"])
    }

    @Test func refusesWhatCameIntoBeingMeanwhile() throws {
        let partial = try PartialFile(for: scratch.file("out"), existing: .refuse)
        scratch.write([1], to: "out")
        let error = #expect(throws: ImageError.self) { try partial.commit() }
        #expect(error?.code == .refused)
        #expect(scratch.read("out") == [1])
    }

    @Test func keepsModeOfWhatItReplaces() throws {
        let path = scratch.write([1], to: "out")
        try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
        let partial = try PartialFile(for: path, existing: .replace)
        try fill(partial, "new")
        #expect(scratch.read("out") == [1])
        try partial.commit()
        #expect(scratch.read("out") == Array("new".utf8))
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o640)
    }

    @Test func replacesWhatALinkPointsTo() throws {
        try FileManager.default.createDirectory(atPath: scratch.file("real"), withIntermediateDirectories: false)
        scratch.write([1], to: "real/disk")
        try FileManager.default.createSymbolicLink(atPath: scratch.file("link"), withDestinationPath: "real/disk")
        let partial = try PartialFile(for: scratch.file("link"), existing: .replace)
        try fill(partial, "new")
        #expect(partial.partialPath.hasSuffix("/real/.disk.partial"))
        try partial.commit()
        #expect(scratch.read("real/disk") == Array("new".utf8))
        #expect(try FileManager.default.destinationOfSymbolicLink(atPath: scratch.file("link")) == "real/disk")
    }

    @Test func refusesALinkToNothing() throws {
        try FileManager.default.createSymbolicLink(atPath: scratch.file("link"), withDestinationPath: "gone")
        let error = #expect(throws: ImageError.self) { try PartialFile(for: scratch.file("link"), existing: .replace) }
        #expect(error?.code == .targetFailed)
    }

    @Test func onlyOneWritesATarget() throws {
        let first = try PartialFile(for: scratch.file("out"), existing: .refuse)
        let error = #expect(throws: ImageError.self) { try PartialFile(for: scratch.file("out"), existing: .refuse) }
        #expect(error?.code == .refused)
        try first.commit()
        #expect(scratch.names == ["out"])
    }

    @Test func takesALeftoverOver() throws {
        scratch.write(pattern(5000), to: ".out.partial")
        let partial = try PartialFile(for: scratch.file("out"), existing: .refuse)
        try fill(partial, "new")
        try partial.commit()
        #expect(scratch.read("out") == Array("new".utf8))
        #expect(scratch.names == ["out"])
    }

    @Test func doesNotFollowALinkInPlaceOfThePartialFile() throws {
        scratch.write([1], to: "victim")
        try FileManager.default.createSymbolicLink(atPath: scratch.file(".out.partial"), withDestinationPath: "victim")
        #expect(throws: ImageError.self) { try PartialFile(for: scratch.file("out"), existing: .refuse) }
        #expect(scratch.read("victim") == [1])
    }
}
