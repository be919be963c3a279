internal import Synchronization

/// A stream whose first bytes were read ahead, so that its format can be told; reading gives them again.
public final class PeekedStream: ByteStream {
    /// The first bytes; fewer than asked for where the stream is shorter.
    public let head: [UInt8]
    private let source: any ByteStream
    private let replayed = Mutex(0)

    /// Reads up to `count` bytes of `source`, which belongs to this stream from now on.
    public init(_ source: any ByteStream, count: Int = FormatRegistry.probeByteCount) throws(ImageError) {
        self.source = source
        var buffer = AlignedBuffer(byteCount: count)
        let filled = try buffer.fill(0..<count) { (output) throws(ImageError) in try source.read(into: &output) }
        head = try buffer.withBytes(0..<filled) { (bytes) throws(ImageError) in try bytes.bytes(0..<filled) }
    }

    public var name: String { source.name }

    public func read(into buffer: inout OutputRawSpan) throws(ImageError) {
        let start = replayed.withLock { $0 }
        let count = min(buffer.freeCapacity, head.count - start)
        head.withBytes { buffer.append(contentsOf: $0.extracting(start..<start + count)) }
        replayed.withLock { $0 = start + count }
        if buffer.freeCapacity > 0 { try source.read(into: &buffer) }
    }
}
