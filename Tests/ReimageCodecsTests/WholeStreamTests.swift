import ReimageCodecs
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

/// The codecs of archive chunks: one whole stream, all of the source, exactly the target.
@Suite struct WholeStreamTests {
    private typealias Decode = (RawSpan, inout MutableRawSpan) throws(ImageError) -> Void

    private static let chunk = 1 << 16

    private func decode(_ stream: [UInt8], count: Int, _ decode: Decode) throws(ImageError) -> [UInt8] {
        var target = [UInt8](repeating: 0xEE, count: count)
        try stream.withBytes { (source) throws(ImageError) in
            try target.withMutableBytes { (span) throws(ImageError) in try decode(source, &span) }
        }
        return target
    }

    private func encode(
        _ bytes: [UInt8], capacity: Int? = nil, _ encode: (RawSpan, inout OutputRawSpan) throws(ImageError) -> Bool
    ) throws(ImageError) -> [UInt8]? {
        var target = AlignedBuffer(byteCount: capacity ?? bytes.count * 2 + 1024)
        var fits = false
        let count = try bytes.withBytes { (source) throws(ImageError) in
            try target.fill(0..<target.byteCount) { (output) throws(ImageError) in fits = try encode(source, &output) }
        }
        return fits ? try target.withBytes { (span) throws(ImageError) in try span.bytes(0..<count) } : nil
    }

    /// Every stream but the right one is refused: cut anywhere, with a byte more, and at other lengths.
    private func expectStrict(_ stream: [UInt8], of bytes: [UInt8], _ body: Decode) throws {
        #expect(try decode(stream, count: bytes.count, body) == bytes)
        let wrong =
            [1, 2, stream.count / 2, stream.count].map { (Array(stream.dropLast($0)), bytes.count) }
            + [(stream + [0], bytes.count), (stream + stream, bytes.count)]
            + [(stream, bytes.count + 1), (stream, bytes.count - 1), (stream, 0)]
        for (stream, count) in wrong {
            let error = #expect(throws: ImageError.self) { try decode(stream, count: count, body) }
            #expect(error?.code == .damaged, "\(stream.count) bytes for \(count): \(String(describing: error))")
        }
    }

    /// What the filters are made for: calls to one place from many.
    private static func code(_ count: Int) -> [UInt8] {
        var bytes = sampleBytes(count, seed: 9)
        for start in stride(from: 0, to: count - 8, by: 64) {
            let distance = UInt32(truncatingIfNeeded: 0x10_0000 - start)
            bytes[start] = 0xE8
            for index in 0..<4 { bytes[start + 1 + index] = UInt8(truncatingIfNeeded: distance >> UInt32(8 * index)) }
        }
        return bytes
    }

