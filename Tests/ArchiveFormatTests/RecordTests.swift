import ReimageCodecs
import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

/// What is written field by field is what the reference model wrote: every record of "tiny", decoded and encoded.
@Suite struct RecordTests {
    private let golden: Golden
    private let bytes: [UInt8]
    private let rules: RecordRules

    init() throws {
        golden = try Golden.named("tiny")
        bytes = golden.bytes
        let header = try bytes.withBytes { (bytes) throws(ImageError) in
            try FileHeader(decoding: bytes.extracting(0..<4096), at: .zero)
        }
        rules = try RecordRules(header, diskByteCount: golden.diskBytes, byteCount: UInt64(bytes.count))
    }

    @Test func header() throws {
        let first = Array(bytes[..<4096])
        let header = try first.withBytes { (bytes) throws(ImageError) in try FileHeader(decoding: bytes, at: .zero) }
        #expect(header.bytes() == first)
        #expect(header.tag == 0x0EA9_3003_94D1_D4B7)
        #expect(header.writer == "rimg_ref 1.0")
        #expect(header.flags == [.ordered, .deterministic])
        #expect(header.dedupWindow == 65536)
    }

    /// A record's header, extension and payload.
    private func record(at place: Int, count: Int = 160) throws(ImageError) -> (RecordHeader, [UInt8], [UInt8]) {
        let start = Array(bytes[place..<place + count])
        let header = try start.withBytes { (span) throws(ImageError) in
            try RecordHeader(decoding: span, at: HostOffset(UInt64(place)), tag: rules.tag)
        }
        let payload = place + header.headerByteCount
        return (
            header, Array(bytes[place..<payload]), Array(bytes[payload..<payload + Int(header.payloadByteCount)])
        )
    }

    private func encode(_ header: RecordHeader, _ fields: [UInt8], _ payload: [UInt8]) -> [UInt8] {
        payload.withBytes {
            RecordHeader.encode(
                header.type, extension: fields, payload: $0, at: header.place, tag: rules.tag,
                sequence: header.sequence)
        }
    }

    @Test func everyRecord() throws {
        var place = 4096
        var types: [String] = []
        while place < bytes.count - 64 {
            let (header, start, payload) = try record(at: place)
            types.append(header.type.name)
            let fields = try start.withBytes { (span) throws(ImageError) -> [UInt8] in
                switch header.type {
                case .chunk: try ChunkRecord(decoding: span, of: header, rules).extensionBytes()
                case .run: try RunRecord(decoding: span, of: header, rules).extensionBytes()
                case .leaf: try LeafRecord(decoding: span, of: header, rules).extensionBytes()
                case .root: try RootRecord(decoding: span, of: header, rules).extensionBytes()
                default: []
                }
            }
            #expect(encode(header, fields, payload) == start)
            try payload.withBytes { (span) throws(ImageError) in try header.check(payload: span) }
            switch header.type {
            case .metadata: #expect(try Metadata(decoding: payload).payloadBytes() == payload)
            case .footer:
                let footer = try payload.withBytes { (span) throws(ImageError) in
                    try Footer(decoding: span, at: header.place)
                }
                #expect(footer.payloadBytes() == payload)
            default: break
            }
            place = Int(try #require(header.end).value)
        }
        #expect(types == ["META", "CHNK", "CHNK", "RUN", "RUN", "LEAF", "CHNK", "LEAF", "ROOT", "FOOT"])
        let tail = Array(bytes.suffix(64))
        let decoded = try tail.withBytes { (span) throws(ImageError) in
            try Tail(decoding: span, at: HostOffset(UInt64(bytes.count - 64)))
        }
        #expect(decoded.bytes() == tail)
    }

    @Test func indexes() throws {
        let (header, start, payload) = try record(at: golden.leaves[0])
        let record = try start.withBytes { (span) throws(ImageError) in
            try LeafRecord(decoding: span, of: header, rules)
        }
        let leaf = try payload.withBytes { (span) throws(ImageError) in
            try Leaf(record, decoding: span, at: header.place, rules)
        }
        let slots = 0..<leaf.slotCount
        var entries: [IndexEntry] = []
        for slot in slots { if let entry = leaf.entry(of: slot) { entries.append(entry) } }
        #expect(Leaf.payloadBytes(slots.map { leaf.kind(of: $0) }, entries) == payload)
        #expect(leaf.run(from: 3) == 3..<16)
        let (rootHeader, rootStart, rootPayload) = try self.record(at: Forgery(golden).root)
        let root = try rootStart.withBytes { (span) throws(ImageError) in
            try RootRecord(decoding: span, of: rootHeader, rules)
        }
        let index = try RootIndex(root, payload: rootPayload, at: rootHeader.place, rules)
        #expect(RootIndex.payloadBytes([try index.entry(0), try index.entry(1)]) == rootPayload)
    }

    @Test func runsAndErrorsOfOthers() throws {
        // "kinds" has the record of unreadable ranges that "tiny" has no use for.
        let kinds = try Golden.named("kinds").bytes
        let header = try kinds.withBytes { (bytes) throws(ImageError) in
            try FileHeader(decoding: bytes.extracting(0..<4096), at: .zero)
        }
        let rules = try RecordRules(header, diskByteCount: 14 * 65536 + 700, byteCount: UInt64(kinds.count))
        var found: [ErrorsRecord.Entry] = []
        var place = 4096
        while place < kinds.count - 64 {
            let start = Array(kinds[place..<min(place + 160, kinds.count)])
            let header = try start.withBytes { (span) throws(ImageError) in
                try RecordHeader(decoding: span, at: HostOffset(UInt64(place)), tag: rules.tag)
            }
            if header.type == .errors {
                let first = place + header.headerByteCount
                let payload = Array(kinds[first..<first + Int(header.payloadByteCount)])
                let record = try start.withBytes { (span) throws(ImageError) in
                    try payload.withBytes { (payload) throws(ImageError) in
                        try ErrorsRecord(decoding: span, payload: payload, of: header, rules)
                    }
                }
                #expect(record.payloadBytes() == payload)
                #expect(record.extensionBytes() == Array(start[64..<72]))
                found += record.entries
            }
            place = Int(try #require(header.end).value)
        }
        let starts: [UInt64] = [328_192, 655_360]
        #expect(found.map(\.range.start.value) == starts)
        #expect(found.map(\.code) == [5, 5])
        #expect(found.map(\.tries) == [3, 1])
    }
}
