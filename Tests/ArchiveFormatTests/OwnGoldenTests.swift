import Foundation
import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// Archives that this program wrote: one of each codec, filter and chunk size. They stay readable for ever, and are never
/// made anew.
@Suite struct OwnGoldenTests {
    struct Facts: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var archiveSHA256: String
        var digest: String
        var methods: [String]
        var testDescription: String { name }
    }

    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().appendingPathComponent("Golden/own").path

    static let all: [Facts] = {
        let json = FileManager.default.contents(atPath: folder + "/facts.json") ?? Data()
        return (try? JSONDecoder().decode([Facts].self, from: json)) ?? []
    }()

    @Test func nothingIsMissing() {
        #expect(Self.all.count == 17)
        #expect(Set(Self.all.flatMap(\.methods)) == ["0/0", "1/0", "2/0", "3/0", "3/1", "3/2"])
    }

    @Test(arguments: all)
    func isReadAsItWasWritten(_ facts: Facts) throws {
        let bytes = [UInt8](FileManager.default.contents(atPath: "\(Self.folder)/\(facts.name).rimg") ?? Data())
        #expect(SHA256Hasher.hash(bytes).description == facts.archiveSHA256)
        #expect(try digest(of: contents(bytes)) == facts.digest)
        #expect(try digest(of: restored(bytes)) == facts.digest)
        #expect(try ArchiveFormat.indexDigest(of: source(bytes)).description == facts.digest)
    }
}
