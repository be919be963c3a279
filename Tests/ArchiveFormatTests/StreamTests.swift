import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// Archives read front to back, and archives of disks whose length is not known before their end.
@Suite struct StreamTests {
    @Test(arguments: Golden.small)
    func givesTheBytesOfTheDisk(_ golden: Golden) throws {
        let found = try restored(golden.bytes)
        #expect(UInt64(found.count) == golden.diskBytes)
        #expect(SHA256Hasher.hash(found).description == golden.diskSHA256)
        guard !golden.methods.isEmpty, golden.counts[1] == 0 else { return }
        for piece in [511, 65536, 1_000_000] { #expect(try stream(golden.bytes).allBytes(piece: piece) == found) }
    }

    @Test(arguments: Golden.all)
    func provesTheDigest(_ golden: Golden) throws {
        let options = JobOptions(threadCount: 3)
        #expect(try DiskContent.stream(stream(golden.bytes)).digest(options).description == golden.digest)
        let padded = golden.bytes + [UInt8](repeating: 0, count: 4104)
        #expect(try DiskContent.stream(stream(padded)).digest(options).description == golden.digest)
    }

    @Test func describesWhatComesFirst() throws {
        let golden = try Golden.named("kinds")
        let source = ImageSource(stream: StoreStream(MemoryStore(golden.bytes, name: "archive")))
        let image = try ArchiveFormat().open(source, OpenContext())
        let info = try image.info()
        #expect(info.virtualSize == golden.diskBytes)
        #expect(info.specific.contains { $0.name == "metadata" })
        _ = try image.content()
        #expect(throws: ImageError.self) { try image.content() }
    }

    /// A duplicate is refused where nothing can be read again, and noticed where that has changed.
    @Test func duplicatesNeedWhatWasWritten() throws {
        let golden = try Golden.named("tiny")
        let first = #expect(throws: ImageError.self) { try stream(golden.bytes).allBytes() }
        #expect(first?.code == .unsupported)
        #expect(first?.advice?.contains("dedup=off") == true)
        let changed = try stream(golden.bytes)
        changed.useEarlierBytes(.reader { (buffer, _) throws(ImageError) in buffer.zero() })
        let second = #expect(throws: ImageError.self) { try changed.allBytes() }
        #expect(second?.code == .targetFailed)
        #expect(second?.message.contains("guest offset 131072") == true)
    }

    @Test func everyBitCounts() throws {
        let golden = try Golden.named("kinds")
        let whole = try restored(golden.bytes)
        var random = SeededGenerator(seed: 11)
        // Every structure, and places in between; the two file headers are for the most part reserved.
        let places = Set(
            (0..<240).map { $0 } + (4088..<4700).map { $0 } + (golden.bytes.count - 480..<golden.bytes.count).map { $0 }
                + golden.leaves.flatMap { $0..<$0 + 240 }
                + (0..<300).map { _ in Int.random(in: 4096..<golden.bytes.count, using: &random) })
        for place in places {
            var bytes = golden.bytes
            bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            let found = Result { () throws(ImageError) in
                do { return try restored(bytes) } catch let error as ImageError { throw error } catch { return [] }
            }
            switch found {
            case .success(let bytes): #expect(bytes == whole, "a change at \(place) went unnoticed")
            case .failure(let error):
                #expect(error.code == .damaged || error.code == .unsupported, "\(place): \(error)")
            }
        }
    }

    @Test func aCutIsNoticedAnywhere() throws {
        let golden = try Golden.named("kinds")
        for length in stride(from: 0, to: golden.bytes.count, by: 37) {
            let error = #expect(throws: ImageError.self) { try restored(Array(golden.bytes.prefix(length))) }
            #expect(error?.code == .damaged, "cut at \(length)")
        }
        let tail = #expect(throws: ImageError.self) { try restored(golden.bytes + [0, 0, 1]) }
        #expect(tail?.code == .damaged)
    }

    /// Fields that a reader by index has no need of.
    @Test func everyFieldIsCompared() throws {
        let golden = try Golden.named("tiny")
        func refuses(_ change: (inout Forgery) -> Void, at place: Int) {
            var forged = Forgery(golden)
            change(&forged)
            let error = #expect(throws: ImageError.self) { try restored(forged.bytes) }
            #expect(error?.code == .damaged)
            #expect(error?.place == .host(HostOffset(UInt64(place))), "\(String(describing: error))")
        }
        let (leaf, second) = (golden.leaves[0], golden.leaves[1])
        refuses({ $0.setLeaf(1, at: 88, of: leaf, entry: 0) }, at: leaf)
        refuses({ $0.setLeaf(4096, at: 80, of: second, entry: 1) }, at: second)
        let root = Forgery(golden).root
        let footer = Forgery(golden).footer
        refuses({ $0.setRoot(0, at: 160 + 80 + 32, size: 4) }, at: root)
        for field in [48, 56, 64, 96, 104, 112, 116, 192] {
            refuses({ $0.setFooter($0.number(at: footer + 64 + field) ^ 1, at: field) }, at: footer)
        }
        // A record too many, by its number.
        refuses(
            { forged in
                forged.store(7, at: 4176 + 40)
                forged.sealRecord(at: 4176)
            }, at: 4176)
    }

    @Test(arguments: [(16, 1), (16, 4), (18, 2), (20, 10)])
    func anyLength(_ chunkLog2: Int, _ leafLog2: Int) throws {
        let (chunk, range) = (1 << chunkLog2, min(1 << (chunkLog2 + leafLog2), 1 << 20))
        let counts = Set([
            0, 1, 511, 512, 65535, 65536, 65537, chunk - 1, chunk, chunk + 1, range - 1, range, range + 1,
            2 * range + 512,
        ])
        for count in counts {
            for bytes in [
                mixed(count, seed: 8), [UInt8](repeating: 0, count: count), [UInt8](repeating: 7, count: count),
            ] {
                let settings = try settings { ($0.chunkLog2, $0.leafLog2) = (chunkLog2, leafLog2) }
                let late = try writeLate(ByteDiskStream(bytes), settings)
                let known = try write(RunDisk(bytes), settings)
                // What is not known at first takes no room.
                #expect(late.count == known.count)
                for archive in [late, known] {
                    #expect(try contents(archive) == bytes, "\(count) bytes")
                    #expect(try restored(archive) == bytes, "\(count) bytes")
                    #expect(try ArchiveFormat.indexDigest(of: source(archive)).description == digest(of: bytes))
                }
            }
        }
    }

    @Test func theThreadsDoNotShow() throws {
        let bytes = mixed(3_000_001, seed: 9)
        let settings = try settings { ($0.chunkLog2, $0.leafLog2, $0.dedupWindow) = (16, 2, 5) }
        let first = SHA256Hasher.hash(try writeLate(ByteDiskStream(bytes), settings, threads: 1))
        for threads in [2, 8] {
            #expect(SHA256Hasher.hash(try writeLate(ByteDiskStream(bytes), settings, threads: threads)) == first)
        }
    }

    /// Runs stay runs from one pipe into the next: an archive made of an archive is the same.
    @Test func anArchiveOfAStreamedArchive() throws {
        let bytes = mixed(1_000_000, seed: 10)
        let runs: [(kind: Extent.Kind, count: UInt64)] = [
            (.data, 1_000_000), (.hole, 48_576 + 1 << 46), (.unreadable, 8 << 20), (.zero, 1 << 40), (.hole, 700),
        ]
        for size: UInt64? in [nil, 1] {
            let settings = try settings { $0.dedupWindow = 0 }
            let whole = try write(RunDisk(bytes, runs: runs), settings)
            let source = try stream(whole)
            let writer = try ArchiveWriter(settings, byteCount: size == nil ? nil : source.byteCount)
            let target = MemoryStore([])
            let summary = try CopyJob(
                .stream(source), writer: writer, sink: target, options: JobOptions(threadCount: 4)
            ).run()
            #expect(summary.unreadableByteCount == 8 << 20)
            if size != nil { #expect(target.bytes == whole) }
            #expect(
                try ArchiveFormat.indexDigest(of: ArchiveFormatTests.source(target.bytes))
                    == ArchiveFormat.indexDigest(of: ArchiveFormatTests.source(whole)))
        }
    }
}
