internal import ReimageCore

/// The bytes of an archive in order, taken in pieces of known length. One caller at a time.
final class RecordSource {
    private let stream: any ByteStream
    private(set) var position = HostOffset.zero

    init(_ stream: any ByteStream) { self.stream = stream }

    /// Fills `buffer` from `start` with the next `count` bytes.
    /// - Throws: `.damaged` where the stream ends before.
    func fill(_ buffer: inout AlignedBuffer, from start: Int = 0, count: Int) throws(ImageError) {
        let stream = stream
        let found = try buffer.fill(start..<start + count) { (output) throws(ImageError) in
            try stream.read(into: &output)
        }
        position += UInt64(found)
        guard found == count else { throw Self.cut(at: position) }
    }

    /// The next `count` bytes, taken as they come: a length that is a lie costs no memory.
    func bytes(_ count: Int) throws(ImageError) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = AlignedBuffer(byteCount: min(count, 64 << 10))
        while bytes.count < count {
            let part = min(count - bytes.count, piece.byteCount)
            try fill(&piece, count: part)
            bytes += try piece.withBytes(0..<part) { (span) throws(ImageError) in try span.bytes(0..<part) }
        }
        return bytes
    }

    /// Passes over the next `count` bytes.
    func skip(_ count: UInt64) throws(ImageError) {
        var piece = AlignedBuffer(byteCount: Int(min(count, 1 << 20)))
        var left = count
        while left > 0 {
            let part = min(left, UInt64(piece.byteCount))
            try fill(&piece, count: Int(part))
            left -= part
        }
    }

    /// Reads to the end: only zeros may follow.
    func finish() throws(ImageError) {
        var piece = AlignedBuffer(byteCount: 1 << 20)
        let stream = stream
        while true {
            let count = try piece.fill(0..<piece.byteCount) { (output) throws(ImageError) in
                try stream.read(into: &output)
            }
            guard piece.withBytes(0..<count, { $0.isZero }) else {
                throw .damaged("something follows the end of the archive", at: position)
            }
            position += UInt64(count)
            if count < piece.byteCount { return }
        }
    }

    private static func cut(at position: HostOffset) -> ImageError {
        .damaged(
            "the archive ends before its end", at: position,
            advice: "Was the transfer broken off, or the making of the archive?")
    }
}
