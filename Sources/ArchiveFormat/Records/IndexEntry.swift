internal import ReimageCodecs
internal import ReimageCore

/// What an index keeps of one stored chunk: where its record lies, how it is coded, and its proof.
///
/// - Source: archive specification 1.0, section 4.6.
struct IndexEntry: Hashable, Sendable {
    static let byteCount = 48

    private enum Field {
        static let offset = 0
        static let length = 8
        static let codec = 12
        static let filter = 13
        static let argument = 14
        static let hash = 16
    }

    /// The start of the CHNK record.
    var place: HostOffset
    /// The payload in bytes.
    var storedByteCount: UInt32
    var codec: UInt8
    var filter: UInt8
    var hash: Hash256

    init(place: HostOffset, storedByteCount: UInt32, method: ChunkMethod, hash: Hash256) {
        self.place = place
        self.storedByteCount = storedByteCount
        codec = method.codec.rawValue
        filter = method.filter.rawValue
        self.hash = hash
    }

    /// The entry at byte `start` of `bytes`, of the LEAF at `leaf`.
    /// - Throws: `.damaged` where its record would not lie between the file header and the LEAF, or be too long.
    init(decoding bytes: RawSpan, at start: Int, leaf: HostOffset, _ rules: RecordRules) throws(ImageError) {
        place = HostOffset(try bytes.little(at: start + Field.offset))
        storedByteCount = try bytes.little(at: start + Field.length)
        codec = try bytes.little(at: start + Field.codec)
        filter = try bytes.little(at: start + Field.filter)
        let argument: UInt16 = try bytes.little(at: start + Field.argument)
        let proof = start + Field.hash
        hash = try Hash256(bytes.extracting(proof..<proof + Hash256.byteCount))
        let count = UInt64(storedByteCount)
        let length = UInt64(ChunkRecord.headerByteCount) + count
        guard (1...rules.geometry.chunkSize).contains(count), rules.holds(place.value, count: length),
            place.value + length <= leaf.value, place.value % 8 == 0, argument == 0
        else {
            throw .damaged("an entry of a LEAF record names no chunk before it (\(count) bytes at \(place))", at: leaf)
        }
    }

    /// The bytes of header, extension and payload.
    var recordByteCount: Int { ChunkRecord.headerByteCount + Int(storedByteCount) }

    /// Stores the 48 bytes at byte `start` of `span`, where they must fit.
    func store(in span: inout MutableRawSpan, at start: Int) {
        span.storeLittle(place.value, at: start + Field.offset)
        span.storeLittle(storedByteCount, at: start + Field.length)
        span.storeLittle(codec, at: start + Field.codec)
        span.storeLittle(filter, at: start + Field.filter)
        span.storeLittle(UInt16(0), at: start + Field.argument)
        hash.store(in: &span, at: start + Field.hash)
    }
}
