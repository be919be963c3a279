public import ReimageCore
internal import Synchronization

/// How far a copy came that can be taken up later.
public final class Checkpoints: Sendable {
    private let position: Mutex<GuestOffset>

    /// - Parameter start: what a copy that goes on has behind it.
    public init(_ start: GuestOffset = .zero) { position = Mutex(start) }

    /// The guest's bytes before this are written behind a checkpoint; zero where there was none.
    public var last: GuestOffset { position.withLock { $0 } }

    func note(_ offset: GuestOffset) { position.withLock { $0 = max($0, offset) } }
}

/// Decides when a checkpoint is brought to the medium: after a minute, or 64 GiB.
struct CheckpointPace {
    private static let longest = Duration.seconds(60)
    private static let mostBytes: UInt64 = 64 << 30

    private var lastTime = ContinuousClock.now
    private var lastPlace = HostOffset.zero

    /// Whether the checkpoint that ends at `place` of the image is to be synced; if so, the next one waits again.
    mutating func isDue(at place: HostOffset) -> Bool {
        let now = ContinuousClock.now
        guard now - lastTime >= Self.longest || place.value >= lastPlace.value + Self.mostBytes else { return false }
        lastTime = now
        lastPlace = place
        return true
    }
}
