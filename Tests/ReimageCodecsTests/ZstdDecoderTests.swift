import ReimageCodecs
import ReimageCore
import TestSupport
import Testing

@Suite struct ZstdDecoderTests {
    private func decode(_ stream: [UInt8], count: Int, windowLogMax: Int = 27) throws(ImageError) -> [UInt8] {
        let decoder = try ZstdDecoder(windowLogMax: windowLogMax)
        var target = [UInt8](repeating: 0xEE, count: count)
        try stream.withBytes { (source) throws(ImageError) in
            try target.withMutableBytes { (span) throws(ImageError) in try decoder.decode(source, into: &span) }
        }
        return target
    }

    private func zstd(_ bytes: [UInt8], _ options: String...) -> [UInt8]? {
        Tool.output(["zstd", "-q", "-c"] + options, input: bytes)
    }

    private let skippable: [UInt8] = [0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 9, 9, 9]

    @Test(arguments: ["-1", "-3", "-19", "--fast=5"], ["--check", "--no-check"])
    func levelsAndChecksums(level: String, check: String) throws {
        let bytes = sampleBytes(65536)
        guard let stream = zstd(bytes, level, check) else { return }
        #expect(try decode(stream, count: bytes.count) == bytes)
        #expect(try decode(stream + [1, 2, 3, 4, 5], count: bytes.count) == bytes)
    }

    @Test func framesWithOthersBetween() throws {
        let bytes = sampleBytes(65536)
        guard let first = zstd(Array(bytes[..<30000])), let second = zstd(Array(bytes[30000...]), "--no-check"),
            let empty = zstd([])
        else { return }
        let stream = skippable + first + skippable + empty + second
        #expect(try decode(stream, count: bytes.count) == bytes)
        #expect(try decode(stream + second + [0xFF], count: bytes.count) == bytes)
        #expect(try decode(stream, count: 30000) == Array(bytes[..<30000]))
    }

    private func failure(_ stream: [UInt8], count: Int, windowLogMax: Int = 27) -> ImageError? {
        do { _ = try decode(stream, count: count, windowLogMax: windowLogMax) } catch { return error }
        return nil
    }

    @Test func refusalsSayWhich() throws {
        let bytes = sampleBytes(5000)
        // A size that is in the header, and one that is not.
        guard let told = Tool.output(["zstd", "-q", "-c", "--stream-size=5000"], input: bytes),
            let untold = Tool.output(["sh", "-c", "cat | zstd -q -c --no-check"], input: bytes),
            let checked = zstd(bytes, "--check")
        else { return }
        for stream in [told, untold] {
            let long = failure(stream, count: 4999)
            #expect(long?.code == .damaged && long?.message.contains("more bytes than") == true)
            let short = failure(stream, count: 5001)
            #expect(short?.code == .damaged && short?.message.contains("after 5000 of 5001") == true)
        }
        var wrong = checked
        wrong[wrong.count - 1] ^= 1
        #expect(failure(wrong, count: 5000)?.message.contains("checksum") == true)
        #expect(failure([1, 2, 3, 4, 5], count: 10)?.message.contains("no zstd frame") == true)
        #expect(failure([], count: 10)?.code == .damaged)
    }

    @Test func windowLimit() throws {
        let bytes = sampleBytes(3 << 20)
        guard let stream = Tool.output(["sh", "-c", "cat | zstd -q -c --ultra -22 --long=30"], input: bytes) else {
            return
        }
        let error = failure(stream, count: bytes.count)
        #expect(error?.code == .damaged && error?.message.contains("window of 1073741824 bytes") == true)
        #expect(try decode(stream, count: bytes.count, windowLogMax: 30) == bytes)
        #expect(throws: ImageError.self) { try ZstdDecoder(windowLogMax: 32) }
    }

    @Test(arguments: ["--check", "--no-check"])
    func everyCut(check: String) throws {
        let bytes = sampleBytes(700)
        guard let stream = zstd(bytes, check) else { return }
        for count in 0..<stream.count {
            #expect(failure(Array(stream.prefix(count)), count: bytes.count)?.code == .damaged, "cut at \(count)")
        }
    }

    @Test func everyFlippedBit() throws {
        let bytes = sampleBytes(700)
        guard let stream = zstd(bytes, "--check") else { return }
        for bit in 0..<stream.count * 8 {
            var damaged = stream
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            switch Result({ () throws(ImageError) in try decode(damaged, count: bytes.count) }) {
            // A bit that makes no difference to the content, for instance the reserved one, or a larger window.
            case .success(let decoded): #expect(decoded == bytes)
            case .failure(let error): #expect(error.code == .damaged, "bit \(bit): \(error)")
            }
        }
    }
}
