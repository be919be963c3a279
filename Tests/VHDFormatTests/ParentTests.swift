import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// Finding the parent: which names are tried, and which file is taken.
@Suite struct ParentTests {
    private let childID = [UInt8](repeating: 9, count: 16)

    private func parent(id: [UInt8] = VHDBuilder.id, size: UInt64 = 8192) throws -> [UInt8] {
        var image = VHDBuilder(size: size, id: id)
        image.store(0, pattern(1, 4096))
        return try image.finished()
    }

    private func child(_ build: (inout VHDBuilder) -> Void) throws -> [UInt8] {
        var image = VHDBuilder(size: 8192, kind: .differencing, id: childID)
        image.header.parentID = VHDBuilder.id
        build(&image)
        return try image.finished()
    }

    /// The names that are asked for, in their order.
    private func asked(_ build: (inout VHDBuilder) -> Void) throws -> [String] {
        let resolver = FakeResolver()
        _ = try? contents(try child(build), resolver)
        return resolver.asked.all.flatMap { [$0.name] + $0.otherNames }
    }

    @Test func namesInTheirOrder() throws {
        let names = try asked { image in
            image.header.parentName = Array("C:\\Disks\\header.vhd".utf16)
            image.addLocator(ParentLocator.absoluteWindows, utf16("D:\\other\\absolute.vhd"))
            image.addLocator(ParentLocator.macURL, Array("file://localhost/Users/me/a%20disk%2Evhd".utf8))
            image.addLocator(ParentLocator.oldAbsoluteWindows, Array("C:\\OLD.VHD".utf8) + [0])
            image.addLocator(ParentLocator.relativeWindows, utf16(".\\sub\\relative.vhd"))
            image.addLocator(0x4D61_6320, [1, 2, 3])
        }
        #expect(
            names == [
                "sub/relative.vhd", "header.vhd", "absolute.vhd", "a disk.vhd", "OLD.VHD", "relative.vhd",
            ])
    }

    @Test(arguments: [
        ("base.vhd", ["base.vhd"]), ("..\\base.vhd", ["../base.vhd", "base.vhd"]),
        (".\\.\\base.vhd", ["base.vhd"]), ("C:\\x\\base.vhd", ["base.vhd"]), ("C:base.vhd", ["base.vhd"]),
        ("\\\\server\\share\\base.vhd", ["base.vhd"]), ("//server/share/base.vhd", ["base.vhd"]),
        ("\\x\\base.vhd", ["base.vhd"]), ("/x/base.vhd", ["base.vhd", "/x/base.vhd"]),
        ("http://host/base.vhd", ["base.vhd"]), ("json:{a}", ["./json:{a}"]), ("", []), (".", []), ("..\\..", []),
        ("x\\", []), ("C:", []), ("a\0b", []), ("base.vhd\0\0", ["base.vhd"]),
    ]) func relativeName(stored: String, paths: [String]) throws {
        #expect(try asked { $0.addLocator(ParentLocator.relativeWindows, utf16(stored)) } == paths)
    }

    @Test(arguments: [
        ("file:///Users/x/base.vhd", ["base.vhd"]), ("file:///x/a%2Fb.vhd", []), ("file:///x/a%00b", []),
        ("file:///x/100%", ["100%"]), ("/Users/x/base.vhd", ["base.vhd", "/Users/x/base.vhd"]), ("file:///", []),
        ("file:///x/..", []), ("file:///x/%2e%2E", []),
    ]) func urls(stored: String, paths: [String]) throws {
        // The last name tried is that of the whole, where nothing stands behind its slashes.
        let names = try asked { $0.addLocator(ParentLocator.macURL, Array(stored.utf8)) }
        #expect(names.filter { $0 != "./file:" } == paths)
    }

    @Test func loneSurrogatesAreNoTrap() throws {
        let names = try asked { image in
            image.header.parentName = [0x62, 0xD800, 0x2E]
            image.addLocator(ParentLocator.relativeWindows, [0x61, 0, 0, 0xDC, 0x62])
        }
        #expect(names == ["a\u{FFFD}", "b\u{FFFD}."])
    }

    @Test func brokenLocatorsAreRemarks() throws {
        let bytes = try child { image in
            image.addLocator(ParentLocator.relativeWindows, utf16("base"))
            image.addLocator(ParentLocator.relativeWindows, utf16("base"))
            image.addLocator(ParentLocator.absoluteWindows, utf16("base"))
            image.header.locators[1].dataOffset = .max
            image.header.locators[2].dataLength = .max
        }
        let resolver = FakeResolver(images: ["base": try parent()])
        #expect(try contents(bytes, resolver).prefix(4096) == pattern(1, 4096)[...])
        let remarks = try open(bytes, opensReferences: false).info().remarks
        #expect(remarks.count == 2)
        #expect(remarks.first?.contains("locator 1") == true)
        let missing = try child { $0.addLocator(ParentLocator.relativeWindows, utf16("..")) }
        expectError(.damaged, "names none", at: VHDBuilder.headerPlace + 64) { _ = try contents(missing, resolver) }
    }

    @Test func idDecides() throws {
        let bytes = try child { image in
            image.header.parentName = Array("right".utf16)
            image.addLocator(ParentLocator.relativeWindows, utf16("wrong"))
        }
        let other = try parent(id: [UInt8](repeating: 7, count: 16))
        let both = FakeResolver(images: ["wrong": other, "right": try parent()])
        #expect(try contents(bytes, both).prefix(4096) == pattern(1, 4096)[...])
        let one = FakeResolver(images: ["wrong": other])
        expectError(.refused, "01020304-0506") { _ = try contents(bytes, one) }
        expectError(.refused, "07070707-0707") { _ = try contents(bytes, one) }
        let options = ["ignore-parent-id": "on"]
        #expect(try contents(bytes, one, options: options).prefix(4096) == pattern(1, 4096)[...])
        #expect(try notes(bytes, one, options: options).contains { $0.contains("07070707") })
        #expect(try notes(bytes, both, options: options).contains { $0.contains("07070707") })
    }

    @Test func idCountsBeforeTheParentsOwnChain() throws {
        let bytes = try child { $0.header.parentName = Array("middle".utf16) }
        for (id, text, code) in [
            (VHDBuilder.id, "is not there", ImageError.Code.unreadable), ([4], "another image", .refused),
        ] {
            var middle = VHDBuilder(
                size: 8192, kind: .differencing, id: id + [UInt8](repeating: 4, count: 16 - id.count))
            middle.header.parentID = [UInt8](repeating: 5, count: 16)
            middle.header.parentName = Array("bottom".utf16)
            let resolver = FakeResolver(images: ["middle": try middle.finished()])
            expectError(code, text) { _ = try contents(bytes, resolver) }
        }
    }

    @Test func chainOfThree() throws {
        var middle = VHDBuilder(size: 4096, blockSize: 512, kind: .differencing, id: [UInt8](repeating: 5, count: 16))
        middle.header.parentID = VHDBuilder.id
        middle.header.parentName = Array("bottom".utf16)
        middle.store(2, pattern(7, 512))
        let bytes = try child { image in
            image.header.parentID = middle.footer.uniqueID
            image.header.parentName = Array("middle".utf16)
            image.store(0, pattern(8, 4096), bitmap: [0x01])
        }
        let resolver = FakeResolver(images: ["bottom": try parent(), "middle": try middle.finished()])
        var guest = pattern(1, 4096) + [UInt8](repeating: 0, count: 4096)
        guest.replaceSubrange(1024..<1536, with: pattern(7, 512))
        guest.replaceSubrange(3584..<4096, with: pattern(8, 4096)[3584...])
        let disk = try device(try open(bytes, resolver))
        #expect(try DiskContent.random(disk).allBytes() == guest)
        #expect(try extents(disk).map(\.depth) == [2, 1, 2, 0, 0])
        #expect(disk.stores.count == 3)
    }

    @Test func ownIDIsALoop() throws {
        let bytes = try child { image in
            image.header.parentID = childID
            image.header.parentName = Array("base".utf16)
        }
        expectError(.damaged, "itself", at: VHDBuilder.headerPlace + 40) { _ = try contents(bytes, FakeResolver()) }
        #expect(try open(bytes, opensReferences: false).info().virtualSize == 8192)
    }

    @Test func referencesNeedAResolver() throws {
        let bytes = try child { $0.header.parentName = Array("base".utf16) }
        expectError(.refused, "references are not allowed") { _ = try contents(bytes) }
        let image = try open(bytes, FakeResolver(), opensReferences: false)
        #expect(try image.info().backing?.name == "base")
        expectError(.refused, "was opened without") { _ = try image.content() }
        expectError(.unreadable, "base") { _ = try contents(bytes, FakeResolver()) }
    }

    @Test func timeStampsAreNoted() throws {
        let resolver = FakeResolver(images: ["base": try parent()])
        for (time, isNoted) in [(0, false), (1000, false), (1002, false), (1003, true), (UInt32.max, true)] {
            let bytes = try child { image in
                image.header.parentName = Array("base".utf16)
                image.header.parentTimeStamp = time
            }
            #expect(try notes(bytes, resolver).contains { $0.contains("changed at another time") } == isNoted)
        }
    }
}
