internal import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The two streams a person or script sees: results on standard output, everything else on standard error.
enum Console {
    /// Prints one line of a result.
    static func result(_ line: String) { write(line + "\n", to: 1) }

    /// Prints one line for the person.
    static func message(_ line: String) { write(line + "\n", to: 2) }

    /// Prints an error, in colour on a terminal.
    static func error(_ error: ImageError) { message("\(label("error", "31")) \(error)") }

    /// Prints something the user should know.
    static func note(_ note: Note) { message("\(label("note", "33")) \(note.text.printable)") }

    /// Whether a person looks at standard error.
    static let isTerminal = isatty(2) == 1

    private static let usesColour: Bool = {
        guard isTerminal else { return false }
        if let value = unsafe getenv("NO_COLOR"), unsafe value.pointee != 0 { return false }
        if let term = unsafe getenv("TERM"), unsafe String(cString: term) == "dumb" { return false }
        return true
    }()

    private static func label(_ word: String, _ colour: String) -> String {
        usesColour ? "\u{1b}[\(colour)mreimage: \(word):\u{1b}[0m" : "reimage: \(word):"
    }

    /// Writes all of `text`; a reader that went away ends the process quietly, as it does for other tools.
    static func write(_ text: String, to descriptor: Int32) {
        var bytes = ArraySlice(text.utf8)
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { unsafe systemWrite(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else {
                if descriptor == 1 { exitProcess(ExitStatus.targetFailed.rawValue) }
                return
            }
            bytes.removeFirst(count)
        }
    }
}

private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer?, _ count: Int) -> Int {
    guard let bytes = unsafe bytes else { return 0 }
    return unsafe write(descriptor, bytes, count)
}

/// Ends the process with `status`.
func exitProcess(_ status: Int32) -> Never { exit(status) }
