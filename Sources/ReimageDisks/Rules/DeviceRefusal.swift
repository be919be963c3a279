public import ReimageCore

/// Why a device must not be touched, and what to do about it.
public struct DeviceRefusal: Sendable, Hashable {
    /// The rule that forbids it.
    public enum Reason: String, Sendable, Hashable, CaseIterable {
        case notADevice = "not-a-device"
        case noMedium = "no-medium"
        case system = "system-disk"
        case mounted
        case swap
        case held
        case inUse = "in-use"
        case holdsFile = "holds-file"
        case readOnly = "read-only"
        case cannotBeWritten = "cannot-be-written"
        case partition
        case tooSmall = "too-small"
        case notConfirmed = "not-confirmed"
    }

    public var reason: Reason
    /// What is so, as a sentence without the device's name and without a full stop.
    public var message: String
    /// What to do next, as a sentence.
    public var advice: String

    public init(_ reason: Reason, _ message: String, advice: String) {
        self.reason = reason
        self.message = message
        self.advice = advice
    }
}

extension ImageError {
    /// The refusals for the device at `path` as one error, the first of them in front; there must be one.
    public init(_ refusals: [DeviceRefusal], path: String) {
        self.init(
            .refused, refusals.map(\.message).joined(separator: "; "), file: path,
            advice: refusals.map(\.advice).reduce(into: [String]()) { unique, advice in
                if !unique.contains(advice) { unique.append(advice) }
            }.joined(separator: " "))
    }
}
