import Foundation
import QCOW2Format
import ReimageCore
import ReimageTesting
import Synchronization
import TestSupport
import Testing

/// Every change that was made to a few stores, in order, so that the files of any moment can be made again.
final class Journal: Sendable {
    enum Change: Sendable {
        case write([UInt8], at: Int)
        case zero(Range<Int>)
        case setByteCount(Int)
        case sync
    }

    private let entries = Mutex<[(store: Int, change: Change)]>([])

    var count: Int { entries.withLock { $0.count } }
    var changes: [(store: Int, change: Change)] { entries.withLock { $0 } }
    fileprivate func add(_ store: Int, _ change: Change) { entries.withLock { $0.append((store, change)) } }
}

/// A store in memory that writes down what is done to it.
final class JournalStore: UpdatableStore {
    let inner: MemoryStore
    private let journal: Journal
    private let index: Int

    init(_ bytes: [UInt8], _ journal: Journal, index: Int = 0) {
        inner = MemoryStore(bytes, name: index == 0 ? "test.qcow2" : "data")
        self.journal = journal
        self.index = index
    }

    var id: StoreID { inner.id }
    var name: String { inner.name }
    var identity: StoreIdentity? { nil }
    var byteCount: UInt64 { inner.byteCount }
    var traits: StoreTraits { inner.traits }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try inner.read(into: &buffer, at: offset)
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try inner.extent(at: offset, limit: limit)
    }

    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        journal.add(index, .write(try bytes.bytes(0..<bytes.byteCount), at: Int(offset.value)))
        try inner.write(bytes, at: offset)
    }

    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        journal.add(index, .zero(Int(range.start.value)..<Int(range.end.value)))
        try inner.zero(range, mode: mode)
    }

    func setByteCount(_ count: UInt64) throws(ImageError) {
        journal.add(index, .setByteCount(Int(count)))
        try inner.setByteCount(count)
    }

    func sync() throws(ImageError) { journal.add(index, .sync) }
}

extension Journal.Change {
    /// Does it to the bytes of a file.
    func apply(to bytes: inout [UInt8]) {
        switch self {
        case .write(let data, let offset):
            let missing = offset + data.count - bytes.count
            if missing > 0 { bytes += [UInt8](repeating: 0, count: missing) }
            data.withBytes { source in bytes.withMutableBytes { $0.copy(from: source, at: offset) } }
        case .zero(let range):
            if bytes.count < range.upperBound { bytes += [UInt8](repeating: 0, count: range.upperBound - bytes.count) }
            bytes.withMutableBytes { $0.zero(range) }
        case .setByteCount(let count):
            if bytes.count > count { bytes.removeLast(bytes.count - count) }
            if bytes.count < count { bytes += [UInt8](repeating: 0, count: count - bytes.count) }
        case .sync: break
        }
    }
}

/// Whether two disks are equal, or the `count` bytes at `start` of them, where an end counts as bytes: a loop over
/// elements is slow in debug builds.
func isSame(_ left: [UInt8], _ right: [UInt8], _ start: Int = 0, _ count: Int? = nil) -> Bool {
    let wanted = count ?? max(left.count, right.count)
    let range = min(start, left.count)..<min(start + wanted, left.count)
    guard range == min(start, right.count)..<min(start + wanted, right.count) else { return false }
    // SAFETY: the range was bounded by both arrays.
    return unsafe left.withUnsafeBytes { left in
        unsafe right.withUnsafeBytes { right in
            guard let left = left.baseAddress, let right = right.baseAddress else { return range.isEmpty }
            return unsafe memcmp(left + range.lowerBound, right + range.lowerBound, range.count) == 0
        }
    }
}

/// References of an image that is changed: backing files that are read, and one data file.
struct UpdateResolver: ReferenceResolver {
    var images: [String: [UInt8]] = [:]
    var data: (any UpdatableStore)?

