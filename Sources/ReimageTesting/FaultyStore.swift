public import ReimageCore
internal import Synchronization

/// A store that stops giving bytes at a chosen place or time.
public final class FaultyStore: ByteStore {
    /// When a read fails.
    public enum Trigger: Hashable, Sendable {
        /// When it touches a byte of this range.
        case touching(HostRange)
        /// After this many reads that went well; all later ones fail.
        case afterReads(Int)
        /// This one alone, counted from 0.
        case read(Int)
    }

    private let store: any ByteStore
    private let trigger: Trigger
    private let error: ImageError
    private let isShort: Bool
    private let reads = Mutex(0)

    /// A store that fails with `error` when `trigger` says so, and otherwise is `store`.
    ///
    /// - Parameter isShort: whether a failing read fills its buffer as far as the fault (or to its half) before it fails,
    ///   as a medium does that gives out midway.
    public init(
        _ store: any ByteStore, _ trigger: Trigger, isShort: Bool = false,
        error: ImageError = ImageError(.unreadable, "injected read error")
    ) {
        self.store = store
        self.trigger = trigger
        self.isShort = isShort
        self.error = error
    }

    /// How many reads have been asked for.
    public var readCount: Int { reads.withLock { $0 } }

    public var id: StoreID { store.id }
    public var name: String { store.name }
    public var identity: StoreIdentity? { store.identity }
    public var byteCount: UInt64 { store.byteCount }
    public var traits: StoreTraits { store.traits }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let number = reads.withLock { number in
            number += 1
            return number - 1
        }
        guard let good = goodBytes(number, HostRange(start: offset, count: UInt64(buffer.byteCount))) else {
            return try store.read(into: &buffer, at: offset)
        }
        if isShort, good > 0 {
            try buffer.withSlice(0..<good) { (part) throws(ImageError) in try store.read(into: &part, at: offset) }
        }
        throw error.at(.host(offset))
    }

    /// How many bytes a failing read gives before it fails; `nil` for one that goes well.
    private func goodBytes(_ number: Int, _ range: HostRange) -> Int? {
        switch trigger {
        case .touching(let fault):
            guard range.start < fault.end, fault.start < range.end else { return nil }
            return fault.start < range.start ? 0 : Int(fault.start - range.start)
        case .afterReads(let count): return number < count ? nil : Int(range.count / 2)
        case .read(let index): return number == index ? Int(range.count / 2) : nil
        }
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try store.extent(at: offset, limit: limit)
    }
}
