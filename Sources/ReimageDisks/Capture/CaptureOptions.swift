/// How a device is read that may have sectors it cannot give.
public struct CaptureOptions: Sendable, Hashable {
    /// What is done about a sector that cannot be read, however often it was tried.
    public enum OnReadError: String, Sendable, Hashable, CaseIterable {
        /// The capture fails: whether a copy with gaps is of use is not for a program to decide.
        case stop
        /// Zeros stand in its place, and it is reported.
        case zero
    }

    public var onReadError: OnReadError
    /// How often a sector is tried again after it could not be read.
    public var retries: Int

    public init(onReadError: OnReadError = .stop, retries: Int = 3) {
        self.onReadError = onReadError
        self.retries = retries
    }
}