    func openImage(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any DiskImage {
        try FakeResolver(images: images).openImage(reference, of: source)
    }

    func openStore(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any ByteStore {
        try openForUpdate(reference, of: source)
    }

    func openForUpdate(
        _ reference: Reference, of source: ImageSource
    ) throws(ImageError) -> any UpdatableStore {
        guard let data else { throw ImageError(.unreadable, "there is no data file") }
        return data
    }
}

/// One change of the guest's disk.
enum GuestChange: Sendable {
    case write(Range<Int>, seed: Int)
    case zero(Range<Int>, mayUnmap: Bool)
    case discard(Range<Int>)
    case resize(Int, preallocation: String? = nil)

    /// Does it to the disk's plain bytes, whose format gives up whole grains.
    func apply(to bytes: inout [UInt8], grain: Int) {
        switch self {
        case .write(let range, let seed):
            pattern(seed, range.count).withBytes { source in
                bytes.withMutableBytes { $0.copy(from: source, at: range.lowerBound) }
            }
        case .zero(let range, _): bytes.withMutableBytes { $0.zero(range) }
        case .discard(let range):
            let first = (range.lowerBound + grain - 1) / grain * grain
            let last = range.upperBound == bytes.count ? range.upperBound : range.upperBound / grain * grain
            if first < last { bytes.withMutableBytes { $0.zero(first..<last) } }
        case .resize(let count, _): Journal.Change.setByteCount(count).apply(to: &bytes)
        }
    }

    /// Does it to an image.
    func apply(to disk: any WritableDisk) throws(ImageError) {
        switch self {
        case .write(let range, let seed):
            try pattern(seed, range.count).withBytes { (span) throws(ImageError) in
                try disk.write(span, at: GuestOffset(UInt64(range.lowerBound)))
            }
        case .zero(let range, let mayUnmap): try disk.zero(Self.guest(range), mayUnmap: mayUnmap)
        case .discard(let range): try disk.discard(Self.guest(range))
        case .resize: throw ImageError(.unsupported, "a disk that is open keeps its length")
        }
    }

    private static func guest(_ range: Range<Int>) -> GuestRange {
        GuestRange(start: GuestOffset(UInt64(range.lowerBound)), count: UInt64(range.count))
    }

    /// A change of a disk of `count` bytes by chance: of sectors, grains, clusters or any bytes.
    static func random(count: Int, cluster: Int, largest: Int, _ random: inout SeededGenerator) -> GuestChange {
        let unit = [1, 512, cluster / 32 + 1, cluster, cluster][Int.random(in: 0..<5, using: &random)]
        let most = max(1, largest / unit)
        let length = min(count, unit * Int.random(in: 1...most, using: &random))
        var start = Int.random(in: 0...(count - length), using: &random) / unit * unit
        if Int.random(in: 0..<6, using: &random) == 0 { start = count - length }
        let range = start..<start + length
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return .zero(range, mayUnmap: false)
        case 1: return .zero(range, mayUnmap: true)
        case 2: return .discard(range)
        default: return .write(range, seed: Int.random(in: 0..<1000, using: &random))
        }
    }
}

/// An image to be changed, and what its disk holds.
struct UpdateSample: Sendable, CustomTestStringConvertible {
    var name: String
    var options: String
    var byteCount = 700_928
    var clusterSize: Int
    var isExtended = false
    /// The length of the backing file.
    var backing: Int?
    var hasDataFile = false
    /// `qemu-io` commands, and others that begin with the tool's name.
    var steps: [[String]] = []
    var hasSnapshot = false
    /// The longest change.
    var largest = 100_000

    var testDescription: String { name }
    var grain: Int { isExtended ? clusterSize / 32 : clusterSize }

    struct Made {
        var image: [UInt8]
        var data: [UInt8]
        var backing: [UInt8]
        var disk: [UInt8]
        var snapshot: [UInt8]
    }

    /// Makes the image with qemu's tools in `folder`.
    func make(in folder: Scratch) throws -> Made {
        let path = folder.file("image.qcow2")
        var create = ["create", "-q", "-f", "qcow2", "-o", options]
        if hasDataFile { create[5] += ",data_file=\(folder.file("data"))" }
        var base: [UInt8] = []
        if let backing {
            base = PatternDisk.bytes(count: backing, seed: 5)
            folder.write(base, to: "base")
            create += ["-b", folder.file("base"), "-F", "raw"]
        }
        try QEMU.run("qemu-img", create + [path, "\(byteCount)"])
        for step in steps {
            if step[0] == "qemu-img" {
                try QEMU.run(step[0], step.dropFirst().map { $0 == "IMAGE" ? path : $0 })
            } else {
                try QEMU.run("qemu-io", ["-d", "unmap"] + step.flatMap { ["-c", $0] } + [path])
            }
        }
        try QEMU.run("qemu-img", ["convert", "-O", "raw", path, folder.file("disk")])
        var snapshot: [UInt8] = []
        if hasSnapshot {
            try QEMU.run("qemu-img", ["convert", "-l", "before", "-O", "raw", path, folder.file("snapshot")])
            snapshot = try read(folder, "snapshot")
        }
        return Made(
            image: try read(folder, "image.qcow2"), data: hasDataFile ? try read(folder, "data") : [], backing: base,
            disk: try read(folder, "disk"), snapshot: snapshot)
    }

    private func read(_ folder: Scratch, _ name: String) throws -> [UInt8] {
        guard let bytes = folder.read(name) else { throw ImageError(.unreadable, "\(name) is not there") }
        return bytes
    }

