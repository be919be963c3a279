public import ReimageCore
internal import Synchronization

#if canImport(Darwin)
    internal import Darwin
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Glibc
#endif

/// A medium that fails or lies in chosen ways: for what writes disks and proves them.
public final class UnreliableStore: UpdatableStore {
    /// One way to be unreliable.
    public enum Fault: Hashable, Sendable {
        /// The first write that touches a byte of the range is taken with thanks, and lost.
        case losesWrite(HostRange)
        /// Every write that touches a byte of the range fails.
        case failsWrites(HostRange)
        /// Every read that touches a byte of the range fails.
        case failsReads(HostRange)
        /// After this many changes the medium is gone: all that comes later fails.
        case vanishes(afterChanges: Int)
        /// Every write takes this long, in microseconds.
        case isSlow(Int)
    }

    private struct State {
        var changes = 0
        var lost: Set<Fault> = []
    }

    private let store: MemoryStore
    private let faults: [Fault]
    private let state = Mutex(State())

    /// A medium that is `store`, but for `faults`.
    public init(_ store: MemoryStore, _ faults: [Fault]) {
        self.store = store
        self.faults = faults
    }

    /// How many calls have changed the medium, or were to change it.
    public var changeCount: Int { state.withLock { $0.changes } }

    public var id: StoreID { store.id }
    public var name: String { store.name }
    public var identity: StoreIdentity? { store.identity }
    public var byteCount: UInt64 { store.byteCount }
    public var traits: StoreTraits { store.traits }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let range = HostRange(start: offset, count: UInt64(buffer.byteCount))
        for fault in faults {
            if case .failsReads(let bad) = fault, bad.touches(range) {
                throw ImageError(.unreadable, "injected read error", at: .host(max(offset, bad.start)), systemCode: 5)
            }
        }
        try checkPresence()
        try store.read(into: &buffer, at: offset)
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try store.extent(at: offset, limit: limit)
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        guard try !loses(HostRange(start: offset, count: UInt64(bytes.byteCount))) else { return }
        try store.write(bytes, at: offset)
    }

    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        guard try !loses(range) else { return }
        try store.zero(range, mode: mode)
    }

    public func setByteCount(_ count: UInt64) throws(ImageError) { try store.setByteCount(count) }

    public func sync() throws(ImageError) {
        try checkPresence()
        try store.sync()
    }

    /// Counts a change, and tells whether it gets lost.
    private func loses(_ range: HostRange) throws(ImageError) -> Bool {
        try checkPresence()
        state.withLock { $0.changes += 1 }
        for fault in faults {
            switch fault {
            case .failsWrites(let bad) where bad.touches(range):
                throw ImageError(
                    .targetFailed, "injected write error", at: .host(max(range.start, bad.start)), systemCode: 5)
            case .losesWrite(let bad) where bad.touches(range):
                if state.withLock({ $0.lost.insert(fault).inserted }) { return true }
            case .isSlow(let microseconds): usleep(UInt32(clamping: min(microseconds, 999_999)))
            default: break
            }
        }
        return false
    }

    private func checkPresence() throws(ImageError) {
        let changes = changeCount
        for fault in faults {
            if case .vanishes(let most) = fault, changes >= most {
                throw ImageError(.targetFailed, "injected: the device is gone", systemCode: 6)
            }
        }
    }
}

extension HostRange {
    fileprivate func touches(_ other: HostRange) -> Bool { start < other.end && other.start < end }
}
