import Foundation
import ReimageCore
import ReimageSystem
import TestSupport
import Testing

/// What tests do to files behind the tool's back.
enum FileSinkAccess {
    static func truncate(_ path: String, to count: Int) throws {
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.truncate(atOffset: UInt64(count))
        try handle.close()
    }
}

@Suite struct FileSinkTests {
    private let scratch = Scratch()

    @Test(arguments: [CachePolicy.cached, .direct])
    func writesAnyOffsetAndLength(_ cache: CachePolicy) throws {
        let partial = try PartialFile(for: scratch.file("out"), existing: .refuse, cache: cache)
        var expected = [UInt8](repeating: 0, count: 200_001)
        try partial.sink.setByteCount(200_001)
        var buffer = AlignedBuffer(byteCount: 65536)
        let bytes = pattern(65536)
        buffer.withMutableBytes { span in bytes.withBytes { span.copy(from: $0) } }
        for (offset, count) in [(0, 4096), (8192, 65536), (80_000, 777), (131_072, 65536), (196_608, 3393)] {
            try buffer.withBytes(0..<count) { (span) throws(ImageError) in
                try partial.sink.write(span, at: HostOffset(UInt64(offset)))
            }
            expected.replaceSubrange(offset..<offset + count, with: bytes[0..<count])
        }
        try partial.commit()
        #expect(scratch.read("out") == expected)
    }

    @Test(arguments: [ZeroMode.sparse, .allocated, .written])
    func zeroesARangeOfAnExistingFile(_ mode: ZeroMode) throws {
        var expected = pattern(100_000)
        let sink = try FileSink(overwriting: scratch.write(expected, to: "disk"))
        try sink.zero(HostRange(start: HostOffset(5000), count: 50_000), mode: mode)
        try sink.sync()
        expected.replaceSubrange(5000..<55_000, with: [UInt8](repeating: 0, count: 50_000))
        #expect(scratch.read("disk") == expected)
    }

    @Test func reservesSpaceOfANewFile() throws {
        let partial = try PartialFile(for: scratch.file("full"), existing: .refuse)
        try partial.sink.setByteCount(1 << 20)
        try partial.sink.zero(HostRange(start: .zero, count: 1 << 20), mode: .allocated)
        try partial.commit()
        #expect(try #require(FileStore(path: scratch.file("full")).allocatedByteCount) >= 1 << 20)
    }

    @Test func anExistingFileKeepsItsLength() throws {
        let sink = try FileSink(overwriting: scratch.write(pattern(1000), to: "disk"))
        try sink.setByteCount(500)
        #expect(scratch.read("disk")?.count == 1000)
        let error = #expect(throws: ImageError.self) { try sink.setByteCount(1001) }
        #expect(error?.code == .targetFailed)
    }

    @Test func aPipeTakesBytesInOrderOnly() throws {
        let sink = try PipeSink(path: "/dev/null")
        try [1, 2, 3].withBytes { (span) throws(ImageError) in try sink.write(span, at: .zero) }
        try sink.zero(HostRange(start: HostOffset(3), count: 100_000), mode: .sparse)
        let error = #expect(throws: ImageError.self) {
            try [1].withBytes { (span) throws(ImageError) in try sink.write(span, at: HostOffset(7)) }
        }
        #expect(error?.code == .targetFailed)
    }

    @Test func aFullDeviceIsATargetFailure() throws {
        let sink = try PipeSink(path: "/dev/full")
        let error = #expect(throws: ImageError.self) {
            try [1].withBytes { (span) throws(ImageError) in try sink.write(span, at: .zero) }
        }
        #expect(error?.code == .targetFailed)
        #expect(error?.advice != nil)
    }
}
