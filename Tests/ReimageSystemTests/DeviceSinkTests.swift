import Foundation
import ReimageCore
import ReimageSystem
import ReimageTesting
import TestSupport
import Testing

/// Devices that are written for real: loop devices over a file, with both sector sizes.
@Suite struct DeviceSinkTests {
    private let scratch = Scratch()
    private static let byteCount = 3 << 20 | 8192

    /// Runs `body` with a loop device over a file of bytes EEh; prints the reason where there can be none.
    private func withDevice(
        sector: Int = 512, flags: [String] = [], _ body: (String, DeviceExpectation) throws -> Void
    ) throws {
        guard getuid() == 0, let losetup = Program(named: "losetup") else {
            return print("skipped: loop devices need root and losetup")
        }
        let file = scratch.write([UInt8](repeating: 0xEE, count: Self.byteCount), to: "disk")
        let made = try losetup.run(flags + ["-f", "--show", "--sector-size", "\(sector)", file])
        guard made.status == 0 else { return print("skipped: no loop device can be had: \(made.errors)") }
        defer { _ = try? losetup.run(["-d", made.text]) }
        let node = try #require(HostTree.node(at: made.text)?.device)
        try body(made.text, DeviceExpectation(number: node, byteCount: UInt64(Self.byteCount), discardsToZeros: true))
    }

    /// Any offset, length and address: what is around stays, in the file behind the device and when read back.
    @Test(arguments: [512, 4096])
    func writesAnyOffsetAndLength(_ sector: Int) throws {
        try withDevice(sector: sector) { path, expected in
            let sink = try DeviceSink(path: path, expecting: expected)
            #expect(sink.sectorSize == sector && sink.byteCount == UInt64(Self.byteCount))
            #expect(sink.traits.contains(.direct))
            var model = [UInt8](repeating: 0xEE, count: Self.byteCount)
            var random = SeededGenerator(seed: 4)
            let places = [
                (0, 1), (511, 2), (4095, 4098), (1 << 20, 1 << 20), (Self.byteCount - 777, 777), (8192, 5000),
            ]
            for (number, (offset, count)) in places.enumerated() {
                var buffer = AlignedBuffer(byteCount: count)
                let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                bytes.withBytes { source in buffer.withMutableBytes { $0.copy(from: source) } }
                // Once from aligned memory, once from an array.
                if number.isMultiple(of: 2) {
                    try buffer.withBytes { (span) throws(ImageError) in
                        try sink.write(span, at: HostOffset(UInt64(offset)))
                    }
                } else {
                    try bytes.withBytes { (span) throws(ImageError) in
                        try sink.write(span, at: HostOffset(UInt64(offset)))
                    }
                }
                model.replaceSubrange(offset..<offset + count, with: bytes)
                #expect(try sink.bytes(at: HostOffset(UInt64(offset)), count: count) == bytes)
            }
            try sink.sync()
            #expect(sink.rereadPartitions() == nil)
            let isSame = scratch.read("disk") == model
            #expect(isSame, "the file does not hold what was written")
        }
    }

    @Test(arguments: [512, 4096], [ZeroMode.sparse, .allocated, .written])
    func makesZeros(_ sector: Int, _ mode: ZeroMode) throws {
        for discards in [true, false] {
            try withDevice(sector: sector) { path, expected in
                var expected = expected
                expected.discardsToZeros = discards
                let sink = try DeviceSink(path: path, expecting: expected)
                var model = [UInt8](repeating: 0xEE, count: Self.byteCount)
                for (offset, count) in [(4097, 1 << 20), (2 << 20, 8192), (0, 10), (Self.byteCount - 5, 5)] {
                    try sink.zero(HostRange(start: HostOffset(UInt64(offset)), count: UInt64(count)), mode: mode)
                    model.replaceSubrange(offset..<offset + count, with: repeatElement(0, count: count))
                }
                try sink.sync()
                let isSame = scratch.read("disk") == model
                #expect(isSame, "\(mode), discards \(discards)")
                // Only where it was said that discarding zeroes, and only whole sectors.
                #expect((sink.discardedByteCount > 0) == (discards && mode == .sparse))
            }
        }
    }

    @Test func endsAtItsEnd() throws {
        try withDevice { path, expected in
            let sink = try DeviceSink(path: path, expecting: expected)
            let end = HostOffset(UInt64(Self.byteCount))
            let two: [UInt8] = [1, 2]
            for place in [end, HostOffset(end.value - 1), HostOffset(.max)] {
                let error = #expect(throws: ImageError.self) {
                    try two.withBytes { (span) throws(ImageError) in try sink.write(span, at: place) }
                }
                #expect(error?.code == .targetFailed)
                #expect(throws: ImageError.self) { try sink.bytes(at: place, count: 2) }
                let range = HostRange(start: HostOffset(end.value - 1), count: 2)
                #expect(throws: ImageError.self) { try sink.zero(range, mode: .sparse) }
            }
            try sink.setByteCount(5)
            #expect(throws: ImageError.self) { try sink.setByteCount(end.value + 1) }
        }
    }

    /// It is the device that was chosen, and nobody else's, from the first moment to the last.
    @Test func isHeldAndIsTheOne() throws {
        try withDevice { path, expected in
            var others = [expected, expected, expected]
            others[0].byteCount += 512
            others[1].number = DeviceNumber(major: 8, minor: 250)
            others[2].sequence = 1
            for other in others {
                let error = #expect(throws: ImageError.self) { try DeviceSink(path: path, expecting: other) }
                #expect(error?.code == .refused && error?.message.contains("no longer") == true)
            }
            try {
                let sink = try DeviceSink(path: path, expecting: expected)
                let error = #expect(throws: ImageError.self) { try DeviceSink(path: path, expecting: expected) }
                #expect(error?.code == .refused && error?.message.contains("is in use") == true)
                #expect(HostTree.claim(path) == .busy)
                _ = sink.name
            }()
            #expect(HostTree.claim(path) == .free)
        }
        let missing = scratch.file("none")
        let number = DeviceNumber(major: 1, minor: 1)
        let error = #expect(throws: ImageError.self) {
            try DeviceSink(path: missing, expecting: DeviceExpectation(number: number, byteCount: 1))
        }
        #expect(error?.code == .targetFailed && HostTree.node(at: missing) == nil, "a missing node is not made")
        let file = scratch.write([1], to: "file")
        #expect(throws: ImageError.self) {
            try DeviceSink(path: file, expecting: DeviceExpectation(number: number, byteCount: 1))
        }
    }

    @Test func whatIsWriteProtectedIsRefused() throws {
        try withDevice(flags: ["-r"]) { path, expected in
            let error = #expect(throws: ImageError.self) { try DeviceSink(path: path, expecting: expected) }
            #expect(error?.code == .refused && error?.message == "is read-only")
        }
    }
}
