public import ReimageCore

/// A compression that is put around a whole file: what `gzip`, `xz` and `zstd` write.
public enum Wrapper: String, CaseIterable, Sendable {
    case gzip
    case xz
    case zstd

    /// The wrapper whose signature `head` starts with.
    ///
    /// A zstd file that begins with a skippable frame has no signature of its own and is not recognised unless a data
    /// frame follows within `head`.
    public static func detect(_ head: RawSpan) -> Wrapper? {
        allCases.first { $0.matches(head) }
    }

    private func matches(_ head: RawSpan) -> Bool {
        switch self {
        // RFC 1952, section 2.3: a header of ten bytes, the magic number, deflate, the only method there is, and the
        // reserved flags clear.
        case .gzip: head.byteCount >= 10 && head.starts(with: [0x1F, 0x8B, 0x08]) && head.reservedGzipFlags == 0
        // The .xz file format, section 2.1.1.1.
        case .xz: head.starts(with: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00])
        case .zstd: Self.holdsZstdFrame(head)
        }
    }

    private static func holdsZstdFrame(_ head: RawSpan) -> Bool {
        var offset = 0
        while offset < head.byteCount {
            let rest = head.extracting(offset..<head.byteCount)
            if ZstdFrameHeader.isDataFrame(rest) { return true }
            guard let header = try? ZstdFrameHeader(decoding: rest), let size = header.contentSize else { return false }
            offset += header.byteCount + Int(size)
        }
        return false
    }

    /// A stream of what `source` decodes to, to the very end of its last member, stream or frame.
    ///
    /// Holds one input buffer and the decoder's own memory, which stays below `memoryLimit` bytes. Reading it throws
    /// `.damaged` with the place in the compressed bytes where they are invalid or cut short, and where anything but the
    /// padding that the format allows follows the end; `.unsupported` where decoding needs more than `memoryLimit`.
    /// After an error every further read throws it again.
    /// - Throws: `.exhausted` where there is no memory for the decoder.
    public func makeDecoder(_ source: any ByteStream, memoryLimit: UInt64) throws(ImageError) -> any ByteStream {
        let engine: any WrapperEngine =
            switch self {
            case .gzip: try GzipEngine()
            case .xz: try XZEngine(memoryLimit: memoryLimit)
            case .zstd: try ZstdEngine(memoryLimit: memoryLimit)
            }
        return WrapperStream(source, engine: engine)
    }
}

extension RawSpan {
    fileprivate var reservedGzipFlags: UInt8? { (try? little(UInt8.self, at: 3)).map { $0 & 0xE0 } }

    fileprivate func starts(with signature: [UInt8]) -> Bool {
        guard byteCount >= signature.count, let start = try? bytes(0..<signature.count) else { return false }
        return start == signature
    }
}
