import Foundation
import ReimageTesting
import TestSupport
import Testing

extension Scratch {
    /// Writes a disk of six leaf ranges of 256 MiB, with `mebibytes` of data in each.
    func writeSixRanges(_ mebibytes: Int, to name: String) throws {
        write([], to: name)
        let handle = try #require(FileHandle(forWritingAtPath: file(name)))
        var random = SeededGenerator(seed: 12)
        for range in 0..<6 {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(mebibytes << 20)
            let noise = (0..<8192).map { _ in UInt8.random(in: 0...255, using: &random) }
            while bytes.count < mebibytes << 20 {
                // Of every 16 KiB one half repeats, and the other starts with something of its own.
                bytes += noise
                bytes += pattern(8184)
                for shift in 0..<8 { bytes.append(UInt8(truncatingIfNeeded: (bytes.count + range) >> (8 * shift / 2))) }
            }
            try handle.seek(toOffset: UInt64(range) << 28 + UInt64(range) * 12345)
            try handle.write(contentsOf: Data(bytes))
        }
        try handle.truncate(atOffset: 6 << 28 - 77)
        try handle.close()
    }

    /// Changes the byte at `offset` of `name`.
    func flipByte(at offset: UInt64, of name: String) throws {
        let handle = try #require(FileHandle(forUpdatingAtPath: file(name)))
        try handle.seek(toOffset: offset)
        let byte = try #require(try handle.read(upToCount: 1))
        try handle.seek(toOffset: offset)
        try handle.write(contentsOf: Data([byte[0] ^ 1]))
        try handle.close()
    }
}
