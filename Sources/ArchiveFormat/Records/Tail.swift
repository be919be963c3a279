internal import ReimageCodecs
internal import ReimageCore

/// The last 64 bytes of an archive, which say where its FOOT record is.
///
/// - Source: archive specification 1.0, section 4.8.
struct Tail: Hashable, Sendable {
    static let byteCount = 64
    static let magic: [UInt8] = [0xF2, 0x52, 0x49, 0x4D, 0x45, 0x4E, 0x44, 0x1A]

    private enum Field {
        static let footer = 8
        static let footerLength = 16
        static let archiveLength = 24
        static let tag = 32
        static let generation = 40
        static let check = 56
    }

    /// The FOOT record.
    var footer: HostOffset
    var tag: UInt64

    /// The archive's length in bytes, this tail included.
    var archiveByteCount: UInt64 { footer.value + UInt64(Footer.byteCount + Self.byteCount) }

    init(footer: HostOffset, tag: UInt64) {
        self.footer = footer
        self.tag = tag
    }

    /// The tail in `bytes`, which lie at `place`.
    /// - Throws: `.damaged` where they are none, or belong elsewhere; `.unsupported` for a later generation.
    init(decoding bytes: RawSpan, at place: HostOffset) throws(ImageError) {
        guard bytes.byteCount == Self.byteCount, bytes.starts(with: Self.magic),
            try XXH3.hash64(bytes.extracting(0..<Field.check)) == bytes.little(at: Field.check)
        else { throw .damaged("there is no tail", at: place) }
        footer = HostOffset(try bytes.little(at: Field.footer))
        tag = try bytes.little(at: Field.tag)
        let length: UInt64 = try bytes.little(at: Field.archiveLength)
        let footerLength: UInt64 = try bytes.little(at: Field.footerLength)
        guard length == place.value + UInt64(Self.byteCount) else {
            throw .damaged("the tail was written for an archive of \(length) bytes", at: place)
        }
        guard footerLength == Footer.byteCount, footer.adding(footerLength) == place else {
            throw .damaged("the tail does not follow its FOOT record", at: place)
        }
        let generation: UInt64 = try bytes.little(at: Field.generation)
        guard generation == 0 else { throw .archiveNeeds("generation \(generation)", at: place) }
    }

    /// The 64 bytes, with their checksum.
    func bytes() -> [UInt8] {
        var bytes = Self.magic + [UInt8](repeating: 0, count: Self.byteCount - Self.magic.count)
        bytes.withMutableBytes { span in
            span.storeLittle(footer.value, at: Field.footer)
            span.storeLittle(UInt64(Footer.byteCount), at: Field.footerLength)
            span.storeLittle(archiveByteCount, at: Field.archiveLength)
            span.storeLittle(tag, at: Field.tag)
        }
        let check = bytes.withBytes { XXH3.hash64($0.extracting(0..<Field.check)) }
        bytes.withMutableBytes { $0.storeLittle(check, at: Field.check) }
        return bytes
    }
}
