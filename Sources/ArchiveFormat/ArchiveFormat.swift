public import ReimageCodecs
public import ReimageCore

/// The archive of this program: compressed, deduplicated chunks of a disk, each with its own place and proof, and the
/// disk's digest.
///
/// Archives are read by the index at their end or, from a pipe, front to back. The article *The rimg archive format* in this module's documentation
/// specifies the bytes.
public struct ArchiveFormat: ImageFormat {
    static let formatName: FormatName = "rimg"

    public let name = Self.formatName
    public let summary = "archive of a whole disk: compressed, checked and quick to read at any place"

    public var readsPartially: Bool { true }
    public var provesItself: Bool { true }
    public var writerOptions: [WriterOption]? { WriterSettings.options }

    public init() {}

    public func makeWriter(_ plan: WritePlan) throws(ImageError) -> any ImageWriter { try ArchiveWriter(plan) }

    /// The magic decides. An archive whose start is damaged is found by its tail, which a guest could have written too.
    public func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult {
        if FileHeader.isOne(head) { return .yes }
        guard let byteCount, tail.byteCount >= Tail.byteCount else { return .no }
        let place = HostOffset(byteCount - UInt64(Tail.byteCount))
        let last = tail.extracting(tail.byteCount - Tail.byteCount..<tail.byteCount)
        guard (try? Tail(decoding: last, at: place)) != nil else { return .no }
        return .likely(Note("it ends as an archive whose start is damaged; pass -f raw if it is a raw disk"))
    }

    /// Opens an archive: reads its first 4 KiB and its last 64 KiB, and more only where its index is longer.
    ///
    /// An archive without a valid end can be described, not read; unless what is left of it is asked for. One that comes
    /// through a pipe is read once.
    /// - Throws: `.damaged` with the place; `.unsupported`, by name, for what version 1.0 does not have.
    public func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
        do {
            if context.readsPartially { return try RecoveredImage(source, context) }
            switch source.bytes {
            case .store: return try ArchiveImage(source, note: context.note)
            case .stream(let stream): return try ArchiveStreamImage(stream, note: context.note)
            }
        } catch {
            throw error.inFile(source.name)
        }
    }

    /// The content digest of an archive's disk by its index alone: what the archive claims, which only reading every
    /// chunk proves.
    /// - Throws: `.damaged` where the index is missing or wrong, or the archive is the rest of a damaged one, whose
    ///   digest is not that of a disk; `.unsupported` as ``open(_:_:)``.
    public static func indexDigest(of source: ImageSource) throws(ImageError) -> ContentDigest {
        do throws(ImageError) {
            let store = try source.randomAccess(for: formatName)
            let index = try ArchiveIndex(store, header: try ArchiveImage.header(store))
            guard index.footer.flags.contains(.complete) else {
                throw ImageError.damaged("the archive was repaired: its digest is that of what was found")
            }
            return index.digest
        } catch {
            throw error.inFile(source.name)
        }
    }
}