    @Test(arguments: LZMA2Filter.allCases)
    func lzma2(_ filter: LZMA2Filter) throws {
        let encoder = try LZMA2Encoder(dictionarySize: Self.chunk)
        let decoder = try LZMA2Decoder(dictionarySize: Self.chunk)
        for bytes in [sampleBytes(1), sampleBytes(513), Self.code(Self.chunk), Self.code(Self.chunk - 3)] {
            let stream = try #require(
                try encode(bytes) { (source, output) throws(ImageError) in
                    try encoder.encode(source, filter: filter, into: &output)
                })
            try expectStrict(stream, of: bytes) { (source, target) throws(ImageError) in
                try decoder.decode(source, filter: filter, into: &target)
            }
            let short = try encode(bytes, capacity: stream.count - 1) { (source, output) throws(ImageError) in
                try encoder.encode(source, filter: filter, into: &output)
            }
            #expect(short == nil)
            let exact = try encode(bytes, capacity: stream.count) { (source, output) throws(ImageError) in
                try encoder.encode(source, filter: filter, into: &output)
            }
            #expect(exact == stream)
        }
    }

    /// Python's liblzma binding names no ARM64 filter; the other two chains are read, and their bytes made, by it.
    @Test(arguments: [LZMA2Filter.none, .x86])
    func lzma2MatchesPython(_ filter: LZMA2Filter) throws {
        let bytes = Self.code(200_000)
        let encoder = try LZMA2Encoder(dictionarySize: 1 << 18)
        let stream = try #require(
            try encode(bytes) { (source, output) throws(ImageError) in
                try encoder.encode(source, filter: filter, into: &output)
            })
        let script = """
            import lzma
            chain = \(filter == .x86 ? "[{'id': lzma.FILTER_X86}]" : "[]")
            chain += [{'id': lzma.FILTER_LZMA2, 'preset': 6, 'dict_size': 1 << 18}]
            out = lzma.compress(data, lzma.FORMAT_RAW, filters=chain)
            """
        guard let theirs = Tool.python(script, bytes) else { return }
        #expect(theirs == stream)
    }

    /// Code is better behind its filter, text behind none; and what a piece of each part tells holds for the whole.
    @Test func lzma2FiltersAreChosenByATrial() throws {
        let encoder = try LZMA2Encoder(dictionarySize: 4 << 20)
        let choice = try LZMA2FilterChoice()
        for (bytes, expected) in [
            (Self.code(Self.chunk), LZMA2Filter.x86), (Self.code(3 << 20), .x86), (sampleBytes(100_000), .none),
            (sampleBytes(1), .none), ([], .none),
        ] {
            let found = try bytes.withBytes { (bytes) throws(ImageError) in
                try choice.best(of: LZMA2Filter.allCases, for: bytes)
            }
            #expect(found == expected)
            let lengths = try LZMA2Filter.allCases.map { filter in
                try encode(bytes) { (source, output) throws(ImageError) in
                    try encoder.encode(source, filter: filter, into: &output)
                }?.count ?? .max
            }
            #expect(lengths[Int(found.rawValue)] == lengths.min())
        }
        let only = try sampleBytes(9).withBytes { (bytes) throws(ImageError) in
            try choice.best(of: [.arm64], for: bytes)
        }
        #expect(only == .arm64)
        #expect(LZMA2FilterChoice.byteCount > 1 << 20 && LZMA2FilterChoice.byteCount < 8 << 20)
        #expect(LZMA2Encoder.byteCount(dictionarySize: 16 << 20) / (16 << 20) == 11)
    }

    @Test func lzma2RefusesDictionariesOutOfRange() {
        for size in [0, -1, 4095, (1 << 30) + 1, .max] {
            #expect(throws: ImageError.self) { try LZMA2Encoder(dictionarySize: size) }
            #expect(throws: ImageError.self) { try LZMA2Decoder(dictionarySize: size) }
        }
    }

    @Test func lzma2SurvivesNoise() throws {
        let decoder = try LZMA2Decoder(dictionarySize: 4096)
        var random = SeededGenerator(seed: 4)
        for round in 0..<300 {
            let noise = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                UInt8.random(in: 0...(round % 2 == 0 ? 255 : 3), using: &random)
            }
            let filter = LZMA2Filter.allCases[round % 3]
            _ = Result { () throws(ImageError) in
                try decode(noise, count: 1000) { (source, target) throws(ImageError) in
                    try decoder.decode(source, filter: filter, into: &target)
                }
            }
        }
    }

    @Test(arguments: [1, 3, 9])
    func zstdByChunkSize(_ level: Int) throws {
        let encoder = try ZstdEncoder(level: level, chunkSize: Self.chunk)
        let decoder = try ZstdDecoder(windowLogMax: 16)
        for bytes in [sampleBytes(1), sampleBytes(5000), Self.code(Self.chunk)] {
            let stream = try #require(
                try encode(bytes) { (source, output) throws(ImageError) in
                    try encoder.encode(source, into: &output)
                })
            try expectStrict(stream, of: bytes) { (source, target) throws(ImageError) in
                try decoder.decodeSingleFrame(source, into: &target)
            }
        }
    }

    /// Frames that other encoders may make, and that a chunk must not be.
    @Test func zstdRefusesOtherFrames() throws {
        let raw: [UInt8] = [0x28, 0xB5, 0x2F, 0xFD]
        let block: [UInt8] = [0x21, 0, 0] + Array("abcd".utf8)  // the last block, raw, 4 bytes
        let decoder = try ZstdDecoder(windowLogMax: 16)
        let decodeOne: Decode = { (source, target) throws(ImageError) in
            try decoder.decodeSingleFrame(source, into: &target)
        }
        #expect(try decode(raw + [0x20, 4] + block, count: 4, decodeOne) == Array("abcd".utf8))
        let frames: [([UInt8], String)] = [
            (raw + [0x00, 0x00] + block, "does not tell its content size"),
            (raw + [0x24, 4] + block + [0, 0, 0, 0], "has a checksum"),
            (raw + [0x21, 7, 4] + block, "needs a dictionary"),
            (raw + [0x20, 3] + block, "there should be 4"),
            (raw + [0x80, 0xA8, 4, 0, 0, 0] + block, "a window of"),
            ([0x50, 0x2A, 0x4D, 0x18, 0, 0, 0, 0] + raw + [0x20, 4] + block, "to be skipped"),
        ]
        for (frame, reason) in frames {
            let error = #expect(throws: ImageError.self) { try decode(frame, count: 4, decodeOne) }
            #expect(error?.code == .damaged)
            #expect(error?.message.contains(reason) == true, "\(String(describing: error))")
        }
    }

    @Test func deflate() throws {
        let decoder = try DeflateDecoder()
        for level in [1, 6, 12] {
            let encoder = try DeflateEncoder(level: level)
            for bytes in [sampleBytes(1), sampleBytes(5000), Self.code(Self.chunk)] {
                let stream = try #require(
                    try encode(bytes) { (source, output) throws(ImageError) in
                        try encoder.encode(source, into: &output)
                    })
                try expectStrict(stream, of: bytes) { (source, target) throws(ImageError) in
                    try decoder.decodeWhole(source, into: &target)
                }
            }
        }
    }

    /// The empty input's hash is published with the algorithm; the others are computed with xxHash's Python binding.
    @Test func xxh3() {
        #expect([UInt8]().withBytes { XXH3.hash64($0) } == 0x2D06_8005_38D3_94C2)
        #expect(Array(#"{"format":"raw"}"#.utf8).withBytes { XXH3.hash64($0) } == 0xC987_9700_4F52_607A)
    }
}
