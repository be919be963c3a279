public import ReimageCore
internal import ReimageSystem
internal import Synchronization

/// How a job runs, whatever it does.
public struct JobOptions: Sendable {
    /// How many threads work; at least 1.
    public var threadCount: Int
    /// Counts what is done.
    public var progress: Progress
    /// Ends the job early.
    public var cancellation: Cancellation
    /// The most guest data to deal with in a second, in bytes; `nil` is without limit.
    public var bytesPerSecond: UInt64?
    /// The memory that the job may take, in bytes, as far as fewer threads save any; `nil` asks the system.
    public var availableByteCount: UInt64?

    /// - Parameter threadCount: two a processor where not given, since half of them wait for the disk.
    public init(
        threadCount: Int? = nil, progress: Progress = Progress(), cancellation: Cancellation = Cancellation(),
        bytesPerSecond: UInt64? = nil
    ) {
        self.threadCount = max(1, threadCount ?? max(4, 2 * processorCount()))
        self.progress = progress
        self.cancellation = cancellation
        self.bytesPerSecond = bytesPerSecond
    }
}

/// Keeps many workers together below a rate.
final class Pace: Sendable {
    private let bytesPerSecond: UInt64
    private let next: Mutex<ContinuousClock.Instant>

    /// A pace, or `nil` where there is no limit.
    init?(_ bytesPerSecond: UInt64?) {
        guard let bytesPerSecond, bytesPerSecond > 0 else { return nil }
        self.bytesPerSecond = bytesPerSecond
        next = Mutex(.now)
    }

    /// Waits until `count` more bytes may be dealt with.
    func wait(for count: UInt64, _ cancellation: Cancellation) throws(ImageError) {
        let due = next.withLock { next in
            let start = max(next, .now)
            next = start + .seconds(Double(count) / Double(bytesPerSecond))
            return start
        }
        while ContinuousClock.now < due {
            try cancellation.check()
            pauseThread(
                milliseconds: UInt32(clamping: max(1, min(100, ContinuousClock.now.duration(to: due).milliseconds))))
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
