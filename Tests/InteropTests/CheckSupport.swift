import Foundation
import TestSupport
import Testing

/// The bytes of an image, with the fields that tests of `check` break.
struct PatchedImage {
    var bytes: [UInt8]

    func number(_ width: Int, at offset: Int) -> Int {
        bytes[offset..<offset + width].reduce(0) { $0 << 8 | Int($1) }
    }

    func entry(at offset: Int) -> UInt64 { bytes[offset..<offset + 8].reduce(0) { $0 << 8 | UInt64($1) } }

    mutating func set(_ value: UInt64, _ width: Int = 8, at offset: Int) {
        for index in 0..<width {
            bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * (width - 1 - index)))
        }
    }

    static let offsetMask: UInt64 = 0x00FF_FFFF_FFFF_FE00
    static let copied: UInt64 = 1 << 63

    var version: Int { number(4, at: 4) }
    var clusterSize: Int { 1 << number(4, at: 20) }
    var refcountOrder: Int { version == 2 ? 4 : number(4, at: 96) }
    var isExtended: Bool { version > 2 && bytes[79] & 16 != 0 }
    var stride: Int { isExtended ? 16 : 8 }
    var entriesPerTable: Int { clusterSize / stride }
    var l1: Int { number(8, at: 40) }
    var refcountTable: Int { number(8, at: 48) }

    /// The offset that the entry at `place` holds.
    func target(at place: Int) -> Int { Int(entry(at: place) & Self.offsetMask) }

    /// The place of the L2 entry of a guest cluster, whose table must be there.
    func l2Place(_ cluster: Int) -> Int {
        target(at: l1 + cluster / entriesPerTable * 8) + cluster % entriesPerTable * stride
    }

    /// The first guest clusters that are stored plainly.
    func plainClusters(_ count: Int) throws -> [Int] {
        var found: [Int] = []
        for cluster in 0..<entriesPerTable {
            let entry = entry(at: l2Place(cluster))
            if entry & Self.offsetMask != 0, entry >> 62 & 1 == 0, entry & 1 == 0 { found.append(cluster) }
        }
        return Array(try #require(found.count >= count ? found : nil).prefix(count))
    }

    /// The guest cluster whose plain data lies last in the file.
    func lastCluster() throws -> Int {
        let clusters = (0..<entriesPerTable).filter {
            let entry = entry(at: l2Place($0))
            return entry & Self.offsetMask != 0 && entry >> 62 & 1 == 0
        }
        return try #require(clusters.max { target(at: l2Place($0)) < target(at: l2Place($1)) })
    }

    /// The guest bytes that are lost.
    func range(of loss: CheckDamage.Loss) throws -> Range<Int> {
        let cluster: Int
        switch loss {
        case .nothing, .asRead: return 0..<0
        case .firstTable: return 0..<entriesPerTable * clusterSize
        case .firstCluster: cluster = try plainClusters(1)[0]
        case .lastCluster: cluster = try lastCluster()
        }
        return cluster * clusterSize..<(cluster + 1) * clusterSize
    }

    /// The refcount block that counts the file's first clusters.
    var refcountBlock: Int { target(at: refcountTable) }

    /// Sets the refcount of a cluster that the first block counts.
    mutating func setRefcount(_ count: UInt64, ofClusterAt offset: Int) {
        let index = offset / clusterSize
        let bits = 1 << refcountOrder
        if bits >= 8 {
            set(count, bits / 8, at: refcountBlock + index * bits / 8)
        } else {
            let place = refcountBlock + index * bits / 8
            let shift = index * bits % 8
            let mask = UInt8((1 << bits) - 1)
            bytes[place] = bytes[place] & ~(mask << UInt8(shift)) | UInt8(count) << UInt8(shift)
        }
    }
}

/// A sound image that tests damage.
struct CheckBase: Sendable, CustomStringConvertible {
    var name: String
    /// For `qemu-img create -o`.
    var options: String
    var size = 512 << 10
    var commands = ["write -P 1 0 200k", "write -P 2 256k 64k", "write -z 300k 20k"]
    var isCompressed = false
    var hasSnapshot = false
    var hasBitmap = false
    var hasBacking = false
    var hasDataFile = false

