internal import ReimageCodecs
internal import ReimageCore

/// The FOOT record's payload: where the index is, what the archive holds, and a copy of the file header.
///
/// - Source: archive specification 1.0, section 4.8.
struct Footer: Hashable, Sendable {
    static let fieldByteCount = 256
    static let payloadByteCount = fieldByteCount + FileHeader.byteCount
    /// The length of the record in bytes.
    static let byteCount = RecordHeader.byteCount + payloadByteCount

    private enum Field {
        static let root = 0
        static let rootLength = 8
        static let metadata = 16
        static let diskSize = 40
        static let chunks = 48
        static let duplicates = 56
        static let zeros = 64
        static let unallocated = 72
        static let unreadable = 88
        static let rawBytes = 96
        static let storedBytes = 104
        static let codecs = 112
        static let filters = 116
        static let flags = 120
        static let digest = 128
        static let merkleRoot = 160
        static let errors = 192
    }

    /// What became of the archive.
    struct Flags: OptionSet, Hashable, Sendable {
        let rawValue: UInt64

        /// Every slot is what the source held; without, the digest is of what was left of it.
        static let complete = Flags(rawValue: 1 << 0)
        /// The source could not be read everywhere.
        static let sourceErrors = Flags(rawValue: 1 << 1)
        /// The source changed while the archive was made.
        static let sourceChanged = Flags(rawValue: 1 << 2)
    }

    /// How many slots are what.
    struct Counts: Hashable, Sendable {
        var chunks: UInt64 = 0
        var duplicates: UInt64 = 0
        var zeros: UInt64 = 0
        var unallocated: UInt64 = 0
        var unreadable: UInt64 = 0

        /// All of them; `nil` where that does not fit 64 bits.
        var sum: UInt64? {
            var sum: UInt64 = 0
            for count in [chunks, duplicates, zeros, unallocated, unreadable] {
                let (next, overflow) = sum.addingReportingOverflow(count)
                if overflow { return nil }
                sum = next
            }
            return sum
        }
    }

    var root: HostOffset
    /// The length of the ROOT record with its payload.
    var rootByteCount: UInt64
    /// The place of the last META record.
    var metadata: HostOffset
    var counts = Counts()
    /// The disk's bytes in CHNK records.
    var rawBytes: UInt64 = 0
    /// The payload bytes of CHNK records.
    var storedBytes: UInt64 = 0
    var codecs: UInt32 = 0
    var filters: UInt32 = 0
    var flags: Flags = .complete
    var digest: Hash256
    var merkleRoot: Hash256
    /// The last ERRS record; 0 where there is none.
    var errors: UInt64 = 0
    /// The copy of the file header, which knows the disk's size.
    var header: FileHeader
    /// The disk's length in bytes.
    var diskByteCount: UInt64

    init(
        root: HostOffset, rootByteCount: UInt64, metadata: HostOffset, digest: Hash256, merkleRoot: Hash256,
        header: FileHeader, diskByteCount: UInt64
    ) {
        self.root = root
        self.rootByteCount = rootByteCount
        self.metadata = metadata
        self.digest = digest
        self.merkleRoot = merkleRoot
        self.header = header
        self.diskByteCount = diskByteCount
    }

    /// The payload of the FOOT record at `place`, whose checksum is right.
    /// - Throws: `.damaged` where fields contradict each other; as ``FileHeader/init(decoding:at:)`` for the copy.
    init(decoding payload: RawSpan, at place: HostOffset) throws(ImageError) {
        root = HostOffset(try payload.little(at: Field.root))
        rootByteCount = try payload.little(at: Field.rootLength)
        metadata = HostOffset(try payload.little(at: Field.metadata))
        diskByteCount = try payload.little(at: Field.diskSize)
        counts = Counts(
            chunks: try payload.little(at: Field.chunks), duplicates: try payload.little(at: Field.duplicates),
            zeros: try payload.little(at: Field.zeros), unallocated: try payload.little(at: Field.unallocated),
            unreadable: try payload.little(at: Field.unreadable))
        rawBytes = try payload.little(at: Field.rawBytes)
        storedBytes = try payload.little(at: Field.storedBytes)
        codecs = try payload.little(at: Field.codecs)
        filters = try payload.little(at: Field.filters)
        flags = Flags(rawValue: try payload.little(at: Field.flags))
        digest = try Hash256(payload.extracting(Field.digest..<Field.digest + Hash256.byteCount))
        merkleRoot = try Hash256(payload.extracting(Field.merkleRoot..<Field.merkleRoot + Hash256.byteCount))
        errors = try payload.little(at: Field.errors)
        let copy = payload.extracting(Self.fieldByteCount..<payload.byteCount)
        header = try FileHeader(
            decoding: copy, at: place + UInt64(RecordHeader.byteCount + Self.fieldByteCount))
        func need(_ isRight: Bool, _ what: String) throws(ImageError) {
            if !isRight { throw .damaged("the FOOT record has \(what)", at: place) }
        }
        let rootEnd = root.adding(rootByteCount)
        try need(rootByteCount >= UInt64(RootRecord.headerByteCount), "a ROOT record of \(rootByteCount) bytes")
        try need(rootEnd == place, "a ROOT record that does not end where it starts")
        let first = UInt64(FileHeader.byteCount)
        try need(root.value >= first && root.value % 8 == 0, "a ROOT record inside the file header")
        try need((first..<root.value).contains(metadata.value), "a META record behind the ROOT record")
        try need(errors < root.value, "an ERRS record behind the ROOT record")
        try need(header.diskByteCount == diskByteCount, "another disk size than its copy of the file header")
    }

    /// The payload's bytes.
    func payloadBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.fieldByteCount)
        bytes.withMutableBytes { span in
            span.storeLittle(root.value, at: Field.root)
            span.storeLittle(rootByteCount, at: Field.rootLength)
            span.storeLittle(metadata.value, at: Field.metadata)
            span.storeLittle(diskByteCount, at: Field.diskSize)
            span.storeLittle(counts.chunks, at: Field.chunks)
            span.storeLittle(counts.duplicates, at: Field.duplicates)
            span.storeLittle(counts.zeros, at: Field.zeros)
            span.storeLittle(counts.unallocated, at: Field.unallocated)
            span.storeLittle(counts.unreadable, at: Field.unreadable)
            span.storeLittle(rawBytes, at: Field.rawBytes)
            span.storeLittle(storedBytes, at: Field.storedBytes)
            span.storeLittle(codecs, at: Field.codecs)
            span.storeLittle(filters, at: Field.filters)
            span.storeLittle(flags.rawValue, at: Field.flags)
            digest.store(in: &span, at: Field.digest)
            merkleRoot.store(in: &span, at: Field.merkleRoot)
            span.storeLittle(errors, at: Field.errors)
        }
        return bytes + header.bytes()
    }
}
