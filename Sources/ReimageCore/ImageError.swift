/// The one error of the libraries: what happened, where, and what to do next.
public struct ImageError: Error, Sendable, Hashable {
    /// What kind of failure it is. The set is open: a plug-in may add codes of its own.
    public struct Code: RawRepresentable, Hashable, Sendable {
        public let rawValue: String
        public init(rawValue: String) { self.rawValue = rawValue }

        /// The source contradicts its format, or bytes that it must hold are missing.
        public static let damaged = Code(rawValue: "damaged")
        /// The source could not be opened or read.
        public static let unreadable = Code(rawValue: "unreadable")
        /// The target could not be made, written, or proved to be on the medium.
        public static let targetFailed = Code(rawValue: "target-failed")
        /// A safety rule forbids it.
        public static let refused = Code(rawValue: "refused")
        /// The format, or this version of it, cannot do what was asked.
        public static let unsupported = Code(rawValue: "unsupported")
        /// What the caller passed makes no sense.
        public static let invalidArgument = Code(rawValue: "invalid-argument")
        /// What was written does not read back as it was.
        public static let mismatch = Code(rawValue: "mismatch")
        /// The caller cancelled the work.
        public static let cancelled = Code(rawValue: "cancelled")
        /// The work ended early, by the caller's wish or by a failure, and can be taken up where it ended.
        public static let interrupted = Code(rawValue: "interrupted")
        /// The machine gave no thread, memory or other resource.
        public static let exhausted = Code(rawValue: "exhausted")
    }

    /// Where in a file or disk it happened.
    public enum Place: Hashable, Sendable {
        /// A byte of the stored file.
        case host(HostOffset)
        /// A byte of the guest's disk.
        case guest(GuestOffset)
    }

    /// The kind of failure.
    public var code: Code
    /// What happened, as a sentence without the file's name and without a full stop.
    public var message: String
    /// The file, device or stream it happened in.
    public var file: String?
    /// The place in it.
    public var place: Place?
    /// What to do next, as a sentence.
    public var advice: String?
    /// The system's error number, where a system call failed.
    public var systemCode: Int32?

    /// An error of `code` that says `message`.
    public init(
        _ code: Code, _ message: String, at place: Place? = nil, file: String? = nil, advice: String? = nil,
        systemCode: Int32? = nil
    ) {
        self.code = code
        self.message = message
        self.place = place
        self.file = file
        self.advice = advice
        self.systemCode = systemCode
    }

    /// The source contradicts its format at `offset`.
    public static func damaged(_ message: String, at offset: HostOffset? = nil, advice: String? = nil) -> ImageError {
        ImageError(.damaged, message, at: offset.map(Place.host), advice: advice)
    }

    /// The same error, with the file's name where none was given yet.
    public func inFile(_ name: String) -> ImageError {
        guard file == nil else { return self }
        var error = self
        error.file = name
        return error
    }

    /// The same error, with the place where none was given yet.
    public func at(_ place: Place) -> ImageError {
        guard self.place == nil else { return self }
        var error = self
        error.place = place
        return error
    }
}

extension ImageError: CustomStringConvertible {
    /// The error as one line, or two where there is advice; control characters are shown escaped.
    public var description: String {
        var line = ""
        if let file { line += "\(file): " }
        line += message
        switch place {
        case .host(let offset):
            line += " (at byte \(offset) of the \(file?.hasPrefix("/dev/") == true ? "device" : "file"))"
        case .guest(let offset): line += " (at byte \(offset) of the disk)"
        case nil: break
        }
        guard let advice else { return line.printable }
        return "\(line.printable)\n\(advice.printable)"
    }
}

extension String {
    /// The text with control characters written as escapes, safe to print on a terminal.
    ///
    /// Names inside an image belong to whoever made it; they must not be able to move the cursor.
    public var printable: String {
        guard unicodeScalars.contains(where: \.isControl) else { return self }
        return unicodeScalars.reduce(into: "") { text, scalar in
            if scalar.isControl { text += scalar.escaped(asASCII: true) } else { text.unicodeScalars.append(scalar) }
        }
    }
}

extension Unicode.Scalar {
    fileprivate var isControl: Bool {
        properties.generalCategory == .control || properties.generalCategory == .format
            || properties.generalCategory == .lineSeparator || properties.generalCategory == .paragraphSeparator
    }
}

extension Result where Failure == ImageError {
    /// What `body` gives or throws.
    @inlinable
    public init(_ body: () throws(ImageError) -> Success) {
        do { self = .success(try body()) } catch { self = .failure(error) }
    }
}
