/// A format's name as it is typed: lower case, for instance `qcow2`.
public struct FormatName: Hashable, Sendable, CustomStringConvertible, ExpressibleByStringLiteral {
    /// The name.
    public let text: String

    public init(_ text: String) { self.text = text.lowercased() }
    public init(stringLiteral text: String) { self.init(text) }

    public var description: String { text }

    /// The bytes of a disk as they are, without a header.
    public static let raw: FormatName = "raw"
}

/// What a look at the first and last bytes of a file tells.
public enum ProbeResult: Hashable, Sendable {
    /// Not this format.
    case no
    /// This format.
    case yes
    /// This format by a sign that a guest could have written at the end of a raw disk; the note says what was assumed,
    /// and how to say otherwise. Any other format's `yes` counts more.
    case likely(Note)
}

/// What a format opens: a file, device or stream.
public struct ImageSource: Sendable {
    /// How the stored bytes can be reached.
    public enum Bytes: Sendable {
        /// At any offset.
        case store(any ByteStore)
        /// Front to back.
        case stream(any ByteStream)
    }

    /// The stored bytes.
    public let bytes: Bytes
    /// The path that relative references start from; `nil` for memory and pipes.
    public let path: String?

    /// A source that can be read at any offset.
    public init(store: any ByteStore, path: String? = nil) {
        bytes = .store(store)
        self.path = path
    }

    /// A source that comes front to back.
    public init(stream: any ByteStream) {
        bytes = .stream(stream)
        path = nil
    }

    /// The name to show.
    public var name: String {
        switch bytes {
        case .store(let store): store.name
        case .stream(let stream): stream.name
        }
    }

    /// The store, for a format that reads at any offset.
    /// - Throws: `.unsupported` for a stream.
    public func randomAccess(for format: FormatName) throws(ImageError) -> any ByteStore {
        guard case .store(let store) = bytes else {
            throw ImageError(
                .unsupported, "a \(format) image cannot be read from a pipe", file: name,
                advice: "Save it to a file first.")
        }
        return store
    }
}

/// Opens what an image refers to, under the caller's policy.
public protocol ReferenceResolver: Sendable {
    /// Opens the first file that `reference` may mean whose image `accept` takes.
    ///
    /// - Parameter accept: throws where the image is not the one that is meant.
    /// - Throws: `.unreadable` where no such file is there; else why the first of them was not taken.
    func openImage(
        _ reference: Reference, of source: ImageSource, accept: (any DiskImage) throws(ImageError) -> Void
    ) throws(ImageError) -> any DiskImage

