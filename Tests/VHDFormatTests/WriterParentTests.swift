import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// Differencing images: what is stored of the disk, and of the parent.
@Suite struct WriterParentTests {
    private static let id = (1...16).map { UInt8($0) }
    private static let parentID = [UInt8](repeating: 0xAB, count: 16)

    private func plan(
        _ name: String, format: FormatName? = "vhd", facts: BackingFacts? = Self.facts, options: [String: String] = [:],
        stamp: ImageStamp = ImageStamp(seconds: 1_000_000_000, uniqueID: Self.id)
    ) -> WritePlan {
        WritePlan(
            byteCount: nil, options: options, backing: Reference(role: "backing file", name: name, format: format),
            backingFacts: facts, stamp: stamp)
    }

    private static let facts = BackingFacts(
        path: "/disks/base.vhd", uniqueID: parentID, modificationSeconds: 1_100_000_000)

    private func header(_ image: [UInt8]) throws -> DynamicHeader {
        try Array(image[512..<1536]).withBytes { try DynamicHeader(decoding: $0, at: HostOffset(512)) }
    }

    /// The names that the locators of `image` lead to, by platform.
    private func names(_ image: [UInt8]) throws -> [UInt32: String] {
        var names: [UInt32: String] = [:]
        for locator in try header(image).locators {
            #expect(locator.dataOffset % 512 == 0 && locator.dataSpace % 512 == 0)
            #expect(locator.dataLength <= locator.dataSpace)
            #expect(locator.dataOffset + UInt64(locator.dataSpace) <= (try header(image)).tableOffset)
            let bytes = image[Int(locator.dataOffset)...].prefix(Int(locator.dataLength))
            let units = stride(from: bytes.startIndex, to: bytes.endIndex, by: 2).map {
                UInt16(bytes[$0]) | UInt16(bytes[$0 + 1]) << 8
            }
            names[locator.platform] = String(decoding: units, as: UTF16.self)
        }
        return names
    }

    private func empty(_ plan: WritePlan) throws -> [UInt8] {
        try FormatConformance(VHDFormat()).write(
            [UInt8](repeating: 0, count: 4 << 20), plan: plan, mix: .init(zeroKind: .hole))
    }

    private static let relative: [(String, String)] = [
        ("base.vhd", ".\\base.vhd"), ("./base.vhd", ".\\base.vhd"), ("sub/base.vhd", ".\\sub\\base.vhd"),
        ("../base.vhd", "..\\base.vhd"), ("../../a//base.vhd", "..\\..\\a\\base.vhd"), ("./a:b.vhd", ".\\a:b.vhd"),
        ("Größe 🙂.vhd", ".\\Größe 🙂.vhd"),
    ]

