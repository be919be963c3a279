import Foundation
import TestSupport
import Testing

/// The images of `SampleImages/` against their manifest, whose digests a program of its own computed.
@Suite struct SampleTests {
    struct Sample: Decodable, Sendable, CustomTestStringConvertible {
        struct Snapshot: Decodable, Sendable {
            var name: String
            var digest: String
        }
        var name: String
        var format: String
        var virtualSize: Int
        var digest: String
        var snapshots: [Snapshot]?

        var testDescription: String { name }

        enum CodingKeys: String, CodingKey {
            case name, format, digest, snapshots
            case virtualSize = "virtual-size"
        }
    }

    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("SampleImages").path

    static let samples: [Sample] = {
        struct Manifest: Decodable { var images: [Sample] }
        let json = FileManager.default.contents(atPath: folder + "/manifest.json") ?? Data()
        return (try? JSONDecoder().decode(Manifest.self, from: json))?.images ?? []
    }()

    private func reimage(_ arguments: String...) throws -> ProgramResult {
        let result = try #require(Program.reimage).run(arguments, in: Self.folder)
        try #require(result.status == 0, "\(result.errors)")
        return result
    }

    @Test func manifestNamesEveryImage() throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.folder)
        let images = files.filter { $0.hasSuffix(".qcow2") || $0.hasSuffix(".vhd") || $0.hasPrefix("disk.raw.") }
        #expect(images.count >= 13)
        #expect(Set(Self.samples.map(\.name)) == Set(images))
    }

    @Test(arguments: samples)
    func hasTheDigestOfTheManifest(_ sample: Sample) throws {
        #expect(try reimage("digest", "-q", sample.name).text.hasPrefix(sample.digest))
        for snapshot in sample.snapshots ?? [] {
            #expect(try reimage("digest", "-q", "-l", snapshot.name, sample.name).text.hasPrefix(snapshot.digest))
        }
    }

    @Test(arguments: samples.filter { $0.format != "raw" })
    func hasTheSizeOfTheManifest(_ sample: Sample) throws {
        struct Info: Decodable {
            var size: Int
            var format: String
            enum CodingKeys: String, CodingKey {
                case format
                case size = "virtual-size"
            }
        }
        let info = try JSONDecoder().decode(Info.self, from: reimage("info", "--json", sample.name).output)
        #expect(info.size == sample.virtualSize)
        #expect(info.format == sample.format)
    }

    @Test(arguments: samples)
    func convertsToADiskOfThatDigest(_ sample: Sample) throws {
        let scratch = Scratch()
        let result = scratch.file("disk.raw")
        _ = try reimage("convert", "-q", sample.name, result)
        let size = try FileManager.default.attributesOfItem(atPath: result)[.size] as? Int
        #expect(size == sample.virtualSize)
        #expect(try reimage("digest", "-q", "-f", "raw", result).text.hasPrefix(sample.digest))
        guard sample.format == "qcow2", let workshop = Workshop.standard else { return }
        // In the image's folder: qemu looks for a data file in the working directory.
        let compared = try workshop.img.run(
            ["compare", "-f", "qcow2", "-F", "raw", sample.name, result], in: Self.folder)
        #expect(compared.status == 0, "\(compared.text) \(compared.errors)")
    }

    @Test func theModelAgreesWithThePublishedVectors() throws {
        guard let python = Program(named: "python3") else { return }
        let result = try python.run([Self.folder + "/rdd1.py", "--selftest"])
        #expect(result.status == 0, "\(result.errors)")
    }
}
