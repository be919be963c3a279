internal import ReimageCore

/// The decoded bytes of a wrapped disk, held to the length that the wrapper promised.
///
/// One caller at a time, from any thread.
final class WrappedDiskStream: DiskStream, @unchecked Sendable {
    let byteCount: UInt64?
    private let source: any ByteStream
    private var position: UInt64 = 0

    init(_ source: any ByteStream, byteCount: UInt64?) {
        self.source = source
        self.byteCount = byteCount
    }

    var name: String { source.name }

    func read(into buffer: inout OutputRawSpan) throws(ImageError) {
        let before = buffer.byteCount
        try source.read(into: &buffer)
        position += UInt64(buffer.byteCount - before)
        guard let byteCount else { return }
        let hasEnded = buffer.freeCapacity > 0
        guard position <= byteCount, !hasEnded || position == byteCount else {
            throw mismatch(byteCount, hasMore: position > byteCount)
        }
        // A reader that has all the bytes it was promised may never ask again: what is proved by the end of the stream,
        // checksums among it, is proved here.
        if position == byteCount, !hasEnded {
            var probe = AlignedBuffer(byteCount: 1)
            let source = source
            let more = try probe.fill(0..<1) { (output) throws(ImageError) in try source.read(into: &output) }
            if more > 0 { throw mismatch(byteCount, hasMore: true) }
        }
    }

    private func mismatch(_ byteCount: UInt64, hasMore: Bool) -> ImageError {
        .damaged("the wrapper promises \(byteCount) bytes and holds \(hasMore ? "more" : "\(position)")").inFile(name)
    }
}