    @Test(arguments: relative)
    func aRelativeNameIsStoredAsWindowsHasIt(_ name: String, _ stored: String) throws {
        let image = try empty(plan(name))
        #expect(
            try names(image) == [
                ParentLocator.relativeWindows: stored, ParentLocator.absoluteWindows: "/disks/base.vhd",
            ])
        let header = try header(image)
        #expect(header.parentID == Self.parentID && header.hasRightChecksum)
        #expect(header.parentTimeStamp == 1_100_000_000 - 946_684_800)
        let last = name.split(separator: "/").last ?? ""
        #expect(String(decoding: header.parentName, as: UTF16.self) == last)
        // Footer, header, two names, table, footer.
        #expect(image.count == 512 + 1024 + 2 * 512 + 512 + 512)
    }

    @Test func anAbsoluteNameHasNoRelativeLocator() throws {
        let image = try empty(plan("/disks/base.vhd"))
        #expect(try names(image) == [ParentLocator.absoluteWindows: "/disks/base.vhd"])
    }

    /// An image that is the same at any time and place knows neither when the parent was copied here nor where to.
    @Test func aFixedStampLeavesTheMachineOut() throws {
        let image = try empty(plan("base.vhd", stamp: ImageStamp(seconds: 1_000_000_000)))
        #expect(try names(image) == [ParentLocator.relativeWindows: ".\\base.vhd"])
        #expect(try header(image).parentTimeStamp == 0)
    }

    /// What differs has its bit, and its block.
    @Test func sectorsThatDifferHaveTheirBit() throws {
        var guest = [UInt8](repeating: 0, count: 5 << 20)
        guest[0] = 1
        guest[7 * 512] = 1
        guest[4 << 20 + 9 * 512 + 511] = 1
        let image = try FormatConformance(VHDFormat()).write(guest, plan: plan("b.vhd"), mix: .init(zeroKind: .hole))
        // Two blocks of three: each with a page for its bitmap.
        #expect(image.count == 4096 + 2 * (4096 + 2 << 20) + 512)
        let first = 8192 - 512
        #expect(Array(image[first..<first + 512]) == [0x81] + [UInt8](repeating: 0, count: 511))
        let second = first + 4096 + 2 << 20
        #expect(Array(image[second..<second + 512]) == [0, 0x40] + [UInt8](repeating: 0, count: 510))
    }

    /// Zeros that hide the parent are stored, each with its bit, up to the disk's last sector.
    @Test(arguments: [true, false])
    func zerosHideTheParent(_ skips: Bool) throws {
        let guest = [UInt8](repeating: 0, count: 3 << 20 - 512)
        let image = try FormatConformance(VHDFormat()).write(
            guest, plan: plan("b.vhd"), mix: .init(skipsZeros: skips, zeroKind: .zero))
        #expect(image.count == 4096 + 2 * (4096 + 2 << 20) + 512)
        let first = 8192 - 512
        #expect(image[first..<first + 512].allSatisfy { $0 == 0xFF })
        let second = first + 4096 + 2 << 20
        let bits = [UInt8](repeating: 0xFF, count: 255) + [0xFE] + [UInt8](repeating: 0, count: 256)
        #expect(Array(image[second..<second + 512]) == bits)
    }

    /// Long runs of zeros come in pieces that are bounded; what the parent decides takes nothing at all.
    @Test func longRunsAreBounded() throws {
        let writer = try VHDFormat().makeWriter(plan("b.vhd"))
        #expect(writer.needs.longestSkip <= 16 << 30 && writer.needs.grainSize == 512)
        var placement = Placement()
        try writer.skip(.hole, GuestRange(start: .zero, count: 2040 << 30), into: &placement)
        #expect(placement.steps.isEmpty)
        try writer.skip(.zero, GuestRange(start: .zero, count: writer.needs.longestSkip), into: &placement)
        #expect(placement.steps.count < 10_000)
    }

    private static let refused: [(String, FormatName?, BackingFacts?, ImageError.Code, String)] = [
        ("base.raw", .raw, facts, .unsupported, "raw"), ("base.vhd", nil, facts, .unsupported, "base.vhd"),
        ("base.vhd", "vhd", nil, .unsupported, "unique id"),
        ("base.vhd", "vhd", BackingFacts(path: "/b"), .unsupported, "unique id"),
        ("base.vhd", "vhd", BackingFacts(path: "/b", uniqueID: [1]), .unsupported, "unique id"),
        ("a\\b.vhd", "vhd", facts, .invalidArgument, "\\"), ("", "vhd", facts, .invalidArgument, "no name"),
        ("..", "vhd", facts, .invalidArgument, "no name"), ("a/.", "vhd", facts, .invalidArgument, "no name"),
        (String(repeating: "n", count: 256), "vhd", facts, .invalidArgument, "256"),
        (String(repeating: "n/", count: 40_000) + "n", "vhd", facts, .invalidArgument, "too long"),
    ]

    @Test(arguments: 0..<refused.count)
    func isRefused(_ index: Int) {
        let (name, format, facts, code, word) = Self.refused[index]
        let error = #expect(throws: ImageError.self) {
            try VHDFormat().makeWriter(plan(name, format: format, facts: facts))
        }
        #expect(error?.code == code)
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "")")
    }

    @Test(arguments: [["subformat": "fixed"], ["profile": "azure"]])
    func aFixedImageHasNoParent(_ options: [String: String]) {
        let error = #expect(throws: ImageError.self) {
            try VHDFormat().makeWriter(plan("base.vhd", options: options))
        }
        #expect(error?.code == .invalidArgument)
    }

    /// The longest name that the header holds is stored whole.
    @Test func theLongestName() throws {
        let name = String(repeating: "n", count: 255)
        #expect(String(decoding: try header(try empty(plan(name))).parentName, as: UTF16.self) == name)
    }

    /// A child that holds what its parent does is another image, also where both have their numbers from the content.
    @Test func aChildIsNotItsParent() throws {
        let stamp = ImageStamp(seconds: 1_000_000_000)
        let guest = [UInt8](repeating: 1, count: 2 << 20)
        let suite = FormatConformance(VHDFormat())
        var plan = plan("base.vhd", stamp: stamp)
        var ids: Set<[UInt8]> = []
        for parent in [Self.parentID, Self.id] {
            plan.backingFacts?.uniqueID = parent
            let image = try suite.write(guest, plan: plan)
            ids.insert(Array(image.suffix(512).dropFirst(68).prefix(16)))
        }
        #expect(ids.count == 2)
    }
}
