/// How a run of guest bytes lies in its image, where it is one coded unit by itself.
public struct StoredForm: Hashable, Sendable {
    /// How the stored bytes are coded.
    public var codec: Codec
    /// The 32 bytes of the run's node in the tree of the content digest (RDD1), where the reader proved the run by it.
    public var node: [UInt8]?

    public init(codec: Codec, node: [UInt8]? = nil) {
        self.codec = codec
        self.node = node
    }
}

extension Codec {
    /// Bytes as they are, in an image that says of every unit how it is coded: there are no other stored bytes.
    public static let store = Codec("store")
}

extension DiskCursor {
    public func readStored(
        into buffer: inout MutableRawSpan, at offset: GuestOffset, stored: inout OutputRawSpan
    ) throws(ImageError) -> StoredForm? {
        try read(into: &buffer, at: offset)
        return nil
    }
}

extension ChunkEncoder {
    public func adopt(_ stored: RawSpan, _ form: StoredForm, of chunk: RawSpan) throws(ImageError) -> Encoding? { nil }
}