    /// What the image refers to.
    func resolver(_ made: Made, _ data: (any UpdatableStore)?, in folder: Scratch) -> UpdateResolver {
        UpdateResolver(images: backing == nil ? [:] : [folder.file("base"): made.backing], data: data)
    }

    private static let fill = [
        "write -P 1 0 200k", "write -P 2 300001 90000", "write -z 64k 40k", "write -z -u 400k 70k",
        "write -P 3 650k 20k",
    ]

    static let all: [UpdateSample] = [
        UpdateSample(name: "64 KiB", options: "compat=1.1", byteCount: 1_200_128, clusterSize: 65536, steps: [fill]),
        UpdateSample(
            name: "512 B", options: "compat=1.1,cluster_size=512", byteCount: 150_016, clusterSize: 512,
            steps: [["write -P 1 0 20k", "write -z 30k 4k", "write -P 2 40000 30000", "discard 41k 3k"]],
            largest: 40_000),
        UpdateSample(
            name: "version 2", options: "compat=0.10,cluster_size=4096", clusterSize: 4096, steps: [fill]),
        UpdateSample(
            name: "version 2, overlay", options: "compat=0.10,cluster_size=4096", clusterSize: 4096, backing: 400_000,
            steps: [["write -P 1 0 64k", "write -P 2 390k 30k"]]),
        UpdateSample(
            name: "overlay", options: "compat=1.1,cluster_size=4096", clusterSize: 4096, backing: 500_001, steps: [fill]
        ),
        UpdateSample(
            name: "subclusters", options: "compat=1.1,cluster_size=16384,extended_l2=on", clusterSize: 16384,
            isExtended: true, steps: [fill]),
        UpdateSample(
            name: "subclusters, overlay", options: "compat=1.1,cluster_size=16384,extended_l2=on", clusterSize: 16384,
            isExtended: true, backing: 500_001, steps: [fill]),
        UpdateSample(
            name: "snapshot", options: "compat=1.1,cluster_size=4096", clusterSize: 4096,
            steps: [
                fill, ["qemu-img", "snapshot", "-c", "before", "IMAGE"], ["write -P 9 100k 9k", "write -z 200k 50k"],
            ],
            hasSnapshot: true),
        UpdateSample(
            name: "subclusters, snapshot", options: "compat=1.1,cluster_size=16384,extended_l2=on", clusterSize: 16384,
            isExtended: true,
            steps: [
                fill, ["qemu-img", "snapshot", "-c", "before", "IMAGE"], ["write -P 9 100k 9k", "write -z 200k 50k"],
            ],
            hasSnapshot: true),
        UpdateSample(
            name: "version 2, snapshot", options: "compat=0.10,cluster_size=1024", byteCount: 300_032,
            clusterSize: 1024,
            steps: [
                ["write -P 1 0 100k", "write -P 2 150000 90000"], ["qemu-img", "snapshot", "-c", "before", "IMAGE"],
                ["write -P 9 50k 9k"],
            ], hasSnapshot: true),
        UpdateSample(
            name: "deflate", options: "compat=1.1,cluster_size=4096", clusterSize: 4096,
            steps: [["write -c -P 1 0 200k", "write -c -P 2 300k 80k", "write -P 3 500k 50k"]]),
        UpdateSample(
            name: "zstd, subclusters", options: "compat=1.1,cluster_size=16384,extended_l2=on,compression_type=zstd",
            clusterSize: 16384, isExtended: true,
            steps: [["write -c -P 1 0 208k", "write -c -P 2 304k 80k", "write -P 3 500k 50k"]]),
        UpdateSample(
            name: "preallocated", options: "compat=1.1,cluster_size=4096,preallocation=metadata", clusterSize: 4096,
            steps: [["write -P 1 0 100k", "write -z 50k 90k"]]),
        UpdateSample(
            name: "1 bit refcounts", options: "compat=1.1,cluster_size=512,refcount_bits=1", byteCount: 150_016,
            clusterSize: 512, steps: [["write -P 1 0 40k"]], largest: 40_000),
        UpdateSample(
            name: "data file", options: "compat=1.1,cluster_size=4096", clusterSize: 4096, hasDataFile: true,
            steps: [fill]),
        UpdateSample(
            name: "raw data file", options: "compat=1.1,cluster_size=4096,data_file_raw=on", clusterSize: 4096,
            hasDataFile: true, steps: [fill]),
    ]

    /// A refcount table of one small cluster that is all but full: 64 blocks of 64 counts of 512 byte clusters.
    static let fullTable = UpdateSample(
        name: "full refcount table", options: "compat=1.1,cluster_size=512,refcount_bits=64", byteCount: 2_500_096,
        clusterSize: 512, steps: [["write -P 1 0 1940k"]], largest: 300_000)
}
