import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// The rules of Azure.
@Suite struct ProfileTests {
    private static let size = 1 << 20

    struct Broken: Sendable, CustomStringConvertible {
        var name: String
        /// What the rules begin with that are not kept.
        var rules: [String]
        var image: @Sendable () throws -> [UInt8]
        var options: [String: String] = [:]

        var description: String { name }
    }

    private static func fixed(
        _ size: Int = size, _ change: (inout VHDBuilder) -> Void = { _ in }
    ) throws -> [UInt8] {
        var builder = VHDBuilder(fixed: [UInt8](repeating: 7, count: size))
        change(&builder)
        return try builder.finished()
    }

    static let broken: [Broken] = [
        Broken(name: "none", rules: [], image: { try fixed() }),
        Broken(name: "another creator", rules: [], image: { try fixed { $0.footer.creator = .virtualPC } }),
        Broken(
            name: "dynamic",
            rules: ["the image is fixed", "the footer names no dynamic header", "the file is the disk and its footer"],
            image: { try VHDBuilder(size: UInt64(size)).finished() }),
        Broken(name: "half a MiB", rules: ["the disk is a whole number"], image: { try fixed(size * 3 / 2) }),
        Broken(
            name: "too small", rules: ["the disk is a whole number", "the disk has 1 MiB"],
            image: { try fixed(512) }),
        Broken(
            name: "bytes behind", rules: ["a footer with the cookie", "the file is the disk"],
            image: { try fixed() + [0, 0, 0] }),
        Broken(
            name: "511 bytes", rules: ["a footer with the cookie", "the file is the disk"],
            image: { try fixed().dropLast() }),
        Broken(
            name: "more data", rules: ["the file is the disk"],
            image: { try fixed(2 * size) { $0.footer.currentSize = UInt64(size) } }),
        Broken(
            name: "another version", rules: ["the format's version"], image: { try fixed { $0.footer.version += 1 } }),
        Broken(
            name: "a data offset", rules: ["the footer names no dynamic header"],
            image: { try fixed { $0.footer.dataOffset = 512 } }),
        Broken(
            name: "a suspended machine", rules: ["the disk is that of no suspended"],
            image: { try fixed { $0.footer.savedState = 1 } }),
        Broken(
            name: "a checksum", rules: ["the footer's checksum"],
            image: {
                var bytes = try fixed()
                bytes[bytes.count - 440] ^= 1
                return bytes
            }, options: ["ignore-checksums": "on"]),
    ]

    @Test(arguments: broken) func isJudged(_ broken: Broken) throws {
        let rules = try judge(try broken.image(), options: broken.options)
        #expect(rules.count == 9)
        let failed = rules.filter { !$0.isKept }
        #expect(failed.count == broken.rules.count, "\(failed)")
        for (rule, text) in zip(failed, broken.rules) { #expect(rule.text.hasPrefix(text), "\(rule)") }
        #expect(rules.allSatisfy { !$0.found.isEmpty })
    }

    @Test func whatHasNoRules() throws {
        expectError(.unsupported, "no rules called 'aws'") { _ = try judge(try Self.fixed(), profile: "aws") }
        expectError(.damaged, "no VHD footer") { _ = try judge([UInt8](repeating: 0, count: 4096)) }
        expectError(.damaged, "checksum is wrong") {
            var bytes = try Self.fixed()
            bytes[bytes.count - 440] ^= 1
            _ = try judge(bytes)
        }
    }

    private func judge(
        _ bytes: [UInt8], profile: String = "azure", options: [String: String] = [:]
    ) throws -> [ProfileRule] {
        try VHDFormat().check(
            ImageSource(store: MemoryStore(bytes, name: "test.vhd")), forProfile: profile,
            OpenContext(options: options))
    }
}