    var description: String { name }

    static let all: [CheckBase] = [
        CheckBase(name: "usual", options: "compat=1.1"),
        CheckBase(name: "version 2", options: "compat=0.10,cluster_size=4k"),
        CheckBase(name: "order 0", options: "refcount_bits=1,cluster_size=8k"),
        CheckBase(name: "order 1", options: "refcount_bits=2,cluster_size=4k"),
        CheckBase(name: "order 2", options: "refcount_bits=4,cluster_size=32k"),
        CheckBase(name: "order 3", options: "refcount_bits=8,cluster_size=1k"),
        CheckBase(name: "order 5", options: "refcount_bits=32,cluster_size=2k"),
        CheckBase(name: "order 6", options: "refcount_bits=64,cluster_size=16k"),
        CheckBase(name: "small clusters", options: "cluster_size=512"),
        CheckBase(
            name: "large clusters", options: "cluster_size=2M", size: 16 << 20,
            commands: ["write -P 1 0 3M", "write -P 2 6M 2M"]),
        CheckBase(name: "extended L2", options: "extended_l2=on,cluster_size=16k"),
        CheckBase(name: "deflate", options: "cluster_size=4k", isCompressed: true),
        CheckBase(name: "zstd", options: "compression_type=zstd,cluster_size=16k", isCompressed: true),
        CheckBase(name: "snapshot", options: "cluster_size=4k", hasSnapshot: true),
        CheckBase(name: "snapshot version 2", options: "compat=0.10,cluster_size=16k", hasSnapshot: true),
        CheckBase(name: "bitmap", options: "cluster_size=4k", hasBitmap: true),
        CheckBase(name: "overlay", options: "cluster_size=4k", hasBacking: true),
        CheckBase(name: "overlay version 2", options: "compat=0.10,cluster_size=4k", hasBacking: true),
        CheckBase(name: "lazy refcounts", options: "lazy_refcounts=on,cluster_size=4k"),
        CheckBase(name: "preallocated", options: "preallocation=metadata,cluster_size=4k"),
    ]

    /// Makes the image as `name` in `folder`, with what it refers to.
    func make(_ name: String, _ workshop: Workshop, in folder: Scratch) throws {
        var create = ["create", "-q", "-f", "qcow2", "-o", options]
        if hasBacking {
            folder.write(pattern(size), to: "backing.raw")
            create += ["-b", "backing.raw", "-F", "raw"]
        }
        try workshop.img.succeed(create + [name, "\(size)"], in: folder)
        let plain = commands.flatMap { ["-c", $0] }
        try workshop.io.succeed(["-f", "qcow2"] + plain + [name], in: folder)
        if isCompressed {
            let coded = ["-c", "write -c -P 5 400k 32k", "-c", "write -c -P 6 464k 16k"]
            try workshop.io.succeed(["-f", "qcow2"] + coded + [name], in: folder)
        }
        if hasSnapshot {
            try workshop.img.succeed(["snapshot", "-c", "before", name], in: folder)
            try workshop.io.succeed(["-f", "qcow2", "-c", "write -P 7 0 64k", name], in: folder)
        }
        if hasBitmap {
            try workshop.img.succeed(["bitmap", "--add", name, "changes"], in: folder)
            try workshop.io.succeed(["-f", "qcow2", "-c", "write -P 7 0 64k", name], in: folder)
        }
    }
}

/// What is done to a sound image, and what is known of the outcome.
struct CheckDamage: Sendable, CustomStringConvertible {
    /// What the guest loses; `asRead` is another content, which the damaged image has as well.
    enum Loss: Sendable { case nothing, firstCluster, firstTable, lastCluster, asRead }

    var name: String
    /// Where our findings are other ones in number; the reason is in the name of the case.
    var countsDiffer = false
    var loss = Loss.nothing
    /// Where the peer comes to another conclusion on purpose.
    var theirStatus: Int32?
    var applies: @Sendable (CheckBase) -> Bool = { _ in true }
    var apply: @Sendable (inout PatchedImage) throws -> Void

    var description: String { name }
}
