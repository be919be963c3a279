import ReimageCodecs
import ReimageCore
import TestSupport

/// The two encoders under test, and how each one's output is read.
enum Compression: String, CaseIterable {
    case deflate, zstd

    typealias Encoder = (RawSpan, inout OutputRawSpan) throws(ImageError) -> Bool

    var levels: ClosedRange<Int> { self == .deflate ? DeflateEncoder.levels : ZstdEncoder.levels }

    func encoder(level: Int) throws(ImageError) -> Encoder {
        switch self {
        case .deflate:
            let encoder = try DeflateEncoder(level: level)
            return { (source, output) throws(ImageError) in try encoder.encode(source, into: &output) }
        case .zstd:
            let encoder = try ZstdEncoder(level: level)
            return { (source, output) throws(ImageError) in try encoder.encode(source, into: &output) }
        }
    }

    /// What our own decoder makes of `stream`.
    func decode(_ stream: [UInt8], count: Int) throws(ImageError) -> [UInt8] {
        var target = [UInt8](repeating: 0xEE, count: count)
        try stream.withBytes { (source) throws(ImageError) in
            try target.withMutableBytes { (span) throws(ImageError) in
                switch self {
                case .deflate: try DeflateDecoder().decode(source, into: &span)
                case .zstd: try ZstdDecoder().decode(source, into: &span)
                }
            }
        }
        return target
    }

    /// What programs that are not ours make of each of `streams`; nil where they are missing. Deflate streams must end
    /// with their final block, which must end with the last byte.
    func decodeOutside(_ streams: [[UInt8]]) -> [[UInt8]]? {
        switch self {
        case .deflate:
            let script = """
                import struct
                out, at = b'', 0
                while at < len(data):
                    count, = struct.unpack_from('<I', data, at)
                    stream = data[at + 4:at + 4 + count]
                    at += 4 + count
                    d = zlib.decompressobj(-15)
                    text = d.decompress(stream) + d.flush()
                    assert d.eof and not d.unused_data
                    out += struct.pack('<I', len(text)) + text
                """
            let input = streams.flatMap { length($0.count) + $0 }
            guard let output = Tool.python(script, input) else { return nil }
            var (decoded, at): ([[UInt8]], Int) = ([], 0)
            while at < output.count {
                let count = (0..<4).reduce(0) { $0 | Int(output[at + $1]) << (8 * $1) }
                decoded.append(Array(output[at + 4..<at + 4 + count]))
                at += 4 + count
            }
            return decoded
        case .zstd:
            guard let program = Program(named: "zstd") else { return nil }
            let scratch = Scratch()
            let names = streams.indices.map { "\($0)" }
            for (name, stream) in zip(names, streams) { scratch.write(stream, to: name + ".zst") }
            let result = try? program.run(["-q", "-d"] + names.map { $0 + ".zst" }, in: scratch.path)
            guard result?.status == 0 else { return [] }
            return names.map { scratch.read($0) ?? [] }
        }
    }

    private func length(_ count: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) } }
}
