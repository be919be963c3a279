internal import ReimageCodecs
internal import ReimageCore

/// One record of a journal: a type, bytes, and a hash over both, so that a torn one is known.
///
/// - Source: <doc:Restoring>.
struct JournalRecord {
    enum Kind: UInt32 {
        /// Facts as text.
        case facts = 1
        /// Bytes of the old disk, after their place.
        case saved = 2
        /// All that can be undone stands before.
        case sealed = 3
        /// A range that is written, and its nodes.
        case done = 4
        /// The restore is complete.
        case finished = 5
    }

    private enum Field {
        static let magic = 0
        static let kind = 8
        static let version = 12
        static let length = 16
        static let hash = 24
    }

    static let headerByteCount = 56
    /// The longest payload: a saved MiB, or the nodes of all units there can be.
    static let mostPayload: UInt64 = 4 << 20
    private static let magic: UInt64 = 0x5249_4D47_4A52_4E4C  // "RIMGJRNL"
    private static let version: UInt32 = 1

    var kind: Kind
    var payload: [UInt8]

    init(_ kind: Kind, _ payload: [UInt8] = []) {
        self.kind = kind
        self.payload = payload
    }

    /// The record at `offset` of `store`; `nil` where there is none that is whole.
    /// - Throws: `.unreadable` on an I/O error, `.unsupported` for one that a later version wrote.
    init?(in store: any ByteStore, at offset: HostOffset) throws(ImageError) {
        let rest = store.byteCount - min(store.byteCount, offset.value)
        guard rest >= UInt64(Self.headerByteCount) else { return nil }
        let header = try store.bytes(at: offset, count: Self.headerByteCount)
        let fields = try header.withBytes { (header) throws(ImageError) in
            (
                magic: try header.big(UInt64.self, at: Field.magic),
                kind: try header.little(UInt32.self, at: Field.kind),
                version: try header.little(UInt32.self, at: Field.version),
                length: try header.little(UInt64.self, at: Field.length)
            )
        }
        guard fields.magic == Self.magic, fields.length <= min(Self.mostPayload, rest - UInt64(Self.headerByteCount))
        else { return nil }
        payload = try store.bytes(at: offset + UInt64(Self.headerByteCount), count: Int(fields.length))
        guard SHA256Hasher.hash(Array(header[Field.kind..<Field.hash]) + payload).bytes == Array(header[Field.hash...])
        else { return nil }
        guard fields.version == Self.version, let kind = Kind(rawValue: fields.kind) else {
            throw ImageError(
                .unsupported, "the journal has a record of version \(fields.version) and type \(fields.kind)",
                at: .host(offset), file: store.name, advice: "Use the reimage that wrote it.")
        }
        self.kind = kind
    }

    /// The length in bytes.
    var byteCount: UInt64 { UInt64(Self.headerByteCount + payload.count) }

    /// The record as stored.
    var bytes: [UInt8] {
        var header = [UInt8](repeating: 0, count: Self.headerByteCount)
        header.withMutableBytes { header in
            header.storeBig(Self.magic, at: Field.magic)
            header.storeLittle(kind.rawValue, at: Field.kind)
            header.storeLittle(Self.version, at: Field.version)
            header.storeLittle(UInt64(payload.count), at: Field.length)
        }
        let hash = SHA256Hasher.hash(Array(header[Field.kind..<Field.hash]) + payload)
        header.withMutableBytes { hash.store(in: &$0, at: Field.hash) }
        return header + payload
    }
}
