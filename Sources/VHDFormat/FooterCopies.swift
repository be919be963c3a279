internal import ReimageCore

/// The footers of a file: the one at its end, and the copy at its start.
struct FooterCopies {
    /// A footer, and where it was found.
    struct Found: Hashable {
        var footer: Footer
        var place: HostOffset
    }

    /// How many bytes at the file's end are searched for a footer that something was appended to.
    private static let window: UInt64 = 4096

    /// What stands at the file's start, if that begins as a footer does.
    let head: Found?
    /// The one at the end of the file.
    let tail: Found?
    /// How many bytes stand behind the last footer.
    let trailingByteCount: UInt64

    init(_ store: any ByteStore) throws(ImageError) {
        let size = UInt64(Footer.byteCount)
        let length = store.byteCount
        var head: Found?
        if length >= size {
            head = try store.bytes(at: .zero, count: Footer.byteCount).withBytes(Footer.init(decoding:))
                .map { Found(footer: $0, place: .zero) }
        }
        self.head = head
        // A footer at the start alone is not one at the end.
        let start = max(length - min(length, Self.window), head == nil ? 0 : size)
        let window = try store.bytes(at: HostOffset(start), count: Int(length - min(length, start)))
        tail = window.withBytes { Self.last(in: $0, from: start) }
        trailingByteCount = tail.map { length - min(length, $0.place.value + size) } ?? 0
    }

    /// The footer that stands last in `bytes`, which are the file's from `start` on.
    ///
    /// It stands in the last 512 bytes, or the last 511. Before these, only one whose checksum is right counts.
    private static func last(in bytes: RawSpan, from start: UInt64) -> Found? {
        var offset = bytes.byteCount - (Footer.byteCount - 1)
        while offset >= 0 {
            if let footer = Footer(decoding: bytes.extracting(offset..<min(offset + Footer.byteCount, bytes.byteCount)))
            {
                let isLast = bytes.byteCount - offset <= Footer.byteCount
                if isLast || footer.hasRightChecksum {
                    return Found(footer: footer, place: HostOffset(start + UInt64(offset)))
                }
            }
            offset -= 1
        }
        return nil
    }
}
