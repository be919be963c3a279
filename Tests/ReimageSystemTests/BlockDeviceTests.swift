import Foundation
import ReimageCore
import ReimageSystem
import TestSupport
import Testing

/// Block devices for real: loop devices over a file, with both sector sizes.
@Suite struct BlockDeviceTests {
    private let scratch = Scratch()

    /// Runs `body` with a loop device over `path`; prints the reason where there can be none.
    private func withLoopDevice(over path: String, sector: Int, _ body: (String) throws -> Void) throws {
        guard getuid() == 0, let losetup = Program(named: "losetup") else {
            return print("skipped: loop devices need root and losetup")
        }
        let made = try losetup.run(["-r", "-f", "--show", "--sector-size", "\(sector)", path])
        guard made.status == 0 else { return print("skipped: no loop device can be had: \(made.errors)") }
        defer { _ = try? losetup.run(["-d", made.text]) }
        try body(made.text)
    }

    @Test(arguments: [512, 4096], [CachePolicy.cached, .direct])
    func readsAnyOffsetAndLength(_ sector: Int, _ cache: CachePolicy) throws {
        let bytes = pattern(2 << 20)
        try withLoopDevice(over: scratch.write(bytes, to: "disk"), sector: sector) { path in
            let store = try BlockDeviceStore(path: path, cache: cache)
            #expect(store.byteCount == 2 << 20)
            #expect(store.sectorSize == sector)
            for (offset, count) in [(0, 512), (1, 5000), (4096, 65536), ((2 << 20) - 777, 777)] {
                let got = try store.bytes(at: HostOffset(UInt64(offset)), count: count)
                #expect(got == Array(bytes[offset..<offset + count]), "\(count) bytes at \(offset)")
            }
            #expect(try store.extent(at: .zero, limit: .max) == Extent(.data, count: 2 << 20))
            let error = #expect(throws: ImageError.self) { try store.bytes(at: HostOffset(2 << 20), count: 1) }
            #expect(error?.code == .unreadable)
            guard case .store(let found) = try openFile(path: path) else { Issue.record("a disk is a store"); return }
            #expect(found.byteCount == 2 << 20)
        }
    }

    @Test func aFileIsNoBlockDevice() throws {
        let error = #expect(throws: ImageError.self) {
            try BlockDeviceStore(path: scratch.write([1], to: "file"))
        }
        #expect(error?.code == .invalidArgument)
    }
}
