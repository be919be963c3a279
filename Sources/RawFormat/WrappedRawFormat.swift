public import ReimageCodecs
public import ReimageCore

/// A raw disk in a compressed wrapper: `disk.raw.gz`, `disk.img.xz`, `disk.img.zst`. Read only, front to back.
///
/// Nothing is unpacked to scratch space. What the wrapper holds must be raw: any other format needs random access, so
/// a file of one is refused with the advice to unpack it.
public struct WrappedRawFormat: ImageFormat {
    /// The wrapper.
    public let wrapper: Wrapper
    private let innerProbe: @Sendable (RawSpan) -> FormatName?

    /// The raw format in `wrapper`.
    ///
    /// - Parameter innerProbe: the format of unwrapped bytes, told by up to ``FormatRegistry/probeByteCount`` of them;
    ///   `nil` where they are nothing but raw. Formats do not know each other, so the registry's owner supplies it.
    public init(_ wrapper: Wrapper, innerProbe: @escaping @Sendable (RawSpan) -> FormatName?) {
        self.wrapper = wrapper
        self.innerProbe = innerProbe
    }

    /// The raw format in every wrapper there is.
    public static func all(innerProbe: @escaping @Sendable (RawSpan) -> FormatName?) -> [WrappedRawFormat] {
        Wrapper.allCases.map { WrappedRawFormat($0, innerProbe: innerProbe) }
    }

    private var suffix: String {
        switch wrapper {
        case .gzip: "gz"
        case .xz: "xz"
        case .zstd: "zst"
        }
    }

    public var name: FormatName { FormatName("raw.\(suffix)") }
    public var aliases: [FormatName] { [FormatName("img.\(suffix)")] }
    public var summary: String { "a raw disk compressed by \(wrapper.rawValue), read front to back" }

    public func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult {
        Wrapper.detect(head) == wrapper ? .yes : .no
    }

    /// Opens the disk and decodes its first bytes, to see that they are raw.
    ///
    /// The content of a store can be asked for again and starts anew each time; that of a stream only once.
    /// - Throws: `.unsupported` where the bytes are of another format, a snapshot is asked for, or the decoder needs
    ///   more memory than the context allows; `.damaged` where the first bytes do not decode.
    public func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
        try refuseSnapshot(context, in: source)
        switch source.bytes {
        case .store(let store):
            let image = WrappedStoreImage(
                format: name, wrapper: wrapper, store: store, memoryLimit: context.decoderMemoryLimit,
                byteCount: try wrapper.decodedByteCount(of: store, memoryLimit: context.decoderMemoryLimit))
            try checkContent(of: try image.unwrapped())
            return image
        case .stream(let stream):
            let decoder = try wrapper.makeDecoder(stream, memoryLimit: context.decoderMemoryLimit)
            let peeked = try checkContent(of: decoder)
            return OnceImage(
                format: name, stream: WrappedDiskStream(peeked, byteCount: nil),
                info: wrapper.describe(byteCount: nil))
        }
    }

    @discardableResult
    private func checkContent(of stream: any ByteStream) throws(ImageError) -> PeekedStream {
        let peeked = try PeekedStream(stream)
        if let inner = peeked.head.withBytes({ innerProbe($0) }) {
            throw ImageError(
                .unsupported, "the \(wrapper.rawValue) file holds a \(inner) image, which cannot be read front to back",
                file: stream.name, advice: "Unpack it first, for instance: \(wrapper.rawValue) -dc FILE > DISK.\(inner)"
            )
        }
        return peeked
    }
}

extension Wrapper {
    fileprivate func describe(byteCount: UInt64?) -> ImageInfo {
        ImageInfo(
            virtualSize: byteCount, specific: [InfoField("compression-type", .text(rawValue))],
            remarks: byteCount == nil ? ["The size of the disk is not known before all of it is decoded."] : [])
    }
}

/// An open wrapped disk in a store.
private struct WrappedStoreImage: DiskImage {
    let format: FormatName
    let wrapper: Wrapper
    let store: any ByteStore
    let memoryLimit: UInt64
    let byteCount: UInt64?

    func unwrapped() throws(ImageError) -> any ByteStream {
        try wrapper.makeDecoder(StoreStream(store), memoryLimit: memoryLimit)
    }

    func content() throws(ImageError) -> DiskContent {
        .stream(WrappedDiskStream(try unwrapped(), byteCount: byteCount))
    }

    func info() throws(ImageError) -> ImageInfo { wrapper.describe(byteCount: byteCount) }
}
