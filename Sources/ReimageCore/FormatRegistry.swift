/// The formats a program knows, in the order in which they are probed.
public struct FormatRegistry: Sendable {
    /// How many bytes of each end of a file a format may look at when it probes.
    public static let probeByteCount = 4096

    /// The formats.
    public let formats: [any ImageFormat]

    /// A registry of `formats`.
    public init(_ formats: [any ImageFormat]) { self.formats = formats }

    /// The same registry with `format` probed first; it replaces a format of the same name.
    public func adding(_ format: any ImageFormat) -> FormatRegistry {
        FormatRegistry([format] + formats.filter { $0.name != format.name })
    }

    /// The format called `name`, or known by that alias.
    /// - Throws: `.invalidArgument` that lists the names there are.
    public func format(named name: FormatName) throws(ImageError) -> any ImageFormat {
        if let found = formats.first(where: { $0.name == name || $0.aliases.contains(name) }) { return found }
        let known = formats.map(\.name.text).joined(separator: ", ")
        throw ImageError(.invalidArgument, "there is no format called '\(name)'", advice: "Known formats: \(known).")
    }

    /// The format called `name`, which has a writer.
    /// - Throws: `.unsupported` that lists the formats that have one.
    public func writableFormat(named name: FormatName) throws(ImageError) -> any ImageFormat {
        let format = try format(named: name)
        guard format.writerOptions == nil else { return format }
        let writable = formats.filter { $0.writerOptions != nil }.map(\.name.text)
        throw ImageError(
            .unsupported, "images of format \(format.name) can be read, not written",
            advice: "Formats that can be written: \(writable.joined(separator: ", ")).")
    }

    /// A format that was found out from bytes.
    public struct Recognition: Sendable {
        /// The format.
        public let format: any ImageFormat
        /// What the user should know of how sure that is.
        public let note: Note?
    }

    /// The format that recognises the bytes of `store`, or `nil`, which leaves only the guess that they are raw.
    public func probe(_ store: any ByteStore) throws(ImageError) -> Recognition? {
        let count = Int(min(store.byteCount, UInt64(Self.probeByteCount)))
        let head = try store.bytes(at: .zero, count: count)
        let tail = try store.bytes(at: HostOffset(store.byteCount - UInt64(count)), count: count)
        return head.withBytes { head in
            tail.withBytes { tail in probe(head: head, tail: tail, byteCount: store.byteCount) }
        }
    }

    /// The format that recognises these first and last bytes.
    public func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> Recognition? {
        var likely: Recognition?
        for format in formats {
            switch format.probe(head: head, tail: tail, byteCount: byteCount) {
            case .yes: return Recognition(format: format, note: nil)
            case .likely(let note): likely = likely ?? Recognition(format: format, note: note)
            case .no: break
            }
        }
        return likely
    }
}
