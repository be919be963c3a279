internal import ReimageCore

/// What the process tells its caller; the numbers are a promise.
struct ExitStatus: RawRepresentable, Equatable, Sendable {
    let rawValue: Int32

    static let failure = ExitStatus(rawValue: 1)
    static let couldNotCompare = ExitStatus(rawValue: 2)
    static let corrupt = ExitStatus(rawValue: 2)
    static let leaks = ExitStatus(rawValue: 3)
    static let refused = ExitStatus(rawValue: 3)
    static let sourceFailed = ExitStatus(rawValue: 4)
    static let targetFailed = ExitStatus(rawValue: 5)
    static let mismatch = ExitStatus(rawValue: 6)
    static let interrupted = ExitStatus(rawValue: 7)
    static let unsupported = ExitStatus(rawValue: 63)
    static let usage = ExitStatus(rawValue: 64)

    init(rawValue: Int32) { self.rawValue = rawValue }

    /// The status for an error of the library.
    init(_ code: ImageError.Code) {
        self =
            switch code {
            case .damaged, .unreadable: .sourceFailed
            case .refused: .refused
            case .targetFailed: .targetFailed
            case .mismatch: .mismatch
            case .interrupted: .interrupted
            case .unsupported: .unsupported
            case .invalidArgument: .usage
            default: .failure
            }
    }
}
