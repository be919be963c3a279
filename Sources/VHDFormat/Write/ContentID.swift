internal import ReimageCodecs
internal import ReimageCore

/// The unique id of an image that is to have the same bytes whenever the same disk is written in the same way.
///
/// It is made from the disk's digest; where the image's head goes into a pipe before that is known, from the layout.
enum ContentID {
    /// What the disk is known by.
    enum Source {
        case digest([UInt8])
        /// The hash of the block allocation table.
        case layout(Hash256)
    }

    private static let domain = Array("reimage: unique id of a VHD".utf8) + [0]

    /// 16 bytes that are the same for the same image: a UUID of version 8 (RFC 9562), whose bits are free but for six.
    ///
    /// - Parameter size: the disk's length in bytes.
    static func make(_ settings: WriterSettings, size: UInt64, from source: Source) -> [UInt8] {
        var numbers = [UInt8](repeating: 0, count: 21)
        numbers.withMutableBytes { bytes in
            bytes.storeBig(settings.kind.rawValue, at: 0)
            bytes.storeBig(size, at: 4)
            bytes.storeBig(settings.kind == .fixed ? 0 : settings.blockSize, at: 12)
            if case .layout = source { bytes.storeBig(UInt8(1), at: 20) }
        }
        // A parent and a child of the same content are two images.
        let parent = settings.parent?.uniqueID ?? []
        let content =
            switch source {
            case .digest(let bytes): bytes
            case .layout(let hash): hash.bytes
            }
        var id = Array(SHA256Hasher.hash(domain + numbers + parent + content).bytes.prefix(16))
        id[6] = id[6] & 0x0F | 0x80
        id[8] = id[8] & 0x3F | 0x80
        return id
    }
}
