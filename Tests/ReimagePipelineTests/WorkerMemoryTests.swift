import Reimage
import ReimageCore
import ReimageTesting
import Synchronization
import Testing

@testable import ReimagePipeline

/// How many threads there is memory for.
@Suite struct WorkerMemoryTests {
    private static let mebibyte: UInt64 = 1 << 20

    private func memory(_ encoder: UInt64, chunk: Int = 16 << 20, threads: Int, available: UInt64?) -> WorkerMemory {
        var needs = WriterNeeds(chunkSize: chunk, grainSize: 512, encodedBound: chunk)
        needs.encoderByteCount = Int(encoder)
        var options = JobOptions(threadCount: threads)
        options.availableByteCount = available
        return WorkerMemory(needs, batchSize: max(chunk, CopyJob.batchSize), options)
    }

    @Test func littleIsNotAsked() {
        let memory = memory(Self.mebibyte, chunk: 1 << 20, threads: 7, available: 1)
        #expect(memory.threadCount == 7 && memory.availableByteCount == nil)
        #expect(memory.remark(on: "this") == nil)
    }

    @Test func largeChunksCountWithoutTables() throws {
        // 64 MiB and what becomes of them, on each thread.
        let memory = memory(0, chunk: 64 << 20, threads: 4, available: 300 * Self.mebibyte)
        #expect(memory.byteCountPerThread == 128 * Self.mebibyte)
        #expect(memory.threadCount == 2 && memory.wantedThreadCount == 4)
        let remark = try #require(memory.remark(on: "this"))
        #expect(
            remark
                == "this takes up to 288 MiB of memory on 2 threads; 300 MiB are available, too little for 4 threads.")
    }

    @Test func largeTablesTakeNoMoreThreadsThanProcessors() {
        #expect(memory(33 * Self.mebibyte, threads: 256, available: .max).threadCount < 256)
        #expect(memory(31 * Self.mebibyte, chunk: 65536, threads: 200, available: .max).threadCount == 200)
    }

    /// What is stored of a large chunk, and the table that decodes it, count too.
    @Test func sourcesOfLargeChunks() {
        let needs = WriterNeeds(chunkSize: 65536, grainSize: 4096)
        var options = JobOptions(threadCount: 256)
        options.availableByteCount = 0
        let memory = WorkerMemory(needs, batchSize: 16 << 20, readUnit: 16 << 20, options)
        #expect(memory.byteCountPerThread == 48 * Self.mebibyte)
        #expect(memory.threadCount == 1 && memory.wantedThreadCount < 256)
        let small = WorkerMemory(needs, batchSize: 2 << 20, readUnit: 2 << 20, options)
        #expect(small.threadCount == 256 && small.availableByteCount == nil)
    }

    /// Who only reads holds what is decoded, what is stored of it, and a table; a format that is lent threads takes fewer.
    @Test func decodersOfLargeChunks() {
        var options = JobOptions(threadCount: 256)
        options.availableByteCount = (32 + 3 * 64 + 1) * Self.mebibyte
        let memory = WorkerMemory(decoding: 64 << 20, options)
        #expect(memory.byteCountPerThread == 192 * Self.mebibyte && memory.threadCount == 1)
        #expect(options.threads.decoding(64 << 20).count == 1)
        #expect(options.threads.decoding(1 << 20).count == 256)
        options.availableByteCount = .max
        #expect(options.threads.decoding(64 << 20).count < 256)
        #expect(WorkerMemory(decoding: 2 << 20, options).threadCount == 256)
    }

    @Test func enoughIsSaidAndChangesNothing() {
        let memory = memory(200 * Self.mebibyte, threads: 1, available: 264 * Self.mebibyte)
        #expect(memory.threadCount == 1)
        #expect(memory.remark(on: "profile max") == "profile max takes up to 264 MiB of memory on one thread.")
    }

    @Test(arguments: [0, 1, 263]) func tooLittleForOneThreadGoesOn(_ available: UInt64) throws {
        let memory = memory(200 * Self.mebibyte, threads: 1, available: available * Self.mebibyte)
        #expect(memory.threadCount == 1)
        let remark = try #require(memory.remark(on: "profile max"))
        #expect(remark.contains("264 MiB") && remark.contains("only \(available) MiB are available"), "\(remark)")
    }

    @Test func shortMemoryChangesNoByte() throws {
        let piece = PatternDisk.bytes(count: 1 << 17, seed: 6)
        let disk = MemoryDisk((0..<72).flatMap { _ in piece })
        let format = try FormatRegistry.standard.writableFormat(named: "rimg")
        var images: [[UInt8]] = []
        for (available, threads) in [(UInt64.max, 2...8), (0, 1...1), (120 * Self.mebibyte, 1...1)] {
            let plan = WritePlan(
                byteCount: disk.byteCount, options: ["profile": "small", "chunk_size": "4M"], stamp: ImageStamp())
            var options = JobOptions(threadCount: 8)
            options.availableByteCount = available
            let sink = MemoryStore([])
            var job = CopyJob(.random(disk), writer: try format.makeWriter(plan), sink: sink, options: options)
            let heard = Mutex<WorkerMemory?>(nil)
            job.announce = { memory in heard.withLock { $0 = memory } }
            _ = try job.run()
            let memory = try #require(heard.withLock { $0 })
            // As many as there are processors, where memory does not matter.
            #expect(threads.contains(memory.threadCount) || memory.wantedThreadCount == 1)
            // A chunk of 4 MiB, what becomes of it, and eleven times as much for its tables.
            #expect((50...70).contains(memory.byteCountPerThread >> 20), "\(memory)")
            images.append(sink.bytes)
        }
        let areSame = images.allSatisfy { $0 == images[0] }
        #expect(areSame)
    }
}
