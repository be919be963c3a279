import ReimageCodecs
import ReimageCore
import ReimageTesting
import TestSupport
import Testing

@Suite struct WrapperTests {
    @Test(arguments: Wrapper.allCases, [0, 1, 1000, 300_000])
    func oneOfEach(wrapper: Wrapper, count: Int) throws {
        let bytes = sampleBytes(count)
        guard let wrapped = wrap(bytes, wrapper) else { return }
        #expect(wrapped.withBytes { Wrapper.detect($0) } == wrapper)
        #expect(try unwrap(wrapped, wrapper) == bytes)
        #expect(try unwrap(wrapped, wrapper, piece: 777) == bytes)
        if count <= 1000 { #expect(try unwrap(wrapped, wrapper, piece: 1) == bytes) }
    }

    @Test(arguments: Wrapper.allCases)
    func manyMembers(wrapper: Wrapper) throws {
        let parts = [sampleBytes(100_000), [], sampleBytes(150_000, seed: 2), sampleBytes(7, seed: 3)]
        let wrapped = parts.compactMap { wrap($0, wrapper) }
        guard wrapped.count == parts.count else { return }
        #expect(try unwrap(Array(wrapped.joined()), wrapper) == Array(parts.joined()))
    }

    @Test func nothingElseIsDetected() {
        for bytes: [UInt8] in [
            [], [0x1F], [0x1F, 0x8B, 7], [0xFD, 0x37], Array("QFI\u{FB}".utf8), [0x50, 0x2A, 0x4D],
        ] {
            #expect(bytes.withBytes { Wrapper.detect($0) } == nil)
        }
    }

    @Test(arguments: Wrapper.allCases)
    func everyCut(wrapper: Wrapper) throws {
        guard let first = wrap(sampleBytes(300), wrapper), let second = wrap(sampleBytes(90), wrapper) else { return }
        let wrapped = first + second
        for count in 0..<wrapped.count where count != first.count {
            let error = unwrapFailure(Array(wrapped.prefix(count)), wrapper)
            // A cut inside the second member's magic number may look like something else that follows.
            #expect(error?.code == .damaged, "cut at \(count)")
            guard case .host(let place)? = error?.place else {
                Issue.record("cut at \(count): no place")
                continue
            }
            #expect(place.value <= UInt64(count))
            #expect(error?.file == "sample")
        }
        #expect(unwrapFailure(Array(wrapped.dropLast()), wrapper)?.message.contains("cut short") == true)
    }

    @Test(arguments: Wrapper.allCases)
    func everyFlippedBit(wrapper: Wrapper) throws {
        let bytes = sampleBytes(300)
        guard let wrapped = wrap(bytes, wrapper) else { return }
        for bit in 0..<wrapped.count * 8 {
            var damaged = wrapped
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            switch Result({ () throws(ImageError) in try unwrap(damaged, wrapper) }) {
            // gzip's header has fields without a checksum (time, name, system); the others, a few spare bits.
            case .success(let decoded): #expect(decoded == bytes, "bit \(bit)")
            case .failure(let error): #expect(error.code == .damaged || error.code == .unsupported, "bit \(bit)")
            }
        }
    }

    @Test(arguments: Wrapper.allCases)
    func garbageBehind(wrapper: Wrapper) throws {
        let bytes = sampleBytes(5000)
        guard let wrapped = wrap(bytes, wrapper) else { return }
        for garbage: [UInt8] in [[1], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF], [0x1F, 0x8C], [0, 0, 0, 0, 5, 5, 5, 5]] {
            let error = unwrapFailure(wrapped + garbage, wrapper)
            #expect(error?.code == .damaged)
            guard case .host(let place)? = error?.place else {
                Issue.record("no place for \(garbage)")
                continue
            }
            #expect(place.value >= UInt64(wrapped.count))
        }
    }

    @Test func gzipPadding() throws {
        let bytes = sampleBytes(5000)
        guard let wrapped = wrap(bytes, .gzip) else { return }
        for count in [1, 3, 512, 200_000] {
            #expect(try unwrap(wrapped + [UInt8](repeating: 0, count: count), .gzip) == bytes)
        }
        // What gzip writes behind padding is no member any more.
        #expect(unwrapFailure(wrapped + [0, 0] + wrapped, .gzip)?.message.contains("follow the end") == true)
    }

    @Test func gzipChecksumAndLength() throws {
        guard let wrapped = wrap(sampleBytes(5000), .gzip) else { return }
        for back in 1...8 {
            var damaged = wrapped
            damaged[damaged.count - back] ^= 0x40
            #expect(unwrapFailure(damaged, .gzip)?.message.contains("check") == true)
        }
    }

    @Test func xzPadding() throws {
        let bytes = sampleBytes(5000)
        guard let wrapped = wrap(bytes, .xz) else { return }
        #expect(try unwrap(wrapped + [0, 0, 0, 0] + wrapped + [UInt8](repeating: 0, count: 8), .xz) == bytes + bytes)
        #expect(unwrapFailure(wrapped + [0, 0, 0], .xz)?.code == .damaged)
    }

    @Test(arguments: ["none", "crc32", "crc64", "sha256"])
    func xzChecks(check: String) throws {
        let bytes = sampleBytes(5000)
        guard let wrapped = wrap(bytes, .xz, "--check=\(check)") else { return }
        #expect(try unwrap(wrapped, .xz) == bytes)
    }

