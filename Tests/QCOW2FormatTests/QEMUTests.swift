import Foundation
import QCOW2Format
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

/// Images made by qemu-img and qemu-io, read as `qemu-img convert` and `map` read them.
@Suite(.serialized, .enabled(if: QEMU.isInstalled, "qemu-img and qemu-io are not installed (Debian: qemu-utils)"))
struct QEMUTests {
    private let folder: URL

    init() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent("reimage-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }
    private func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
    }

    /// Writes that leave plain, zero, discarded and partly written clusters.
    private static let writes = [
        "write -P 1 0 100k", "write -P 2 1M 64k", "write -z 1100k 50k", "write -P 3 1536k 1k",
        "write -P 4 1800001 3333",
        "write -z 2M 256k", "discard 16k 32k", "write -P 5 3000k 72k",
    ]

    @Test(arguments: [
        "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=4k", "cluster_size=2M", "refcount_bits=1",
        "refcount_bits=64", "extended_l2=on", "extended_l2=on,cluster_size=16k", "lazy_refcounts=on",
        "preallocation=metadata", "preallocation=metadata,extended_l2=on", "compression_type=zstd",
    ])
    func activeStateIsRead(options: String) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try QEMU.run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path("a.qcow2"), "3100k"])
        try QEMU.run("qemu-io", Self.writes.flatMap { ["-c", $0] } + [path("a.qcow2")])
        try compare("a.qcow2")
        let codec = options.contains("zstd") ? "zstd" : "zlib"
        if !options.contains("0.10"), !options.contains("refcount_bits=1") {
            try QEMU.run(
                "qemu-img",
                ["convert", "-c", "-O", "qcow2", "-o", "compression_type=\(codec)", path("a.qcow2"), path("c.qcow2")])
            try compare("c.qcow2")
        }
    }

    @Test func chainIsRead() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try QEMU.run("qemu-img", ["create", "-q", "-f", "qcow2", path("base.qcow2"), "2M"])
        try QEMU.run("qemu-io", ["-c", "write -P 9 0 2M", path("base.qcow2")])
        try QEMU.run(
            "qemu-img",
            [
                "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "base.qcow2", "-o", "extended_l2=on",
                path("a.qcow2"), "3100k",
            ])
        try QEMU.run("qemu-io", Self.writes.flatMap { ["-c", $0] } + [path("a.qcow2")])
        try compare("a.qcow2", FakeResolver(images: ["base.qcow2": bytes("base.qcow2")]))
    }

    @Test func snapshotIsRead() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try QEMU.run("qemu-img", ["create", "-q", "-f", "qcow2", path("a.qcow2"), "3100k"])
        try QEMU.run("qemu-io", ["-c", "write -P 9 0 2M", path("a.qcow2")])
        try QEMU.run("qemu-img", ["snapshot", "-c", "before", path("a.qcow2")])
        try QEMU.run("qemu-io", Self.writes.flatMap { ["-c", $0] } + [path("a.qcow2")])
        try compare("a.qcow2")
        try QEMU.run("qemu-img", ["convert", "-l", "before", "-O", "raw", path("a.qcow2"), path("s.raw")])
        #expect(try contents(bytes("a.qcow2"), snapshot: "before") == bytes("s.raw"))
        #expect(try contents(bytes("a.qcow2"), snapshot: "1") == bytes("s.raw"))
        let snapshot = try open(bytes("a.qcow2")).info().snapshots[0]
        #expect(snapshot.name == "before" && snapshot.id == "1" && snapshot.byteCount == 3100 << 10)
    }

    @Test(arguments: ["off", "on"]) func dataFileIsRead(raw: String) throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let options = "data_file=\(path("data")),data_file_raw=\(raw)"
        try QEMU.run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path("a.qcow2"), "3100k"])
        try QEMU.run("qemu-io", Self.writes.flatMap { ["-c", $0] } + [path("a.qcow2")])
        try compare("a.qcow2", FakeResolver(stores: [path("data"): bytes("data")]))
    }

    @Test func bitmapsAreListed() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try QEMU.run("qemu-img", ["create", "-q", "-f", "qcow2", path("a.qcow2"), "1M"])
        try QEMU.run("qemu-img", ["bitmap", "--add", "-g", "64k", path("a.qcow2"), "b1"])
        try QEMU.run("qemu-img", ["bitmap", "--add", "--disable", path("a.qcow2"), "b2"])
        let info = try open(bytes("a.qcow2")).info()
        guard case .list(let bitmaps) = info.specific.last?.value else { throw ImageError(.mismatch, "no bitmaps") }
        #expect(bitmaps.count == 2)
        #expect(info.remarks.isEmpty)
    }

    /// The bytes of `convert -O raw`, and data, zero and depth of `map`, the host's holes aside.
    private func compare(_ name: String, _ resolver: FakeResolver? = nil) throws {
        try QEMU.run("qemu-img", ["convert", "-O", "raw", path(name), path("out.raw")])
        let disk = try device(try open(bytes(name), resolver))
        #expect(try read(disk) == bytes("out.raw"))
        let json = try QEMU.run("qemu-img", ["map", "--output=json", path(name)])
        let theirs = try JSONDecoder().decode([MapEntry].self, from: Data(json.utf8))
        var position: UInt64 = 0
        for extent in try extents(disk) {
            var at = position
            position += extent.count
            while at < position, let entry = theirs.last(where: { $0.start <= at }) {
                #expect(entry.data == (extent.kind == .data), "\(name) at \(at)")
                #expect(entry.zero || extent.kind == .data, "\(name) at \(at)")
                #expect(entry.present == (extent.kind != .hole), "\(name) at \(at)")
                #expect(entry.depth == extent.depth, "\(name) at \(at)")
                at = min(position, entry.start + entry.length)
            }
        }
        #expect(position == theirs.last.map { $0.start + $0.length })
    }

    private struct MapEntry: Decodable {
        var start: UInt64
        var length: UInt64
        var depth: Int
        var present: Bool
        var zero: Bool
        var data: Bool
    }
}

/// Outside tools.
enum QEMU {
    static let isInstalled = Program(named: "qemu-img") != nil && Program(named: "qemu-io") != nil

    @discardableResult
    static func run(_ tool: String, _ arguments: [String]) throws -> String {
        let result = try #require(Program(named: tool)).run(arguments)
        guard result.status == 0 else {
            throw ImageError(.unreadable, "\(tool) \(arguments.joined(separator: " ")): \(result.errors)")
        }
        return result.text
    }
}
