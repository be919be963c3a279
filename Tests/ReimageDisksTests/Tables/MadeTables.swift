import Foundation
import ReimageCore
import ReimageDisks
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

/// Disks that `sfdisk` partitions, and what it says of them.
struct MadeTable {
    /// What `sfdisk --json` prints.
    struct Report: Decodable {
        struct Table: Decodable {
            struct Partition: Decodable {
                var node: String
                var start: UInt64
                var size: UInt64
                var type: String
                var uuid: String?
                var name: String?
            }
            var label: String
            var id: String
            var partitions: [Partition]?
            var lastlba: UInt64?
            var sectorsize: Int
        }
        var partitiontable: Table
    }

    /// A table with a partition of every odd kind.
    static let gpt = """
        label: gpt
        start=2048, size=8192, type=U, name="EFI"
        size=20480, type=L, name="Wurzel \u{00fc}\u{1F600}"
        4: size=4096, type=S
        """
    static let mbr = """
        label: dos
        label-id: 0x1234abcd
        start=2048, size=2048, type=c, bootable
        size=2048, type=83
        size=16384, type=5
        5: size=3072, type=83
        6: size=3072, type=82
        7: size=3072, type=83
        """

    /// The file that holds the disk.
    var path: String
    /// What `sfdisk` says of it.
    var report: Report.Table

    /// Makes a sparse file of `size` bytes with the table of `script`, for sectors of `sector` bytes; `nil`, with the
    /// reason printed, where that cannot be done here.
    ///
    /// `sfdisk` takes the sector from the device, so that anything but 512 needs a loop device.
    init?(_ script: String, size: Int, sector: Int, in scratch: Scratch) throws {
        guard let sfdisk = Program(named: "sfdisk") else { return nil }
        path = try scratch.blank("table-\(UUID().uuidString)", size: size)
        // Sizes are given in sectors of 512 bytes.
        let words = script.replacing(/(size|start)=(\d+)/) { match in
            "\(match.output.1)=\((Int(match.output.2) ?? 0) * 512 / sector)"
        }
        var report: Report.Table?
        func make(_ device: String) throws {
            let result = try sfdisk.run(["-q", "--no-reread", device], input: Data(words.utf8))
            try #require(result.status == 0, "\(result.errors)")
            report = try Self.report(device)
        }
        if sector == 512 {
            try make(path)
        } else {
            guard let loops = LoopDevices() else { return nil }
            try loops.with(file: path, sector: sector) { try make($0) }
        }
        guard let report else { return nil }
        self.report = report
    }

    /// What `sfdisk` says of a file or device.
    static func report(_ path: String) throws -> Report.Table {
        let sfdisk = try #require(Program(named: "sfdisk"))
        let result = try sfdisk.run(["--json", path])
        try #require(result.status == 0, "\(result.errors)")
        return try JSONDecoder().decode(Report.self, from: result.output).partitiontable
    }
}

extension PartitionTable {
    /// The table in `bytes`.
    static func read(_ bytes: [UInt8], sectorSize: Int = 512) throws(ImageError) -> PartitionTable? {
        try read(MemoryStore(bytes), sectorSize: sectorSize)
    }

    var asGPT: GPTTable? { if case .gpt(let table) = self { table } else { nil } }
    var asMBR: MBRTable? { if case .mbr(let table) = self { table } else { nil } }
}
