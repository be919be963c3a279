public import ReimageCore
internal import Synchronization

/// A sink that stores nothing: it measures an image, and can keep its tables for ``LayoutReplay``.
public final class LayoutSink: ByteSink {
    fileprivate struct State {
        var length: UInt64 = 0
        var written: UInt64 = 0
        var metadata: [(offset: HostOffset, bytes: [UInt8])] = []
        var metadataByteCount = 0
        static let entryByteCount = 16
    }

    public let name = "layout"
    public let traits = StoreTraits(abilities: .startsZeroed)
    private let mostMetadata: Int?
    private let state = Mutex(State())

    /// - Parameter mostMetadata: how many bytes of tables to keep at the most; `nil` keeps none.
    public init(keepingMetadata mostMetadata: Int? = nil) { self.mostMetadata = mostMetadata }

    /// The length of the image in bytes.
    public var byteCount: UInt64 { state.withLock { $0.length } }

    /// How many bytes of it take space: what was written, and zeros that were to be stored.
    public var writtenByteCount: UInt64 { state.withLock { $0.written } }

    /// The tables that were kept, by their place.
    func metadata() -> [(offset: HostOffset, bytes: [UInt8])] {
        state.withLock { $0.metadata.sorted { $0.offset < $1.offset } }
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        state.withLock { $0.take(offset, UInt64(bytes.byteCount)) }
    }

    public func writeMetadata(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        try write(bytes, at: offset)
        guard let mostMetadata else { return }
        let copy = try bytes.bytes(0..<bytes.byteCount)
        let isTooMuch = state.withLock { state in
            state.keep(copy, at: offset)
            return state.metadataByteCount > mostMetadata
        }
        guard isTooMuch else { return }
        throw ImageError(
            .unsupported,
            "to go into a pipe, the image's tables must be known first, and they pass \(humanSize(UInt64(mostMetadata)))",
            advice: "Write to a file, or take larger units (-o cluster_size=2M for qcow2, block_size for vhd).")
    }

    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        guard mode != .sparse else { return }
        state.withLock { $0.take(range.start, range.count) }
    }

    public func setByteCount(_ count: UInt64) throws(ImageError) { state.withLock { $0.length = count } }

    public func sync() throws(ImageError) {}
}

extension LayoutSink.State {
    fileprivate mutating func take(_ offset: HostOffset, _ count: UInt64) {
        written += count
        length = max(length, offset.value + count)
    }

    /// Keeps a table; one that is like the last, for instance the bitmap of a full block, takes only an entry.
    fileprivate mutating func keep(_ bytes: [UInt8], at offset: HostOffset) {
        let isRepeated = metadata.last?.bytes == bytes
        metadata.append((offset, isRepeated ? metadata[metadata.count - 1].bytes : bytes))
        metadataByteCount += isRepeated ? Self.entryByteCount : bytes.count
    }
}

/// Sends an image front to back whose layout is known: the tables that a ``LayoutSink`` kept go out when their place
/// comes, between the data of a second pass.
public final class LayoutReplay: ByteSink {
    private struct State {
        var position = HostOffset.zero
        var next = 0
    }

    public let name: String
    public let traits: StoreTraits
    private let sink: any ByteSink
    private let length: UInt64
    private let metadata: [(offset: HostOffset, bytes: [UInt8])]
    private let state = Mutex(State())

    /// Sends to `sink`, which takes bytes in order only, what was laid out in `layout`.
    public init(_ layout: LayoutSink, to sink: any ByteSink) {
        self.sink = sink
        name = sink.name
        traits = sink.traits
        length = layout.byteCount
        metadata = layout.metadata()
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        try advance(to: offset)
        try sink.write(bytes, at: offset)
        state.withLock { $0.position = offset + UInt64(bytes.byteCount) }
    }

    /// The tables of the second pass are those of the first, or the source is not what it was.
    public func writeMetadata(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let copy = try bytes.bytes(0..<bytes.byteCount)
        guard holds(copy, at: offset) else { throw Self.changed }
    }

    private func holds(_ bytes: [UInt8], at offset: HostOffset) -> Bool {
        var (low, high) = (0, metadata.count)
        while low < high {
            let middle = (low + high) / 2
            if metadata[middle].offset < offset { low = middle + 1 } else { high = middle }
        }
        return low < metadata.count && metadata[low].offset == offset && metadata[low].bytes == bytes
    }

    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {}

    public func setByteCount(_ count: UInt64) throws(ImageError) {
        guard count == length else { throw Self.changed }
    }

    public func sync() throws(ImageError) { try sink.sync() }

    /// Sends what is left up to the image's end.
    public func finish() throws(ImageError) {
        try advance(to: HostOffset(length))
        try sink.sync()
    }

    private func advance(to offset: HostOffset) throws(ImageError) {
        var (position, next) = state.withLock { ($0.position, $0.next) }
        while next < metadata.count, metadata[next].offset < offset {
            let table = metadata[next]
            position = try fill(from: position, to: table.offset)
            try table.bytes.withBytes { (span) throws(ImageError) in try sink.write(span, at: position) }
            position += UInt64(table.bytes.count)
            next += 1
        }
        position = try fill(from: position, to: offset)
        state.withLock { $0 = State(position: position, next: next) }
    }

    private func fill(from position: HostOffset, to offset: HostOffset) throws(ImageError) -> HostOffset {
        guard position <= offset else { throw Self.changed }
        if position < offset { try sink.zero(HostRange(from: position, to: offset), mode: .written) }
        return offset
    }

    private static var changed: ImageError {
        ImageError(
            .unreadable, "changed while it was read twice, as an image into a pipe needs it",
            advice: "Copy from something that nobody writes to.")
    }
}
