import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// A disk in memory whose runs are given: what they are, and how long.
final class RunDisk: BlockDevice, DiskCursor, Sendable {
    let bytes: [UInt8]
    let byteCount: UInt64
    let sectorSize = 512
    let stores: [any ByteStore] = []
    private let runs: [(kind: Extent.Kind, count: UInt64)]

    /// Behind the end of `bytes` there may only be runs that are not read.
    init(_ bytes: [UInt8], runs: [(kind: Extent.Kind, count: UInt64)]) {
        self.bytes = bytes
        self.runs = runs
        byteCount = runs.reduce(0) { $0 + $1.count }
    }

    convenience init(_ bytes: [UInt8]) { self.init(bytes, runs: [(.data, UInt64(bytes.count))]) }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        var end: UInt64 = 0
        for run in runs {
            end += run.count
            if offset.value < end { return Extent(run.kind, count: min(limit, end - offset.value)) }
        }
        throw .damaged("past the end")
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { self }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        let start = Int(offset.value)
        bytes.withBytes { buffer.copy(from: $0.extracting(start..<start + buffer.byteCount)) }
    }
}

/// The bytes of a disk as a stream that does not tell its length, and gives at most `piece` bytes of each thing it is
/// asked for where that is given.
final class ByteDiskStream: DiskStream {
    let name = "stream"
    let byteCount: UInt64? = nil
    private let stream: StoreStream

    init(_ bytes: [UInt8]) { stream = StoreStream(MemoryStore(bytes)) }

    func read(into buffer: inout OutputRawSpan) throws(ImageError) { try stream.read(into: &buffer) }
}

/// The settings of a writer by its options, with `change` applied.
func settings(
    _ options: [String: String] = [:], _ change: (inout WriterSettings) -> Void = { _ in }
) throws -> WriterSettings {
    var settings = try WriterSettings(WritePlan(byteCount: 0, options: options))
    change(&settings)
    return settings
}

/// The archive of `disk`.
func write(_ disk: any BlockDevice, _ settings: WriterSettings, threads: Int = 2) throws -> [UInt8] {
    let writer = try ArchiveWriter(settings, byteCount: disk.byteCount)
    let target = MemoryStore([])
    _ = try CopyJob(.random(disk), writer: writer, sink: target, options: JobOptions(threadCount: threads)).run()
    #expect(target.byteCount <= (try writer.mostBytes(forDisk: disk.byteCount)))
    return target.bytes
}

/// The archive of what a stream gives whose length is not known.
func writeLate(_ stream: any DiskStream, _ settings: WriterSettings, threads: Int = 2) throws -> [UInt8] {
    let writer = try ArchiveWriter(settings, byteCount: nil)
    let target = MemoryStore([], traits: StoreTraits(abilities: .appendOnly))
    _ = try CopyJob(.stream(stream), writer: writer, sink: target, options: JobOptions(threadCount: threads)).run()
    return target.bytes
}

/// The disk of the archive in `bytes` as it comes through a pipe.
func stream(_ bytes: [UInt8], note: @escaping @Sendable (Note) -> Void = { _ in }) throws -> any RunStream {
    let source = ImageSource(stream: StoreStream(MemoryStore(bytes, name: "archive")))
    guard
        case .stream(let stream as any RunStream) = try ArchiveFormat().open(source, OpenContext(note: note)).content()
    else { throw ImageError(.unsupported, "an archive in a pipe opens as a disk") }
    return stream
}

/// All bytes of the archive in `bytes`, read from a pipe; duplicates are looked up in what came before.
func restored(_ bytes: [UInt8]) throws -> [UInt8] {
    let stream = try stream(bytes)
    let target = MemoryStore([])
    stream.useEarlierBytes(
        .reader { (buffer, offset) throws(ImageError) in
            try target.read(into: &buffer, at: HostOffset(offset.value))
        })
    let cursor = try stream.makeCursor()
    var position = GuestOffset.zero
    while let extent = try stream.advance() {
        var piece = [UInt8](repeating: 0, count: Int(extent.count))
        if !extent.kind.readsAsZero {
            try piece.withMutableBytes { (span) throws(ImageError) in try cursor.read(into: &span, at: position) }
        }
        try piece.withBytes { (span) throws(ImageError) in try target.write(span, at: HostOffset(position.value)) }
        position += extent.count
        stream.release(before: position)
    }
    return target.bytes
}

/// Text, noise, zeros and copies of what came before, in pieces of no particular length.
func mixed(_ count: Int, seed: UInt64) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    var bytes: [UInt8] = []
    while bytes.count < count {
        let length = Int.random(in: 1...200_000, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: bytes += [UInt8](repeating: 0, count: length)
        case 1: bytes += (0..<length / 4).map { _ in UInt8.random(in: 0...255, using: &random) }
        case 2: bytes += (0..<length).map { UInt8(truncatingIfNeeded: $0 / 7 % 50 + $0 % 3) }
        default:
            bytes += [UInt8](repeating: 0, count: (65536 - bytes.count % 65536) % 65536)
            bytes += bytes.prefix(131072)
        }
    }
    return Array(bytes.prefix(count))
}
