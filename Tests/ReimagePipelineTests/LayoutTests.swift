import ReimageCore
import ReimagePipeline
import ReimageTesting
import Testing

/// An image that goes into a pipe: laid out first, then sent front to back.
@Suite struct LayoutTests {
    private let target = MemoryStore([], traits: StoreTraits(abilities: .appendOnly))

    private func table(_ byte: UInt8, _ offset: UInt64, to sink: any ByteSink) throws {
        try [UInt8](repeating: byte, count: 4).withBytes { (span) throws(ImageError) in
            try sink.writeMetadata(span, at: HostOffset(offset))
        }
    }

    private func data(_ byte: UInt8, _ offset: UInt64, to sink: any ByteSink) throws {
        try [UInt8](repeating: byte, count: 4).withBytes { (span) throws(ImageError) in
            try sink.write(span, at: HostOffset(offset))
        }
    }

    /// Tables at 12 and 0 that are known last, data at 4, and a length of 20.
    private func layout() throws -> LayoutSink {
        let layout = LayoutSink(keepingMetadata: 100)
        try data(9, 4, to: layout)
        try table(1, 12, to: layout)
        try table(2, 0, to: layout)
        try layout.setByteCount(20)
        return layout
    }

    @Test func tablesGoOutWhenTheirPlaceComes() throws {
        let layout = try layout()
        #expect(layout.byteCount == 20 && layout.writtenByteCount == 12)
        let replay = LayoutReplay(layout, to: target)
        try data(9, 4, to: replay)
        #expect(target.bytes == [2, 2, 2, 2, 9, 9, 9, 9])
        try table(1, 12, to: replay)
        try table(2, 0, to: replay)
        try replay.setByteCount(20)
        try replay.finish()
        #expect(target.bytes == [2, 2, 2, 2, 9, 9, 9, 9, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0])
    }

    /// A source that is not what it was in the first pass gives other tables, lengths or places.
    @Test func aChangedSourceIsNoticed() throws {
        let changes: [(LayoutReplay) throws -> Void] = [
            { try table(3, 12, to: $0) }, { try table(1, 8, to: $0) }, { try $0.setByteCount(24) },
            { replay in
                try data(9, 8, to: replay)
                try data(9, 4, to: replay)
            },
            { replay in
                try data(9, 10, to: replay)
                try replay.finish()
            },
        ]
        for change in changes {
            let replay = LayoutReplay(try layout(), to: target)
            let error = #expect(throws: ImageError.self) { try change(replay) }
            #expect(error?.code == .unreadable)
            #expect(error?.message.contains("changed") == true)
        }
    }

    @Test func tablesThatPassTheMemoryAreRefused() throws {
        let layout = LayoutSink(keepingMetadata: 7)
        try table(1, 0, to: layout)
        let error = #expect(throws: ImageError.self) { try table(1, 4, to: layout) }
        #expect(error?.code == .unsupported)
        #expect(error?.advice?.contains("Write to a file") == true)
    }
}
