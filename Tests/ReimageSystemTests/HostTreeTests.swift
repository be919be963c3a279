import Foundation
import ReimageSystem
import TestSupport
import Testing

@Suite struct HostTreeTests {
    private let scratch = Scratch()

    @Test func filesAndFolders() throws {
        let bytes = pattern(10_000)
        let path = scratch.write(bytes, to: "b")
        scratch.write([], to: "a b")
        #expect(HostTree.contents(of: path, limit: 1 << 20) == bytes)
        #expect(HostTree.contents(of: path, limit: 5000) == Array(bytes.prefix(5000)))
        #expect(HostTree.contents(of: scratch.file("a b"), limit: 10) == [])
        #expect(HostTree.contents(of: scratch.file("c"), limit: 10) == nil)
        #expect(HostTree.contents(of: scratch.path, limit: 10) == nil)
        #expect(HostTree.names(in: scratch.path) == ["a b", "b"])
        #expect(HostTree.names(in: path) == nil)
        try FileManager.default.createSymbolicLink(atPath: scratch.file("link"), withDestinationPath: "b")
        #expect(HostTree.realPath(of: scratch.file("link")) == HostTree.realPath(of: path))
        #expect(HostTree.realPath(of: scratch.file("c")) == nil)
    }

    @Test func nodes() throws {
        let file = try #require(HostTree.node(at: scratch.write([1], to: "file")))
        #expect(file.kind == .regular && file.device == nil)
        #expect(HostTree.node(at: scratch.path)?.kind == .directory)
        #expect(HostTree.node(at: scratch.path)?.fileSystem == file.fileSystem)
        #expect(HostTree.node(at: "/dev/null")?.kind == .stream)
        #expect(HostTree.node(at: scratch.file("none")) == nil)
        #expect(HostTree.claim(scratch.file("none")) != .busy && HostTree.claim(scratch.file("none")) != .free)
    }

    @Test func numbers() {
        #expect(DeviceNumber("259:10") == DeviceNumber(major: 259, minor: 10))
        for text in ["", ":", "8", "8:", "8:1:2", "-1:0", "8:4294967296", "a:b"] {
            #expect(DeviceNumber(text) == nil, "\(text)")
        }
        #expect(DeviceNumber(major: 8, minor: 1).description == "8:1")
    }
}
