import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@Suite struct EncoderTests {
    private static let canary: UInt8 = 0xC5
    private static let randomCluster = random(65536, seed: 3)

    private static func random(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    /// Runs of zeros, of one byte, of text and of noise, of all lengths up to 20000.
    private static func mixed(_ count: Int, seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        var bytes: [UInt8] = []
        while bytes.count < count {
            let run = Int.random(in: 1...20000, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes += [UInt8](repeating: 0, count: run)
            case 1: bytes += [UInt8](repeating: UInt8.random(in: 1...255, using: &generator), count: run)
            case 2: bytes += sampleBytes(run, seed: generator.next())
            default: bytes += random(run, seed: generator.next())
            }
        }
        return Array(bytes.prefix(count))
    }

    private static let small: [[UInt8]] =
        [[], [0], [7], sampleBytes(512), sampleBytes(65536), randomCluster, [UInt8](repeating: 0, count: 65536)]
        + [513, 4095, 65535].map { mixed($0, seed: UInt64($0)) }
    private static let large = mixed(2 << 20, seed: 5)

    /// What is stored in a buffer of `capacity` bytes; nil where it does not fit. Checks that nothing else is written.
    private func encode(
        _ bytes: [UInt8], capacity: Int, behind: Int = 0, with encoder: Compression.Encoder
    ) throws(ImageError) -> [UInt8]? {
        var target = AlignedBuffer(byteCount: behind + capacity + 64)
        let canaries = [UInt8](repeating: Self.canary, count: target.byteCount)
        canaries.withBytes { source in target.withMutableBytes { $0.copy(from: source) } }
        var fits = false
        let count = try bytes.withBytes { (source) throws(ImageError) in
            try target.fill(0..<behind + capacity) { (output) throws(ImageError) in
                for _ in 0..<behind { output.append(1) }
                fits = try encoder(source, &output)
            }
        }
        let after = try target.withBytes { (span) throws(ImageError) in try span.bytes(0..<span.byteCount) }
        #expect(after.starts(with: [UInt8](repeating: 1, count: behind)), "what was there before is untouched")
        #expect(after[(behind + capacity)...].allSatisfy { $0 == Self.canary }, "what lies behind is untouched")
        if !fits { #expect(count == behind) }
        return fits ? Array(after[behind..<count]) : nil
    }

    private func encode(_ bytes: [UInt8], with encoder: Compression.Encoder) throws -> [UInt8] {
        try #require(try encode(bytes, capacity: bytes.count * 2 + 1024, with: encoder))
    }

    @Test(arguments: Compression.allCases)
    func everyLevelIsReadByAll(_ compression: Compression) throws {
        var (sources, streams): ([[UInt8]], [[UInt8]]) = ([], [])
        for level in compression.levels {
            let encoder = try compression.encoder(level: level)
            for source in Self.small + [Self.large] {
                let stream = try encode(source, with: encoder)
                #expect(try compression.decode(stream, count: source.count) == source, "level \(level)")
                sources.append(source)
                streams.append(stream)
            }
        }
        guard let decoded = compression.decodeOutside(streams) else { return }
        #expect(decoded == sources)
    }

    @Test(arguments: Compression.allCases)
    func theStreamFollowsFromLevelAndSource(_ compression: Compression) throws {
        let probes = Self.small.filter { $0.count > 500 }
        for level in compression.levels {
            // The slow levels get short sources, for the time they take.
            let used = try compression.encoder(level: level)
            for round in 0..<100 {
                let bytes = round % 25 == 0 ? Self.mixed(200_000, seed: UInt64(round)) : probes[round % probes.count]
                let length = bytes.count - round * 31 % bytes.count
                let part = Array(bytes.prefix(level > 9 || round % 10 != 0 ? min(length, 3000) : length))
                _ = try encode(part, capacity: round % 3 == 0 ? 100 : part.count, with: used)
            }
            for bytes in probes {
                let fresh = try encode(bytes, with: try compression.encoder(level: level))
                #expect(try encode(bytes, with: used) == fresh, "level \(level), \(bytes.count) bytes")
            }
        }
    }

    @Test(arguments: Compression.allCases)
    func theRoomDecidesOnlyWhetherItFits(_ compression: Compression) throws {
        for level in compression.levels {
            let encoder = try compression.encoder(level: level)
            for bytes in Self.small {
                let stream = try encode(bytes, with: encoder)
                #expect(try encode(bytes, capacity: stream.count - 1, behind: 5, with: encoder) == nil)
                for spare in [0, 1, 8] {
                    let count = stream.count + spare
                    #expect(try encode(bytes, capacity: count, behind: 5, with: encoder) == stream)
                }
                #expect(try encode(bytes, capacity: 0, behind: 5, with: encoder) == nil)
            }
        }
    }

    @Test(arguments: Compression.allCases)
    func noiseDoesNotShrink(_ compression: Compression) throws {
        for level in compression.levels {
            let encoder = try compression.encoder(level: level)
            #expect(try encode(Self.randomCluster, capacity: Self.randomCluster.count - 1, with: encoder) == nil)
            let sample = sampleBytes(65536)
            let stream = try #require(try encode(sample, capacity: sample.count - 1, with: encoder))
            #expect(stream.count < sample.count * 4 / 5)
        }
    }

    @Test(arguments: Compression.allCases)
    func onlyItsOwnLevels(_ compression: Compression) {
        for level in [Int.min, -1, 0, compression.levels.upperBound + 1, .max] {
            let error = #expect(throws: ImageError.self) { try compression.encoder(level: level) }
            #expect(error?.code == .invalidArgument)
            #expect(error?.message.contains("has no level \(level)") == true)
        }
    }

    /// Fills memory that the next to ask for some gets.
    private static func litter(_ number: UInt16) -> Int {
        (0..<300).map { [UInt16](repeating: number, count: (4 << 10) + $0 * 200) }.count { $0.last == number }
    }

    /// Memory that others used before must not be taken for an encoder's own settings, as small numbers in it could be.
    @Test(arguments: Compression.allCases)
    func theStreamIsTheSameWhereverTheEncoderLies(_ compression: Compression) throws {
        // What repeats over more than the shortest windows, so that every window shows.
        let source = Self.mixed(20_000, seed: 9) + Self.mixed(20_000, seed: 10) + Self.mixed(20_000, seed: 9)
        for level in [1, 2, 3] {
            var streams: Set<[UInt8]> = []
            for number in UInt16(0)..<17 {
                #expect(Self.litter(number) == 300)
                streams.insert(try encode(source, with: try compression.encoder(level: level)))
            }
            #expect(streams.count == 1, "level \(level)")
        }
    }

    @Test func zstdFramesTellTheirSize() throws {
        let bytes = sampleBytes(65536)
        for level in ZstdEncoder.levels {
            let stream = try encode(bytes, with: try Compression.zstd.encoder(level: level))
            // RFC 8878, 3.1.1.1: magic; a descriptor with a size field, without checksum flag and dictionary field.
            #expect(stream.starts(with: [0x28, 0xB5, 0x2F, 0xFD]))
            #expect(stream[4] & 0x07 == 0)
            #expect(stream[4] >> 6 == 1)
            let size = stream[4] & 0x20 == 0 ? 6 : 5
            #expect(Int(stream[size]) | Int(stream[size + 1]) << 8 == bytes.count - 256)
        }
    }
}
