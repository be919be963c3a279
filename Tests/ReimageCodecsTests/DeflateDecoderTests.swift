import ReimageCodecs
import ReimageCore
import TestSupport
import Testing

@Suite struct DeflateDecoderTests {
    private static let cluster = 65536

    private func decode(_ stream: [UInt8], count: Int) throws(ImageError) -> [UInt8] {
        let decoder = try DeflateDecoder()
        var target = [UInt8](repeating: 0xEE, count: count)
        try stream.withBytes { (source) throws(ImageError) in
            try target.withMutableBytes { (span) throws(ImageError) in try decoder.decode(source, into: &span) }
        }
        return target
    }

    private func deflate(
        _ bytes: [UInt8], level: Int = 6, windowBits: Int = -12, flush: String = "Z_FINISH"
    ) -> [UInt8]? {
        Tool.python(
            "c = zlib.compressobj(\(level), 8, \(windowBits)); out = c.compress(data) + c.flush(zlib.\(flush))", bytes)
    }

    @Test(arguments: [-9, -12, -15], [1, 6, 9, 0])
    func everyWindowAndLevel(windowBits: Int, level: Int) throws {
        let bytes = sampleBytes(Self.cluster)
        guard let stream = deflate(bytes, level: level, windowBits: windowBits) else { return }
        #expect(try decode(stream, count: bytes.count) == bytes)
        #expect(try decode(stream + [1, 2, 3] + [UInt8](repeating: 0xFF, count: 600), count: bytes.count) == bytes)
    }

    @Test func farReferences() throws {
        // The second half repeats the first at a distance of 32 KiB less some.
        let half = sampleBytes(32600, seed: 9)
        guard let stream = deflate(half + half, windowBits: -15) else { return }
        #expect(stream.count < half.count * 5 / 4)
        #expect(try decode(stream, count: 2 * half.count) == half + half)
        // zlib alone must manage it too: one byte less makes libdeflate give up.
        #expect(try decode(stream, count: 2 * half.count - 1) == (half + half).dropLast())
    }

    @Test func longerOutputIsCut() throws {
        let bytes = sampleBytes(Self.cluster)
        guard let stream = deflate(bytes) else { return }
        for count in [0, 1, 511, 512, 4096, bytes.count - 1] {
            #expect(try decode(stream, count: count) == Array(bytes.prefix(count)))
        }
    }

    @Test func missingFinalBlock() throws {
        let bytes = sampleBytes(Self.cluster)
        guard let stream = deflate(bytes, flush: "Z_SYNC_FLUSH") else { return }
        #expect(try decode(stream, count: bytes.count) == bytes)
        #expect(try decode(stream + [UInt8](repeating: 0x55, count: 512), count: bytes.count) == bytes)
    }

    @Test func shorterOutputIsDamage() throws {
        let bytes = sampleBytes(3000)
        guard let stream = deflate(bytes) else { return }
        let error = #expect(throws: ImageError.self) { try decode(stream, count: 3001) }
        #expect(error?.code == .damaged)
        #expect(error?.message.contains("ends after 3000 of 3001") == true)
    }

    @Test func everyCut() throws {
        let bytes = sampleBytes(600)
        guard let stream = deflate(bytes) else { return }
        for count in 0..<stream.count {
            let result = Result { () throws(ImageError) in try decode(Array(stream.prefix(count)), count: bytes.count) }
            switch result {
            // The last bytes of a stream may be nothing but its end, or padding.
            case .success(let decoded): #expect(decoded == bytes && count >= stream.count - 2)
            case .failure(let error): #expect(error.code == .damaged)
            }
        }
    }

    @Test func everyFlippedBitIsHarmless() throws {
        let bytes = sampleBytes(600)
        guard let stream = deflate(bytes) else { return }
        for bit in 0..<stream.count * 8 {
            var damaged = stream
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            // Deflate has no checksum: wrong bytes are possible, a crash is not.
            if case .failure(let error) = Result({ () throws(ImageError) in try decode(damaged, count: bytes.count) }) {
                #expect(error.code == .damaged)
            }
        }
    }

    @Test func aDecoderRecovers() throws {
        let bytes = sampleBytes(5000)
        guard let stream = deflate(bytes) else { return }
        let decoder = try DeflateDecoder()
        var target = [UInt8](repeating: 0, count: bytes.count)
        for source in [stream, Array(stream.prefix(100)), stream, [7, 7, 7], stream] {
            let result = Result { () throws(ImageError) in
                try source.withBytes { (source) throws(ImageError) in
                    try target.withMutableBytes { (span) throws(ImageError) in try decoder.decode(source, into: &span) }
                }
            }
            #expect((try? result.get()) != nil ? source == stream && target == bytes : source != stream)
        }
    }
}