    @Test func zstdSkippableFrames() throws {
        let bytes = sampleBytes(5000)
        guard let wrapped = wrap(bytes, .zstd) else { return }
        let skippable: [UInt8] = [0x5F, 0x2A, 0x4D, 0x18, 0x10, 0x27, 0, 0] + [UInt8](repeating: 7, count: 10_000)
        #expect(try unwrap(skippable + wrapped + skippable + wrapped + skippable, .zstd) == bytes + bytes)
        let short: [UInt8] = [0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 1, 2]
        #expect((short + wrapped).withBytes { Wrapper.detect($0) } == .zstd)
        #expect(short.withBytes { Wrapper.detect($0) } == nil)
    }

    @Test func memoryLimit() throws {
        let bytes = sampleBytes(100_000)
        guard let xz = wrap(bytes, .xz, "-9"),
            let zstd = Tool.output(["sh", "-c", "cat | zstd -q -c --ultra -22 --long=28"], input: bytes)
        else { return }
        for (wrapped, wrapper, limit) in [(xz, Wrapper.xz, 16 << 20), (zstd, .zstd, 128 << 20)] {
            let error = unwrapFailure(wrapped, wrapper, memoryLimit: UInt64(limit))
            #expect(error?.code == .unsupported)
            #expect(error?.message.contains(" MiB") == true)
            #expect(error?.advice?.contains("--memory-limit") == true)
            #expect(try unwrap(wrapped, wrapper, memoryLimit: 512 << 20) == bytes)
        }
        #expect(unwrapFailure(zstd, .zstd, memoryLimit: 128 << 20)?.message.contains("268435456") == true)
    }

    @Test(arguments: Wrapper.allCases)
    func manyDamages(wrapper: Wrapper) throws {
        let bytes = sampleBytes(40_000)
        guard let wrapped = wrap(bytes, wrapper) else { return }
        var random = SeededGenerator(seed: 11)
        for _ in 0..<300 {
            var damaged = wrapped
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let field = Damage.Field("run", at: Int.random(in: 0..<damaged.count, using: &random), size: 3)
                damaged = Damage.randomise(field, using: &random).applied(to: damaged)
            }
            switch Result({ () throws(ImageError) in try unwrap(damaged, wrapper) }) {
            case .success(let decoded): #expect(decoded == bytes)
            case .failure(let error): #expect(error.code == .damaged || error.code == .unsupported)
            }
        }
    }

    @Test(arguments: Wrapper.allCases)
    func aFailingSource(wrapper: Wrapper) throws {
        guard let wrapped = wrap(sampleBytes(900_000), wrapper) else { return }
        let fault = HostRange(start: HostOffset(UInt64(wrapped.count * 3 / 4)), count: 1)
        let store = FaultyStore(MemoryStore(wrapped, name: "a"), .touching(fault))
        let stream = try wrapper.makeDecoder(StoreStream(store), memoryLimit: 128 << 20)
        let error = #expect(throws: ImageError.self) { try drain(stream) }
        #expect(error?.code == .unreadable && error?.file == "a")
    }

    @Test(arguments: Wrapper.allCases)
    func errorsStay(wrapper: Wrapper) throws {
        guard let wrapped = wrap(sampleBytes(300_000), wrapper) else { return }
        let cut = MemoryStore(Array(wrapped.dropLast(wrapped.count / 2)))
        let stream = try wrapper.makeDecoder(StoreStream(cut), memoryLimit: 128 << 20)
        let first = #expect(throws: ImageError.self) { try drain(stream) }
        let again = #expect(throws: ImageError.self) { try drain(stream) }
        #expect(first == again)
    }

    @Test func knownSizes() throws {
        let bytes = sampleBytes(700_000)
        func size(_ wrapped: [UInt8], _ wrapper: Wrapper) throws -> UInt64? {
            try wrapper.decodedByteCount(of: MemoryStore(wrapped), memoryLimit: 128 << 20)
        }
        if let gzip = wrap(bytes, .gzip) { #expect(try size(gzip, .gzip) == nil) }
        if let xz = wrap(bytes, .xz), let blocks = wrap(bytes, .xz, "--block-size=65536") {
            #expect(try size(xz, .xz) == 700_000)
            #expect(try size(xz + [0, 0, 0, 0] + blocks + [0, 0, 0, 0], .xz) == 1_400_000)
            #expect(try size(xz + [0], .xz) == nil)
            #expect(try size(Array(xz.dropLast(4)), .xz) == nil)
            #expect(try size([], .xz) == nil)
        }
        if let told = wrap(bytes, .zstd, "--stream-size=700000"),
            let unchecked = wrap(bytes, .zstd, "--no-check", "--stream-size=700000"),
            let untold = Tool.output(["sh", "-c", "cat | zstd -q -c"], input: bytes)
        {
            #expect(try size(told, .zstd) == 700_000)
            #expect(try size(unchecked, .zstd) == 700_000)
            #expect(try size(untold, .zstd) == nil)
            #expect(try size(told + told, .zstd) == nil)
            #expect(try size(told + [0], .zstd) == nil)
            #expect(try size(Array(told.dropLast()), .zstd) == nil)
        }
    }
}
