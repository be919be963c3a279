import Foundation
import ReimageCore
import ReimageSystem
import TestSupport
import Testing

/// Space that is allocated ahead of the writes of a new file: nobody sees it in the end.
@Suite struct SpaceAheadTests {
    private let scratch = Scratch()
    private static let piece = 1 << 20

    private func status(_ path: String) throws -> stat {
        var status = stat()
        try #require(unsafe stat(path, &status) == 0)
        return status
    }

    /// Writes pieces of 1 MiB, each filled with its number, and leaves out some.
    private func write(_ pieces: [Int], to sink: FileSink) throws {
        var buffer = AlignedBuffer(byteCount: Self.piece)
        for piece in pieces {
            buffer.withMutableBytes { span in
                [UInt8](repeating: UInt8(truncatingIfNeeded: piece + 1), count: Self.piece).withBytes {
                    span.copy(from: $0)
                }
            }
            try buffer.withBytes { (span) throws(ImageError) in
                try sink.write(span, at: HostOffset(UInt64(piece * Self.piece)))
            }
        }
    }

    private func check(_ path: String, holds pieces: Set<Int>, count: Int) throws {
        let handle = try #require(FileHandle(forReadingAtPath: path))
        for piece in 0..<count {
            let byte = pieces.contains(piece) ? UInt8(truncatingIfNeeded: piece + 1) : 0
            let found = try handle.read(upToCount: Self.piece)
            #expect(found == Data(repeating: byte, count: Self.piece), "piece \(piece)")
        }
    }

    @Test func aSparseFileTakesOnlyWhatWasWritten() throws {
        // Neighbours out of order, as many threads write them, and holes of one and of many pieces.
        var order = (0..<64).filter { $0 % 16 != 9 } + (90..<120)
        for index in stride(from: 0, to: order.count - 1, by: 3) { order.swapAt(index, index + 1) }
        let partial = try PartialFile(for: scratch.file("sparse"), existing: .refuse)
        try partial.sink.setByteCount(UInt64(128 * Self.piece))
        try write(order, to: partial.sink)
        try partial.commit()
        let made = try status(scratch.file("sparse"))
        #expect(made.st_size == 128 * Self.piece)
        // A block of the file system's own tables may come on top.
        #expect(made.st_blocks * 512 <= order.count * Self.piece + 8192)
        try check(scratch.file("sparse"), holds: Set(order), count: 128)
    }

    @Test func aFileThatGrowsEndsWithItsLastWrite() throws {
        let partial = try PartialFile(for: scratch.file("grown"), existing: .refuse)
        try write(Array(0..<40), to: partial.sink)
        #expect(try partial.sink.currentByteCount() == UInt64(40 * Self.piece))
        try partial.sink.sync()
        #expect(try status(partial.partialPath).st_size == 40 * Self.piece)
        // It goes on behind a barrier, and may be cut.
        try write(Array(40..<60), to: partial.sink)
        try partial.sink.setByteCount(UInt64(58 * Self.piece))
        try write([58], to: partial.sink)
        try partial.commit()
        let made = try status(scratch.file("grown"))
        #expect(made.st_size == 59 * Self.piece)
        #expect(made.st_blocks * 512 <= 59 * Self.piece + 8192)
        try check(scratch.file("grown"), holds: Set(0..<59), count: 59)
    }

    /// A file system that has just room for what is written, with less left than would be borrowed.
    @Test func borrowedSpaceDoesNotMakeACopyFail() throws {
        guard getuid() == 0, let make = Program(named: "mke2fs"), let mount = Program(named: "mount"),
            let umount = Program(named: "umount")
        else { return print("skipped: needs root, mke2fs and mount") }
        let image = scratch.file("fs")
        try #require(FileManager.default.createFile(atPath: image, contents: nil))
        try FileSinkAccess.truncate(image, to: 1400 << 20)
        try #require(try make.run(["-q", "-F", "-t", "ext4", "-m", "0", image]).status == 0)
        let folder = scratch.file("mounted")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let mounted = try mount.run(["-o", "loop", image, folder])
        guard mounted.status == 0 else { return print("skipped: cannot mount: \(mounted.errors)") }
        defer { _ = try? umount.run(["-l", folder]) }
        let partial = try PartialFile(for: folder + "/out", existing: .refuse)
        try write(Array(0..<72), to: partial.sink)
        // Another program takes all but 20 MiB of what is left, while up to 64 MiB are borrowed.
        let other = try #require(Program(named: "fallocate"))
        let free = try freeSpace(at: folder)
        try #require(try other.run(["-l", "\(free - (20 << 20))", folder + "/other"]).status == 0)
        let pieces = Array(80..<120).filter { $0 % 2 == 0 }
        try write(pieces, to: partial.sink)
        var written = 120
        let error = #expect(throws: ImageError.self) {
            while written < 400 {
                try write([written], to: partial.sink)
                written += 1
            }
        }
        #expect(error?.code == .targetFailed && error?.systemCode == ENOSPC)
        // 20 MiB were free behind the borrowed space, which ends at 132.
        #expect(written > 132 + 20)
        try partial.commit()
        try check(folder + "/out", holds: Set(0..<72).union(pieces).union(120..<written), count: written)
    }
}
