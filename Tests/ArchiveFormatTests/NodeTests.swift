import ReimageCodecs
import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// Comparing by the nodes that archives keep.
@Suite struct NodeTests {
    /// The disk of an archive in a store that counts.
    private func counted(_ bytes: [UInt8]) throws -> (disk: any BlockDevice, store: CountingStore) {
        let store = CountingStore(MemoryStore(bytes))
        return (try disk(store), store)
    }

    @Test func nodesAreThoseOfTheBytes() throws {
        let bytes = mixed(1_300_000, seed: 14)
        for (chunkLog2, leafLog2) in [(16, 1), (16, 3), (18, 1), (20, 4)] {
            let archive = try write(RunDisk(bytes), settings { ($0.chunkLog2, $0.leafLog2) = (chunkLog2, leafLog2) })
            let disk = try #require(try disk(archive) as? any DigestedDisk)
            #expect(disk.contentDigest.description == digest(of: bytes))
            for height in (chunkLog2 - 16)...8 {
                for number in 0..<UInt64(3) {
                    let start = Int(number) * 65536 << height
                    let part = Array(bytes.dropFirst(start).prefix(65536 << height))
                    var tree = DigestTree()
                    part.withBytes { tree.append(leavesOf: $0) }
                    #expect(try disk.digestNode(height: height, index: number) == tree.root(height: height))
                }
            }
        }
    }

    @Test func findsExactlyWhatDiffers() throws {
        let bytes = mixed(9_000_000, seed: 15)
        var random = SeededGenerator(seed: 16)
        for (one, other) in [((16, 2), (16, 2)), ((16, 2), (18, 3)), ((20, 4), (16, 1))] {
            var changed = bytes
            var blocks: Set<Int> = []
            for _ in 0..<5 {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                changed[place] ^= 0x55
                blocks.insert(place / 65536)
            }
            let first = try counted(try write(RunDisk(bytes), settings { ($0.chunkLog2, $0.leafLog2) = one }))
            let second = try counted(try write(RunDisk(changed), settings { ($0.chunkLog2, $0.leafLog2) = other }))
            let place = zip(bytes, changed).enumerated().first { $0.element.0 != $0.element.1 }?.offset
            for (left, right) in [
                (first.disk, second.disk), (first.disk, RunDisk(changed)), (RunDisk(bytes), second.disk),
            ] {
                let job = try #require(NodeCompareJob(left, right, options: JobOptions(threadCount: 2)))
                let found = try job.run()
                #expect(
                    Set(found.runs.flatMap { Int($0.start.value) / 65536...Int($0.end.value - 1) / 65536 }) == blocks)
                #expect(found.first == place.map { GuestOffset(UInt64($0)) })
            }
            // Little but the index was read of either.
            #expect(first.store.counts.bytes < 3_500_000, "\(first.store.counts.bytes)")
        }
    }

    @Test func equalDisksAreNotRead() throws {
        let bytes = mixed(5_000_000, seed: 17)
        let first = try counted(try write(RunDisk(bytes), settings()))
        let second = try counted(try write(RunDisk(bytes), settings(["chunk_size": "64k"])))
        #expect(try NodeCompareJob(first.disk, second.disk)?.run().runs == [])
        #expect(first.store.counts.reads == 2 && second.store.counts.reads == 2)
        #expect(NodeCompareJob(RunDisk(bytes), RunDisk(bytes)) == nil)
        // A longer disk is equal where the rest is zeros.
        let longer = RunDisk(bytes + [UInt8](repeating: 0, count: 300_000))
        #expect(try NodeCompareJob(first.disk, longer)?.run().runs == [])
        let empty = try disk(try write(RunDisk([], runs: [(.hole, 1 << 46)]), settings()))
        let found = try NodeCompareJob(empty, first.disk)?.run()
        #expect(found?.first == bytes.firstIndex { $0 != 0 }.map { GuestOffset(UInt64($0)) })
    }
}
