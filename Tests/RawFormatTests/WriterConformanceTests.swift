import RawFormat
import ReimageCore
import ReimageTesting
import Testing

/// The conformance suite finds writers that are wrong in one way each.
@Suite struct WriterConformanceTests {
    private struct Wrong: ImageFormat {
        enum Fault: CaseIterable { case overlap, shift, forgetsTail, wrongKind, emptyStep }

        let fault: Fault
        let name: FormatName = "wrong"
        let summary = ""

        func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult { .no }
        func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
            try RawFormat().open(source, context)
        }
        func makeWriter(_ plan: WritePlan) throws(ImageError) -> any ImageWriter {
            Writer(try RawWriter(plan), fault)
        }
    }

    private final class Writer: ImageWriter {
        private let writer: RawWriter
        private let fault: Wrong.Fault
        let needs: WriterNeeds

        init(_ writer: RawWriter, _ fault: Wrong.Fault) {
            self.writer = writer
            self.fault = fault
            needs = writer.needs
        }

        func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 {
            try writer.mostBytes(forDisk: byteCount)
        }

        func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
            try writer.skip(kind, range, into: &placement)
        }

        func place(
            _ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement
        ) throws(ImageError) {
            var chunk = chunk
            let start = chunk.range.start
            switch fault {
            case .shift: chunk.range = GuestRange(start: start + 512, count: chunk.range.count)
            case .wrongKind: chunk.encoding = .zero
            case .overlap:
                placement.append(.zero(HostRange(start: HostOffset(start.value), count: 1), .sparse))
            case .emptyStep:
                placement.append(.zero(HostRange(start: HostOffset(start.value), count: 0), .sparse))
            case .forgetsTail: break
            }
            try writer.place(chunk, map: map, into: &placement)
        }

        func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
            let count = fault == .forgetsTail ? disk.byteCount.roundedDown(to: 512) : disk.byteCount
            try writer.finish(WrittenDisk(byteCount: count), into: &placement)
        }
    }

    @Test(arguments: Wrong.Fault.allCases)
    private func isFound(fault: Wrong.Fault) {
        let guest = PatternDisk.bytes(count: 1_500_001) + [1]
        for mix in FormatConformance.ChunkMix.all {
            #expect(throws: FormatConformance.Failure.self, "\(fault), \(mix)") {
                try FormatConformance(Wrong(fault: fault)).checkWriter(guest, mixes: [mix])
            }
        }
    }
}
