import Foundation
import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// An archive that the specification's reference model wrote, and what the model says of it.
///
/// These files must stay readable for ever; they are never made anew.
struct Golden: Decodable, Sendable, CustomTestStringConvertible {
    var name: String
    var note: String
    var archiveBytes: Int
    var archiveSHA256: String
    var diskBytes: UInt64
    /// Not given for disks too large to be written down.
    var diskSHA256: String?
    var digest: String
    /// Runs of kinds: d for data, z for zeros, h for holes, u for unreadable, each with its length in bytes.
    var extents: String
    /// Codec and filter of the chunks, by number.
    var methods: [String]
    var uuid: String
    /// The places of the first LEAF records.
    var leaves: [Int]
    /// As the FOOT record has them: chunks, duplicates, zero, unallocated, a reserved number, and unreadable slots.
    var counts: [UInt64]

    var testDescription: String { name }

    private static let folder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("Golden").path

    static let all: [Golden] = {
        let json = FileManager.default.contents(atPath: folder + "/facts.json") ?? Data()
        return (try? JSONDecoder().decode([Golden].self, from: json)) ?? []
    }()

    /// The archives whose disk is small enough to be read whole.
    static let small = all.filter { $0.diskSHA256 != nil }

    static func named(_ name: String) throws -> Golden { try #require(all.first { $0.name == name }) }

    /// The archive.
    var bytes: [UInt8] { [UInt8](FileManager.default.contents(atPath: "\(Self.folder)/\(name).rimg") ?? Data()) }
}

/// The disk of the archive in `bytes`.
func disk(_ bytes: [UInt8], _ context: OpenContext = OpenContext()) throws(ImageError) -> any BlockDevice {
    try disk(MemoryStore(bytes, name: "archive"), context)
}

/// The disk of the archive in `store`.
func disk(_ store: any ByteStore, _ context: OpenContext = OpenContext()) throws(ImageError) -> any BlockDevice {
    guard case .random(let device) = try ArchiveFormat().open(ImageSource(store: store), context).content() else {
        throw ImageError(.unsupported, "an archive opens as a stream")
    }
    return device
}

/// All bytes of the disk of the archive in `bytes`.
func contents(_ bytes: [UInt8]) throws(ImageError) -> [UInt8] {
    let disk = try disk(bytes)
    return try disk.bytes(at: .zero, count: Int(disk.byteCount), piece: 1 << 20)
}

/// The kinds of the disk's runs, in the spelling of ``Golden/extents``.
func extents(_ disk: any BlockDevice, limit: UInt64 = .max) throws(ImageError) -> String {
    var runs: [(kind: Extent.Kind, count: UInt64)] = []
    var offset: UInt64 = 0
    while offset < disk.byteCount {
        let extent = try disk.extent(at: GuestOffset(offset), limit: limit, layers: .top, detail: .tables)
        if let last = runs.last, last.kind == extent.kind {
            runs[runs.count - 1].count += extent.count
        } else {
            runs.append((extent.kind, extent.count))
        }
        offset += extent.count
    }
    let letters: [Extent.Kind: String] = [.data: "d", .zero: "z", .hole: "h", .unreadable: "u"]
    return runs.map { "\(letters[$0.kind] ?? "?")\($0.count)" }.joined(separator: " ")
}

/// The digest of a disk of these bytes.
func digest(of bytes: [UInt8]) -> String {
    var tree = DigestTree()
    bytes.withBytes { tree.append(leavesOf: $0) }
    return tree.digest(byteCount: UInt64(bytes.count)).description
}

func source(_ bytes: [UInt8]) -> ImageSource { ImageSource(store: MemoryStore(bytes, name: "archive")) }