    /// Opens the image below `source`, for instance its backing file.
    /// - Throws: `.refused` where the policy forbids it; `.unreadable` where it is not there.
    func openImage(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any DiskImage

    /// Opens a file of plain bytes that belongs to `source`, for instance its data file.
    func openStore(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any ByteStore

    /// Opens a file of plain bytes that belongs to `source`, to be changed in place.
    func openForUpdate(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any UpdatableStore
}

extension ReferenceResolver {
    public func openImage(
        _ reference: Reference, of source: ImageSource, accept: (any DiskImage) throws(ImageError) -> Void
    ) throws(ImageError) -> any DiskImage {
        let image = try openImage(reference, of: source)
        try accept(image)
        return image
    }

    public func openForUpdate(
        _ reference: Reference, of source: ImageSource
    ) throws(ImageError) -> any UpdatableStore {
        throw ImageError(
            .unsupported, "its \(reference.role) '\(reference.name)' cannot be changed in place", file: source.name)
    }
}

/// A name inside an image that points to another file.
public struct Reference: Hashable, Sendable {
    /// What the file is to the image, in the field's words: `backing file`, `data file`.
    public var role: String
    /// The name as stored; untrusted.
    public var name: String
    /// The format as stored, where it is.
    public var format: FormatName?
    /// Other names that the image has for the same file, in the order in which they are to be tried.
    public var otherNames: [String]

    public init(role: String, name: String, format: FormatName? = nil, otherNames: [String] = []) {
        self.role = role
        self.name = name
        self.format = format
        self.otherNames = otherNames
    }
}

/// Something the user should know though the work goes on.
public struct Note: Hashable, Sendable {
    /// The sentence.
    public var text: String
    public init(_ text: String) { self.text = text }
}

/// What a format needs besides the bytes.
public struct OpenContext: Sendable {
    /// Opens references; `nil` refuses them all.
    public var references: (any ReferenceResolver)?
    /// The internal snapshot to show instead of the active state, by name or id.
    public var snapshot: String?
    /// How formats are to read what can be read in more than one way, by option; a format looks at those it knows.
    public var options: [String: String]
    /// Whether references are opened at all; without, only what the file itself says can be asked for.
    public var opensReferences: Bool
    /// Whether what is left of a damaged image is to be given, in a format that can tell what that is; the rest is
    /// unreadable.
    public var readsPartially = false
    /// The most memory that one decoder may take, in bytes.
    public var decoderMemoryLimit: UInt64
    /// Ends work that goes over a whole image; what is changed in place is then as after an interruption.
    public var cancellation: Cancellation
    /// Takes what the user should know.
    public var note: @Sendable (Note) -> Void

    public init(
        references: (any ReferenceResolver)? = nil, snapshot: String? = nil, options: [String: String] = [:],
        opensReferences: Bool = true,
        decoderMemoryLimit: UInt64 = 128 << 20, cancellation: Cancellation = Cancellation(),
        note: @escaping @Sendable (Note) -> Void = { _ in }
    ) {
        self.references = references
        self.snapshot = snapshot
        self.options = options
        self.opensReferences = opensReferences
        self.decoderMemoryLimit = decoderMemoryLimit
        self.cancellation = cancellation
        self.note = note
    }
}

/// An open image.
public protocol DiskImage: Sendable {
    /// The format it was opened as.
    var format: FormatName { get }
    /// The disk.
    /// - Throws: what keeps the disk from being read although the image could be opened to be described.
    func content() throws(ImageError) -> DiskContent
    /// What the image says of itself.
    func info() throws(ImageError) -> ImageInfo
    /// Whether its disk is known to be only what was left of one: its digest is then no disk's. Where damage shows
    /// only as the disk is read, this is the answer once all of it was.
    var isPartial: Bool { get }
}

extension DiskImage {
    public var isPartial: Bool { false }
}

/// A format plug-in: probes, opens, and makes writers.
public protocol ImageFormat: Sendable {
    /// The name.
    var name: FormatName { get }
    /// Other names for the same format.
    var aliases: [FormatName] { get }
    /// One line for the list of formats.
    var summary: String { get }
    /// Whether it knows what ``OpenContext/readsPartially`` asks for.
    var readsPartially: Bool { get }
    /// Whether ``verify(_:_:_:report:)`` proves the disk by what the image itself holds.
    var provesItself: Bool { get }
    /// The options a writer takes; `nil` where the format cannot be written.
    var writerOptions: [WriterOption]? { get }

    /// Whether a file with these bytes at its ends is of this format.
    ///
    /// `head` and `tail` are up to ``FormatRegistry/probeByteCount`` bytes; `byteCount` is `nil` for a stream, which
    /// has no `tail`.
    func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult

    /// Opens an image; reads no more than its header and what that needs to be understood.
    func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage

    /// A writer for one disk.
    /// - Throws: `.unsupported` where the format cannot be written, `.invalidArgument` for options it does not take.
    func makeWriter(_ plan: WritePlan) throws(ImageError) -> any ImageWriter

    /// Takes up an image whose making was interrupted, from what is left of it.
    ///
    /// - Parameter plan: as for the writer that began it.
    /// - Returns: `nil` where nothing of `partial` is of use.
    /// - Throws: `.unsupported` where images of the format are not gone on with; `.refused`, with what differs, where
    ///   another plan began it; `.unreadable`, `.cancelled`.
    func resume(
        _ partial: any ByteStore, _ plan: WritePlan, cancellation: Cancellation
    ) throws(ImageError) -> ResumePoint?

    /// Checks the image's structures against each other, and hands every finding to `report`.
    /// - Throws: `.unsupported` where the format has nothing to check; what keeps the image from being opened.
    func check(
        _ source: ImageSource, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary

    /// Checks the image and puts right what `level` allows; the summary tells what is left.
    func repair(
        _ target: UpdateTarget, _ level: RepairLevel, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary

    /// Reads the whole image, as deeply as `request` says, and hands every finding to `report`.
    /// - Throws: `.unsupported` where the format has nothing of its own to prove bytes by; what keeps the image from being
    ///   understood at all.
    func verify(
        _ source: ImageSource, _ request: VerifyRequest, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> VerifySummary

    /// Makes a damaged image anew in another file, from all that is left of it.
    /// - Throws: `.unsupported` where images of the format are repaired in place, or not at all.
    func rebuild(
        _ source: ImageSource, _ request: RebuildRequest, _ context: OpenContext
    ) throws(ImageError) -> RebuildSummary

    /// Judges the image by the rules of somebody who takes such images, for instance a cloud.
    /// - Throws: `.unsupported` where the format has no rules called `profile`; what keeps the image from being opened.
    func check(
        _ source: ImageSource, forProfile profile: String, _ context: OpenContext
    ) throws(ImageError) -> [ProfileRule]

    /// Changes the length of the image's disk in place.
    func resize(_ target: UpdateTarget, _ request: ResizeRequest, _ context: OpenContext) throws(ImageError)

    /// Opens the image's disk to be written in place.
    func openForWriting(_ target: UpdateTarget, _ context: OpenContext) throws(ImageError) -> any WritableDisk
}

extension ImageFormat {
    public var aliases: [FormatName] { [] }
    public var readsPartially: Bool { false }
    public var provesItself: Bool { false }
    public var writerOptions: [WriterOption]? { nil }

    public func check(
        _ source: ImageSource, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary {
        throw ImageError(.unsupported, "images of format \(name) have no structures to check", file: source.name)
    }

    public func verify(
        _ source: ImageSource, _ request: VerifyRequest, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> VerifySummary {
        throw ImageError(.unsupported, "images of format \(name) have no proof of their own", file: source.name)
    }

    public func rebuild(
        _ source: ImageSource, _ request: RebuildRequest, _ context: OpenContext
    ) throws(ImageError) -> RebuildSummary {
        throw ImageError(
            .unsupported, "an image of format \(name) is not made anew by a repair", file: source.name,
            advice: "Repair it in place: reimage check -r all.")
    }

    public func check(
        _ source: ImageSource, forProfile profile: String, _ context: OpenContext
    ) throws(ImageError) -> [ProfileRule] {
        throw ImageError(
            .unsupported, "there are no rules called '\(profile)' for images of format \(name)", file: source.name)
    }

    public func repair(
        _ target: UpdateTarget, _ level: RepairLevel, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary {
        throw ImageError(.unsupported, "images of format \(name) cannot be repaired", file: target.store.name)
    }

    public func resize(_ target: UpdateTarget, _ request: ResizeRequest, _ context: OpenContext) throws(ImageError) {
        throw ImageError(.unsupported, "disks of format \(name) cannot change their length", file: target.store.name)
    }

    public func openForWriting(
        _ target: UpdateTarget, _ context: OpenContext
    ) throws(ImageError) -> any WritableDisk {
        throw ImageError(.unsupported, "images of format \(name) cannot be written in place", file: target.store.name)
    }

    public func resume(
        _ partial: any ByteStore, _ plan: WritePlan, cancellation: Cancellation
    ) throws(ImageError) -> ResumePoint? {
        throw ImageError(
            .unsupported, "the making of a \(name) image cannot be gone on with",
            advice: "Leave --resume away to start anew; rimg archives can be gone on with.")
    }

    public func makeWriter(_ plan: WritePlan) throws(ImageError) -> any ImageWriter {
        throw ImageError(.unsupported, "images of format \(name) cannot be written")
    }
}
