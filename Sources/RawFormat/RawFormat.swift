public import ReimageCore

/// The bytes of a disk as they are: no header, and the file's length is the disk's.
///
/// Raw is never recognised, because any bytes may be a raw disk; it is what a caller asks for or falls back to.
public struct RawFormat: ImageFormat {
    public let name = FormatName.raw
    public let summary = "the bytes of a disk as they are, holes kept"
    public let writerOptions: [WriterOption]? = [RawPreallocation.option]

    public init() {}

    public func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult { .no }

    /// Opens a store as a disk of exactly its length, or a stream as a disk of unknown length.
    /// - Throws: `.unsupported` where a snapshot is asked for.
    public func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
        try refuseSnapshot(context, in: source)
        return switch source.bytes {
        case .store(let store): RawImage(store)
        case .stream(let stream): OnceImage(format: name, stream: RawStream(stream), info: ImageInfo(virtualSize: nil))
        }
    }

    public func makeWriter(_ plan: WritePlan) throws(ImageError) -> any ImageWriter { try RawWriter(plan) }
}

extension ImageFormat {
    /// Refuses a context that asks for an internal snapshot.
    func refuseSnapshot(_ context: OpenContext, in source: ImageSource) throws(ImageError) {
        guard let snapshot = context.snapshot else { return }
        throw ImageError(
            .unsupported, "a \(name) image has no snapshots, and so none called '\(snapshot)'", file: source.name)
    }
}
