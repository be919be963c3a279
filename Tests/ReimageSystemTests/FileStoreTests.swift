import ReimageCore
import ReimageSystem
import TestSupport
import Testing

@Suite struct FileStoreTests {
    private let scratch = Scratch()

    @Test(arguments: [CachePolicy.cached, .direct])
    func readsAnyOffsetAndLength(_ cache: CachePolicy) throws {
        let bytes = pattern(300_001)
        let store = try FileStore(path: scratch.write(bytes, to: "disk"), cache: cache)
        #expect(store.byteCount == 300_001)
        let places = [
            (0, 1), (0, 4096), (1, 4095), (511, 513), (4096, 8192), (4095, 8194), (299_000, 1001), (300_001, 0),
        ]
        for (offset, count) in places {
            let got = try store.bytes(at: HostOffset(UInt64(offset)), count: count)
            #expect(got == Array(bytes[offset..<offset + count]), "\(count) bytes at \(offset)")
        }
        var aligned = AlignedBuffer(byteCount: 65536)
        try aligned.withMutableBytes { (span) throws(ImageError) in try store.read(into: &span, at: HostOffset(8192)) }
        let equal = try aligned.withBytes { (span) throws(ImageError) in try span.bytes(0..<65536) }
        #expect(equal == Array(bytes[8192..<8192 + 65536]))
    }

    @Test func refusesToReadPastTheEnd() throws {
        let store = try FileStore(path: scratch.write(pattern(1000), to: "disk"))
        for (offset, count) in [(999, 2), (1001, 0), (0, 1001)] {
            let error = #expect(throws: ImageError.self) {
                try store.bytes(at: HostOffset(UInt64(offset)), count: count)
            }
            #expect(error?.code == .unreadable)
            #expect(error?.place == .host(HostOffset(UInt64(offset))))
        }
    }

    @Test func findsHoles() throws {
        let partial = try PartialFile(for: scratch.file("sparse"), existing: .refuse)
        try partial.sink.setByteCount(8 << 20)
        try pattern(65536).withBytes { (span) throws(ImageError) in
            try partial.sink.write(span, at: HostOffset(1 << 20))
        }
        try partial.commit()
        let store = try FileStore(path: scratch.file("sparse"))
        #expect(try store.extent(at: .zero, limit: .max) == Extent(.hole, count: 1 << 20))
        #expect(try store.extent(at: .zero, limit: 10) == Extent(.hole, count: 10))
        #expect(try store.extent(at: HostOffset(1 << 20), limit: .max) == Extent(.data, count: 65536))
        #expect(try store.extent(at: HostOffset(2 << 20), limit: .max) == Extent(.hole, count: 6 << 20))
    }

    @Test func saysWhatAPathIs() throws {
        #expect(throws: ImageError.self) { try FileStore(path: scratch.file("missing")) }
        let directory = #expect(throws: ImageError.self) { try openFile(path: scratch.path) }
        #expect(directory?.code == .invalidArgument)
        guard case .stream = try openFile(path: "/dev/null") else { Issue.record("/dev/null is a stream"); return }
        #expect(try FileKind(path: scratch.file("missing"), orThrow: .unreadable) == nil)
    }

    @Test func noticesThatAFileBecameShorter() throws {
        let path = scratch.write(pattern(10_000), to: "disk")
        let store = try FileStore(path: path)
        try FileSinkAccess.truncate(path, to: 5000)
        let error = #expect(throws: ImageError.self) { try store.bytes(at: HostOffset(4000), count: 2000) }
        #expect(error?.code == .unreadable)
        #expect(error?.place == .host(HostOffset(5000)))
    }
}
