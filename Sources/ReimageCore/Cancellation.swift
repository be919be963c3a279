internal import Synchronization

/// Tells running work to stop; set once, from any thread or signal-handling thread.
public final class Cancellation: Sendable {
    private let flag = Atomic<Bool>(false)

    public init() {}

    /// Asks the work to stop.
    public func cancel() { flag.store(true, ordering: .relaxed) }

    /// Whether the work was asked to stop.
    public var isCancelled: Bool { flag.load(ordering: .relaxed) }

    /// Returns while the work may go on.
    /// - Throws: `.cancelled`.
    public func check() throws(ImageError) {
        if isCancelled { throw ImageError(.cancelled, "interrupted") }
    }
}
