internal import ReimageCore

/// What the first bytes of a zstd frame say: RFC 8878, section 3.1.1.1.
///
/// The library keeps its own reader of this for static linking; a decoder's limits need no more than these fields.
struct ZstdFrameHeader: Equatable {
    enum Kind: Equatable {
        /// A frame of data.
        case data
        /// A frame that decoders skip.
        case skippable
    }

    /// The most bytes a header takes.
    static let largestSize = 18
    private static let magic: UInt32 = 0xFD2F_B528
    private static let skippableMagic: UInt32 = 0x184D_2A50

    var kind: Kind
    /// The length of the header in bytes.
    var byteCount: Int
    /// How far back the frame refers, and thus the memory that decoding it needs, in bytes.
    var windowSize: UInt64
    /// The length of the decoded frame, where the header tells; of a skippable frame, the length of what is skipped.
    var contentSize: UInt64?
    /// Whether a dictionary is needed.
    var needsDictionary: Bool
    /// Whether a checksum follows the last block.
    var hasChecksum: Bool

    /// Whether these bytes start a zstd frame, skippable ones not counted.
    static func isDataFrame(_ bytes: RawSpan) -> Bool { (try? bytes.little(UInt32.self, at: 0)) == magic }

    /// Whether these bytes start a zstd frame of either kind.
    static func isFrame(_ bytes: RawSpan) -> Bool {
        guard let number = try? bytes.little(UInt32.self, at: 0) else { return false }
        return number == magic || number & ~0xF == skippableMagic
    }

    /// The header at the start of `bytes`.
    /// - Throws: `.damaged` where the bytes start no frame or end inside the header.
    init(decoding bytes: RawSpan) throws(ImageError) {
        let number = try bytes.little(UInt32.self, at: 0)
        guard number == Self.magic else {
            guard number & ~0xF == Self.skippableMagic else { throw .damaged("these bytes start no zstd frame") }
            kind = .skippable
            byteCount = 8
            windowSize = 0
            contentSize = UInt64(try bytes.little(UInt32.self, at: 4))
            needsDictionary = false
            hasChecksum = false
            return
        }
        kind = .data
        let descriptor = try bytes.little(UInt8.self, at: 4)
        let isSingleSegment = descriptor & 0x20 != 0
        hasChecksum = descriptor & 0x04 != 0
        var offset = 5
        var window: UInt64?
        if !isSingleSegment {
            let field = try bytes.little(UInt8.self, at: offset)
            let base = UInt64(1) << (10 + UInt64(field >> 3))
            window = base + base / 8 * UInt64(field & 7)
            offset += 1
        }
        let dictionarySize = [0, 1, 2, 4][Int(descriptor & 3)]
        var dictionary: UInt8 = 0
        for index in 0..<dictionarySize { dictionary |= try bytes.little(UInt8.self, at: offset + index) }
        needsDictionary = dictionary != 0
        offset += dictionarySize
        switch descriptor >> 6 {
        case 0 where isSingleSegment:
            contentSize = UInt64(try bytes.little(UInt8.self, at: offset))
            offset += 1
        case 0: contentSize = nil
        case 1:
            contentSize = UInt64(try bytes.little(UInt16.self, at: offset)) + 256
            offset += 2
        case 2:
            contentSize = UInt64(try bytes.little(UInt32.self, at: offset))
            offset += 4
        default:
            contentSize = try bytes.little(UInt64.self, at: offset)
            offset += 8
        }
        windowSize = window ?? contentSize ?? 0
        byteCount = offset
    }
}
