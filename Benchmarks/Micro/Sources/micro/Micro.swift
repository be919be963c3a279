import Reimage
import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageTesting

/// One small thing that runs millions of times in a copy.
struct Benchmark {
    let name: String
    /// What one pass does, for instance decoding 8192 fields.
    let unitsPerPass: Int
    /// What is counted.
    let unit: String
    /// The most instructions a unit may take; a quarter above what was measured when it was set.
    let most: Double
    /// Does `passes` passes.
    let run: (Int) throws -> Void
}

/// `micro` lists the benchmarks as `name units-per-pass unit most`; `micro NAME PASSES` runs one.
///
/// Instructions are counted from outside (Benchmarks/micro), as the difference of two numbers of passes: they are the
/// same on a busy machine.
@main
enum Micro {
    static func main() throws {
        let words = CommandLine.arguments
        let all = try benchmarks()
        guard words.count == 3, let passes = Int(words[2]), let chosen = all.first(where: { $0.name == words[1] })
        else {
            for benchmark in all {
                print(benchmark.name, benchmark.unitsPerPass, benchmark.unit, benchmark.most)
            }
            return
        }
        try chosen.run(passes)
    }

    /// 64 KiB of bytes that compress about as well as a system's files do.
    private static func text() -> [UInt8] {
        var random = SeededGenerator(seed: 1)
        var bytes: [UInt8] = []
        while bytes.count < 65536 {
            let start = bytes.count > 4096 ? Int.random(in: 0..<bytes.count - 64, using: &random) : 0
            if bytes.count > 4096, Bool.random(using: &random) {
                bytes += bytes[start..<start + Int.random(in: 4..<48, using: &random)]
            } else {
                for _ in 0..<12 { bytes.append(UInt8.random(in: 32..<112, using: &random)) }
            }
        }
        return Array(bytes.prefix(65536))
    }

    private static func encoded(
        _ bytes: [UInt8], _ encode: (RawSpan, inout OutputRawSpan) throws(ImageError) -> Bool
    ) throws -> [UInt8] {
        var buffer = AlignedBuffer(byteCount: bytes.count)
        let count = try buffer.fill(0..<bytes.count) { (output) throws(ImageError) in
            _ = try bytes.withBytes { (span) throws(ImageError) in try encode(span, &output) }
        }
        return try buffer.withBytes(0..<count) { (span) throws(ImageError) in try span.bytes(0..<count) }
    }

    private static func benchmarks() throws -> [Benchmark] {
        let text = text()
        let zeros = [UInt8](repeating: 0, count: 65536)
        let deflated = try encoded(text, try DeflateEncoder(level: 6).encode)
        let packed = try encoded(text, try ZstdEncoder(level: 3).encode)
        let (inflater, unpacker) = (try DeflateDecoder(), try ZstdDecoder())
        let (fast, small) = (try DeflateEncoder(level: 2), try ZstdEncoder(level: 3))
        return [
            Benchmark(name: "decode-field", unitsPerPass: 8192, unit: "field", most: 11) { passes in
                var sum: UInt64 = 0
                for _ in 0..<passes {
                    try text.withBytes { (span) throws(ImageError) in
                        for place in stride(from: 0, to: 65536, by: 8) { sum &+= try span.big(UInt64.self, at: place) }
                    }
                }
                keep(sum)
            },
            Benchmark(name: "zero-test", unitsPerPass: 65536, unit: "byte", most: 0.25) { passes in
                for _ in 0..<passes { keep(zeros.withBytes { $0.isZero } ? 1 : 0) }
            },
            Benchmark(name: "first-difference", unitsPerPass: 65536, unit: "byte", most: 0.18) { passes in
                let copy = text.map { $0 }
                for _ in 0..<passes {
                    keep(text.withBytes { left in copy.withBytes { left.firstDifference(from: $0) == nil } } ? 1 : 0)
                }
            },
            Benchmark(name: "inflate", unitsPerPass: 65536, unit: "byte", most: 10.5) { passes in
                var target = AlignedBuffer(byteCount: 65536)
                for _ in 0..<passes {
                    try deflated.withBytes { (source) throws(ImageError) in
                        try target.withMutableBytes { (span) throws(ImageError) in
                            try inflater.decode(source, into: &span)
                        }
                    }
                }
            },
            Benchmark(name: "unpack-zstd", unitsPerPass: 65536, unit: "byte", most: 10.5) { passes in
                var target = AlignedBuffer(byteCount: 65536)
                for _ in 0..<passes {
                    try packed.withBytes { (source) throws(ImageError) in
                        try target.withMutableBytes { (span) throws(ImageError) in
                            try unpacker.decode(source, into: &span)
                        }
                    }
                }
            },
            Benchmark(name: "deflate-2", unitsPerPass: 65536, unit: "byte", most: 26) { passes in
                for _ in 0..<passes { keep(UInt64(try encoded(text, fast.encode).count)) }
            },
            Benchmark(name: "pack-zstd-3", unitsPerPass: 65536, unit: "byte", most: 38) { passes in
                for _ in 0..<passes { keep(UInt64(try encoded(text, small.encode).count)) }
            },
            Benchmark(name: "map-walk", unitsPerPass: 4096, unit: "extent", most: 5300) { passes in
                let disk = try MapImage.disk(clusters: 8192)
                for _ in 0..<passes {
                    var position: UInt64 = 0
                    while position < disk.byteCount {
                        let extent = try disk.extent(at: GuestOffset(position), limit: .max)
                        position += extent.count
                    }
                }
            },
            Benchmark(name: "digest-node", unitsPerPass: 1 << 12, unit: "node", most: 7600) { passes in
                for _ in 0..<passes {
                    var tree = DigestTree()
                    for _ in 0..<1 << 12 { tree.append(DigestTree.zeroNodes[0]) }
                    keep(UInt64(tree.digest(byteCount: 256 << 20).hash[0]))
                }
            },
        ]
    }

    /// Lets the compiler not leave out what a value is computed from.
    @inline(never)
    @_optimize(none)
    private static func keep(_ value: UInt64) {}
}
