import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ArchiveFormat

@Suite struct WriterTests {
    /// The bytes of the reference model, where no codec library has a say.
    @Test func writesTheBytesOfTheModel() throws {
        func expectSame(_ name: String, _ disk: any BlockDevice, _ change: (inout WriterSettings) -> Void) throws {
            let settings = try settings {
                $0.writer = "rimg_ref 1.0"
                change(&$0)
            }
            let golden = try Golden.named(name)
            for threads in [1, 4] {
                let hash = SHA256Hasher.hash(try write(disk, settings, threads: threads))
                #expect(hash.description == golden.archiveSHA256, "\(name), \(threads) threads")
            }
        }
        let tiny = try contents(Golden.named("tiny").bytes)
        try expectSame("tiny", RunDisk(tiny)) {
            ($0.chunkLog2, $0.leafLog2, $0.coding, $0.probes) = (16, 4, .store, false)
        }
        for (name, bytes) in [("nothing", []), ("byte", Array("a".utf8))] as [(String, [UInt8])] {
            try expectSame(name, RunDisk(bytes)) { ($0.chunkLog2, $0.leafLog2) = (16, 4) }
        }
        for (name, size) in [("empty-1tib", UInt64(1) << 40), ("empty-64tib", 1 << 46)] {
            try expectSame(name, RunDisk([], runs: [(.hole, size)])) { _ in }
        }
    }

    @Test(arguments: ["store", "fast", "balanced", "mount", "tight", "small"])
    func everyProfile(_ profile: String) throws {
        let bytes = mixed(5_000_003, seed: 3)
        let archive = try write(RunDisk(bytes), settings(["profile": profile]))
        let found = try contents(archive)
        #expect(found.withBytes { XXH3.hash64($0) } == bytes.withBytes { XXH3.hash64($0) })
        #expect(try ArchiveFormat.indexDigest(of: source(archive)).description == digest(of: bytes))
    }

    @Test func theThreadsDoNotShow() throws {
        let bytes = mixed(6_000_000, seed: 4)
        for coding in [WriterSettings.Coding.deflate(level: 6), .zstd(level: 3), .lzma2([.none, .x86])] {
            let settings = try settings {
                ($0.chunkLog2, $0.leafLog2, $0.coding, $0.dedupWindow) = (16, 2, coding, 5)
            }
            let first = SHA256Hasher.hash(try write(RunDisk(bytes), settings, threads: 1))
            for threads in [2, 8] {
                #expect(SHA256Hasher.hash(try write(RunDisk(bytes), settings, threads: threads)) == first)
            }
        }
    }

    @Test(arguments: [0, 1, 511, 512, 65535, 65536, 65537, 131_071, 131_072, 131_073, 393_728])
    func everySize(_ count: Int) throws {
        for bytes in [mixed(count, seed: 5), [UInt8](repeating: 7, count: count)] {
            let settings = try settings { ($0.chunkLog2, $0.leafLog2) = (16, 1) }
            let archive = try write(RunDisk(bytes), settings)
            #expect(archive.count % 8 == 0)
            #expect(try contents(archive) == bytes)
            #expect(try ArchiveFormat.indexDigest(of: source(archive)).description == digest(of: bytes))
        }
    }

    @Test func everyKind() throws {
        let chunk = 65536
        var bytes = [UInt8](repeating: 1, count: 12 * chunk + 100)
        for range in [2 * chunk..<9 * chunk, 10 * chunk + 512..<10 * chunk + 1536] {
            for index in range { bytes[index] = 0 }
        }
        let runs: [(kind: Extent.Kind, count: UInt64)] = [
            (.data, 131_072), (.hole, 196_608), (.unreadable, 131_072), (.zero, 131_072), (.data, 66_048),
            (.unreadable, 1024), (.data, 129_636),
        ]
        let archive = try write(
            RunDisk(bytes, runs: runs), settings { ($0.chunkLog2, $0.leafLog2, $0.dedupWindow) = (16, 1, 0) })
        #expect(try contents(archive) == bytes)
        #expect(try extents(disk(archive)) == "d131072 h196608 u131072 z131072 d196708")
        let image = try ArchiveFormat().open(source(archive), OpenContext())
        #expect(try image.info().remarks.contains { $0.contains("could not be read everywhere") })
    }

    @Test func equalChunksAreStoredOnce() throws {
        let chunk = (0..<65536).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let bytes = Array(repeating: chunk, count: 8).flatMap { $0 }
        func archive(_ window: UInt32) throws -> [UInt8] {
            try write(RunDisk(bytes), settings { ($0.chunkLog2, $0.coding, $0.dedupWindow) = (16, .store, window) })
        }
        let (once, always) = (try archive(1), try archive(0))
        #expect(always.count > once.count + 7 * 65000)
        #expect(try contents(once) == bytes)
        #expect(try contents(always) == bytes)
    }

    @Test func keepsTheRulesOfEveryWriter() throws {
        let suite = FormatConformance(ArchiveFormat())
        let options = ["chunk_size": "64k"]
        let late = [FormatConformance.ChunkMix(tellsByteCount: false), .init(chunksPerBatch: 4, tellsByteCount: false)]
        try suite.checkWriter(
            mixed(700_001, seed: 6), plan: WritePlan(byteCount: nil, options: options),
            mixes: FormatConformance.ChunkMix.all + late)
        let guest = mixed(300_000, seed: 7)
        let image = try suite.write(guest, plan: WritePlan(byteCount: nil, options: options))
        try suite.run(.init("written here", image: image, guest: guest))
    }

    @Test func theStampDecidesTheNumber() throws {
        let disk = RunDisk([1, 2, 3])
        func number(_ change: (inout WriterSettings) -> Void) throws -> [UInt8] {
            Array(try write(disk, settings([:], change))[40..<56])
        }
        let plain = try number { _ in }
        #expect(plain[6] >> 4 == 8 && plain[8] >> 6 == 2)
        #expect(try number { $0.seed = [1] } != plain)
        let random = try number { $0.stamp = ImageStamp(seconds: 5, uniqueID: [UInt8](repeating: 0xFF, count: 16)) }
        #expect(random[6] == 0x4F && random[8] == 0xBF)
    }

    @Test func refusesWhatItCannotWrite() throws {
        func code(_ plan: WritePlan) -> ImageError.Code? {
            #expect(throws: ImageError.self) { try ArchiveFormat().makeWriter(plan) }?.code
        }
        #expect(code(WritePlan(byteCount: 1, options: ["profile": "tiny"])) == .invalidArgument)
        for size in ["32k", "128M", "100000", "0"] {
            #expect(code(WritePlan(byteCount: 1, options: ["chunk_size": size])) == .invalidArgument)
        }
        #expect(code(WritePlan(byteCount: 1, options: ["colour": "red"])) == .invalidArgument)
        #expect(code(WritePlan(byteCount: 1, compression: .init(codec: Codec("lzo")))) == .unsupported)
        #expect(code(WritePlan(byteCount: 1, compression: .init(codec: Codec("lzma2"), level: 9))) == .invalidArgument)
        #expect(code(WritePlan(byteCount: 1 << 63)) == .damaged)
        let backing = Reference(role: "backing file", name: "base.raw")
        #expect(code(WritePlan(byteCount: 1, backing: backing)) == .unsupported)
    }
}
