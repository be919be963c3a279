internal import ReimageCodecs
internal import ReimageCore

/// How a chunk is stored, by two numbers in the file.
struct ChunkMethod: Hashable, Sendable {
    /// The codecs of 1.0.
    enum Codec: UInt8, CaseIterable, Sendable {
        case store = 0
        case deflate = 1
        case zstd = 2
        case lzma2 = 3
    }

    var codec: Codec
    var filter: LZMA2Filter

    init(_ codec: Codec, filter: LZMA2Filter = .none) {
        self.codec = codec
        self.filter = filter
    }

    /// The name of the method, by which images of other formats know it.
    var name: ReimageCore.Codec {
        filter == .none ? ReimageCore.Codec("\(codec)") : ReimageCore.Codec("\(codec) after \(filter)")
    }

    /// The method that the numbers stand for.
    /// - Throws: `.unsupported`, by number, for one that 1.0 does not have; `.damaged` for a filter before a codec that
    ///   takes none.
    init(codec: UInt8, filter: UInt8, at place: HostOffset) throws(ImageError) {
        guard let known = Codec(rawValue: codec) else { throw .archiveNeeds("the codec \(codec)", at: place) }
        guard let before = LZMA2Filter(rawValue: filter) else {
            throw .archiveNeeds("the filter \(filter)", at: place)
        }
        guard before == .none || known == .lzma2 else {
            throw .damaged("a chunk has filter \(filter) before codec \(codec)", at: place)
        }
        self.codec = known
        self.filter = before
    }
}

/// The extension of a CHNK record: which bytes of the disk its payload holds, how they are coded, and their proof.
///
/// - Source: archive specification 1.0, section 4.4.
struct ChunkRecord: Hashable, Sendable {
    /// The length of header and extension in bytes.
    static let headerByteCount = 128

    private enum Field {
        static let slot = 64
        static let rawLength = 72
        static let codec = 76
        static let filter = 77
        static let argument = 78
        static let diskSize = 80
        static let chunkLog2 = 88
        static let hash = 96
    }

    var slot: UInt64
    /// The bytes of the disk it holds.
    var rawByteCount: UInt32
    var codec: UInt8
    var filter: UInt8
    var diskSize: UInt64
    var chunkLog2: Int
    var hash: Hash256

    init(
        slot: UInt64, rawByteCount: UInt32, method: ChunkMethod, diskSize: UInt64, chunkLog2: Int, hash: Hash256
    ) {
        self.slot = slot
        self.rawByteCount = rawByteCount
        codec = method.codec.rawValue
        filter = method.filter.rawValue
        self.diskSize = diskSize
        self.chunkLog2 = chunkLog2
        self.hash = hash
    }

    /// The extension of `header` in `bytes`, which start with the header.
    /// - Throws: `.damaged` where a field contradicts the archive, `.unsupported` for what 1.0 does not have.
    init(decoding bytes: RawSpan, of header: RecordHeader, _ rules: RecordRules) throws(ImageError) {
        try header.check(is: .chunk)
        slot = try bytes.little(at: Field.slot)
        rawByteCount = try bytes.little(at: Field.rawLength)
        codec = try bytes.little(at: Field.codec)
        filter = try bytes.little(at: Field.filter)
        diskSize = try bytes.little(at: Field.diskSize)
        chunkLog2 = Int(try bytes.little(UInt8.self, at: Field.chunkLog2))
        hash = try Hash256(bytes.extracting(Field.hash..<Field.hash + Hash256.byteCount))
        func need(_ isRight: Bool, _ what: String) throws(ImageError) {
            if !isRight { throw .damaged("a CHNK record has \(what)", at: header.place) }
        }
        let method = try ChunkMethod(codec: codec, filter: filter, at: header.place)
        let argument: UInt16 = try bytes.little(at: Field.argument)
        try need(argument == 0, "a codec argument")
        try need(chunkLog2 == rules.geometry.chunkLog2, "another chunk size than its archive")
        try need(rules.takes(diskSize: diskSize), "another disk size than its archive")
        try need(slot < rules.geometry.slots, "a slot past the end of the disk")
        try need(UInt64(rawByteCount) == rules.geometry.byteCount(ofSlot: slot), "the wrong length for its slot")
        let stored = header.payloadByteCount
        let most = UInt64(rawByteCount)
        try need(method.codec == .store ? stored == most : (1...most).contains(stored), "a payload of \(stored) bytes")
    }

    /// What the record at the start of `bytes` says of its archive.
    static func claim(in bytes: RawSpan) throws(ImageError) -> RecordClaim {
        RecordClaim(
            first: try bytes.little(at: Field.slot), count: 1,
            lastByteCount: UInt64(try bytes.little(UInt32.self, at: Field.rawLength)),
            diskSize: try bytes.little(at: Field.diskSize), chunkLog2: try bytes.little(at: Field.chunkLog2))
    }

    /// The extension's bytes.
    func extensionBytes() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.headerByteCount)
        bytes.withMutableBytes { span in
            span.storeLittle(slot, at: Field.slot)
            span.storeLittle(rawByteCount, at: Field.rawLength)
            span.storeLittle(codec, at: Field.codec)
            span.storeLittle(filter, at: Field.filter)
            span.storeLittle(diskSize, at: Field.diskSize)
            span.storeLittle(UInt8(chunkLog2), at: Field.chunkLog2)
            hash.store(in: &span, at: Field.hash)
        }
        return Array(bytes[RecordHeader.byteCount...])
    }
}
