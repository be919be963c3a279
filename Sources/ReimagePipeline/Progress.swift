internal import Synchronization

/// How far a job is; read by whoever shows it, written by the workers.
public final class Progress: Sendable {
    /// What is being done.
    public enum Phase: Int, Sendable, Hashable {
        case copy
        /// A first look at the source, to lay the target out.
        case plan
        /// A second look at the part of the source that an interrupted copy has dealt with.
        case prove
        case sync
        case verify
    }

    private let bytes = Atomic<UInt64>(0)
    private let bytesTotal = Atomic<UInt64>(0)
    private let current = Atomic<Int>(0)

    public init() {}

    /// The guest bytes dealt with in this phase, holes included.
    public var done: UInt64 { bytes.load(ordering: .relaxed) }

    /// The guest bytes of this phase; `nil` where the source does not tell.
    public var total: UInt64? {
        let total = bytesTotal.load(ordering: .relaxed)
        return total == .max ? nil : total
    }

    /// What is being done.
    public var phase: Phase { Phase(rawValue: current.load(ordering: .relaxed)) ?? .copy }

    /// Begins a phase of `total` bytes.
    public func begin(_ phase: Phase, total: UInt64?) {
        bytes.store(0, ordering: .relaxed)
        bytesTotal.store(total ?? .max, ordering: .relaxed)
        current.store(phase.rawValue, ordering: .relaxed)
    }

    /// Adds `count` bytes to those that are done.
    public func add(_ count: UInt64) { bytes.wrappingAdd(count, ordering: .relaxed) }
}
