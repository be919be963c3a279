public import ReimageCore
public import ReimageSystem

/// An image that was opened by its name.
public struct OpenedImage: Sendable {
    /// The image.
    public let image: any DiskImage
    /// The stored bytes, with the path as it was given.
    public let source: ImageSource
    /// Whether the format was named by the caller or found in the bytes; not where it is only a guess.
    public let formatIsKnown: Bool

    /// The disk, for what needs to read at any offset.
    /// - Throws: `.unsupported` for a stream, and what the image throws.
    public func disk(for purpose: String) throws(ImageError) -> any BlockDevice {
        let content: DiskContent
        do throws(ImageError) { content = try image.content() } catch { throw error.inFile(source.name) }
        guard case .random(let disk) = content else {
            throw ImageError(
                .unsupported, "\(purpose) needs to read at any place, and a \(image.format) image only comes in order",
                file: source.name, advice: "Convert it to a file first: reimage convert \(source.name) disk.raw")
        }
        return disk
    }
}

/// Opens images by path, with everything that they refer to.
public struct ImageOpener: Sendable {
    /// The formats to choose from.
    public var registry: FormatRegistry
    /// What images may refer to.
    public var references: ReferencePolicy
    /// How files are read.
    public var cache: CachePolicy
    /// The most memory that one decoder may take, in bytes.
    public var decoderMemoryLimit: UInt64
    /// Ends waiting for a silent pipe.
    public var cancellation: Cancellation
    /// Takes what the user should know.
    public var note: @Sendable (Note) -> Void
    /// How formats are to read what can be read in more than one way, by option (see ``OpenContext/options``).
    public var options: [String: String] = [:]
    /// Whether what is left of damaged images is to be read (see ``OpenContext/readsPartially``).
    public var readsPartially = false
    /// Directories where a file that an image refers to is looked for too, by the last part of its name; like the
    /// image's own directory, they may be referred to.
    public var parentDirectories: [String] = []
    /// Files to open in place of others that images refer to, by their real paths: those that do not have their names yet.
    var substitutes: [String: String] = [:]

    /// The name that stands for standard input.
    public static let standardInput = "-"

    public init(
        registry: FormatRegistry = .standard, references: ReferencePolicy = ReferencePolicy(),
        cache: CachePolicy = .cached, decoderMemoryLimit: UInt64 = 128 << 20,
        cancellation: Cancellation = Cancellation(), note: @escaping @Sendable (Note) -> Void = { _ in }
    ) {
        self.registry = registry
        self.references = references
        self.cache = cache
        self.decoderMemoryLimit = decoderMemoryLimit
        self.cancellation = cancellation
        self.note = note
    }

    /// Opens the image at `path`.
    ///
    /// - Parameters:
    ///   - path: a file, a block device, a pipe, or `-` for standard input.
    ///   - format: the format; `nil` looks for one, and takes the bytes as raw where there is none.
    ///   - snapshot: the internal snapshot to show instead of the active state.
    ///   - opensReferences: whether files that the image refers to are opened too.
    /// - Throws: errors that name the file.
    public func open(
        _ path: String, format: FormatName? = nil, snapshot: String? = nil, opensReferences: Bool = true
    ) throws(ImageError) -> OpenedImage {
        let source = try openSource(path)
        return try open(
            source, format: format, context(for: source, snapshot: snapshot, opensReferences: opensReferences))
    }

    func open(
        _ source: ImageSource, format name: FormatName?, _ context: OpenContext
    ) throws(ImageError) -> OpenedImage {
        do throws(ImageError) {
            let (format, isKnown) = try format(of: source, named: name)
            guard !context.readsPartially || format.readsPartially else {
                throw ImageError(
                    .unsupported,
                    "--partial: an image of format \(format.name) does not tell which parts of it are whole",
                    advice: "Leave it away; or pass -f rimg if this is a damaged archive.")
            }
            return OpenedImage(image: try format.open(source, context), source: source, formatIsKnown: isKnown)
        } catch {
            throw error.inFile(source.name)
        }
    }

    /// Opens what is stored at `path` and finds its format, without opening it as an image: what checking needs.
    /// - Throws: errors that name the file.
    public func openUnread(
        _ path: String, format: FormatName? = nil
    ) throws(ImageError) -> (format: any ImageFormat, source: ImageSource, context: OpenContext) {
        let source = try openSource(path)
        do throws(ImageError) {
            let (found, _) = try self.format(of: source, named: format)
            return (found, source, context(for: source))
        } catch {
            throw error.inFile(source.name)
        }
    }

    /// What a format needs to open the image at the top of a chain.
    func context(for source: ImageSource, snapshot: String? = nil, opensReferences: Bool = true) -> OpenContext {
        var chain: [StoreIdentity] = []
        if case .store(let store) = source.bytes, let identity = store.identity { chain = [identity] }
        var context = OpenContext(
            references: FileReferenceResolver(opener: self, chain: chain, imageWasProbed: false), snapshot: snapshot,
            options: options, opensReferences: opensReferences, decoderMemoryLimit: decoderMemoryLimit,
            cancellation: cancellation,
            note: note)
        context.readsPartially = readsPartially
        return context
    }

    /// The format called `name`, else the one that the bytes show, else raw, which is only a guess.
    func format(
        of source: ImageSource, named name: FormatName?
    ) throws(ImageError) -> (format: any ImageFormat, isKnown: Bool) {
        if let name { return (try registry.format(named: name), true) }
        if let found = try probe(source) {
            if let remark = found.note { note(Note("\(source.name): \(remark.text)")) }
            return (found.format, true)
        }
        note(
            Note(
                "\(source.name): no known format was found, so its bytes are taken as a raw disk; "
                    + "pass -f raw to say so."))
        return (try registry.format(named: .raw), false)
    }

    private func openSource(_ path: String) throws(ImageError) -> ImageSource {
        if path == Self.standardInput {
            return ImageSource(stream: try PeekedStream(PipeSource.standardInput(cancellation: cancellation)))
        }
        switch try openFile(path: path, cache: cache, cancellation: cancellation) {
        case .store(let store): return ImageSource(store: store, path: path)
        case .stream(let stream): return ImageSource(stream: try PeekedStream(stream))
        }
    }

    private func probe(_ source: ImageSource) throws(ImageError) -> FormatRegistry.Recognition? {
        switch source.bytes {
        case .store(let store): return try registry.probe(store)
        case .stream(let stream):
            guard let peeked = stream as? PeekedStream else { return nil }
            return peeked.head.withBytes { head in
                registry.probe(head: head, tail: head.extracting(0..<0), byteCount: nil)
            }
        }
    }
}
