internal import Synchronization

/// Up to 64 KiB of a table as stored; never changes.
public final class TablePage: Sendable {
    /// The longest page in bytes. Tables are cached by pages, as a table of qcow2 may be 32 MiB and one of a VHD 16 GiB.
    public static let longest: UInt64 = 64 << 10

    /// The place of the first entry.
    public let place: HostOffset
    @usableFromInline let bytes: [UInt8]
    /// The 8 bytes, as a big-endian number, that the page is made of from its start to its end, so that empty tables
    /// cost nothing to walk. What is left at the end, where the length is no multiple of 8, must be their beginning.
    /// `nil` where that is not so, or the page is shorter than 8 bytes.
    public let uniform: UInt64?

    fileprivate init(place: HostOffset, bytes: [UInt8]) throws(ImageError) {
        self.place = place
        self.bytes = bytes
        uniform = try bytes.withBytes { (words) throws(ImageError) in
            guard words.byteCount >= 8 else { return nil }
            let first = try words.big(UInt64.self, at: 0)
            var position = 8
            while position + 8 <= words.byteCount {
                guard try words.big(UInt64.self, at: position) == first else { return nil }
                position += 8
            }
            var rest = first
            while position < words.byteCount {
                guard try words.big(UInt8.self, at: position) == UInt8(rest >> 56) else { return nil }
                rest <<= 8
                position += 1
            }
            return first
        }
    }

    /// The length in bytes.
    public var byteCount: Int { bytes.count }

    /// Lends the stored entries: one retain for a loop over them.
    @inlinable
    public func withEntries<Value>(_ body: (RawSpan) throws(ImageError) -> Value) throws(ImageError) -> Value {
        try bytes.withBytes(body)
    }

    /// The big-endian number at byte `position`.
    @inlinable
    public func entry<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type = Number.self, at position: Int
    ) throws(ImageError) -> Number {
        try bytes.withBytes { (words) throws(ImageError) in try words.big(at: position) }
    }
}

/// The pages last used, bounded by bytes whatever the image; safe from any thread.
///
/// The bound counts for one image. It is low because a chain has a cache for each of its images, and enough because
/// 4 MiB of qcow2's L2 tables map 32 GiB with usual clusters, and as much of a VHD's table 2 TiB.
public final class TableCache: Sendable {
    /// The bytes a page takes besides its entries, roughly; with 512 byte clusters it is not little.
    private static let overhead = 160

    /// One page in a list by time of use; the links are indices.
    fileprivate struct Slot {
        var page: TablePage?
        var older = -1
        var newer = -1
    }

    fileprivate struct State {
        var slots: [Slot] = []
        var free: [Int] = []
        var index: [UInt64: Int] = [:]
        var oldest = -1
        var newest = -1
        var byteCount = 0
    }

    private let store: any ByteStore
    private let mostBytes: Int
    fileprivate let state = Mutex(State())

    /// A cache of tables of `store` that holds `mostBytes` at most.
    public init(_ store: any ByteStore, mostBytes: Int = 4 << 20) {
        self.store = store
        self.mostBytes = mostBytes
    }

    /// The bytes held now.
    public var byteCount: Int { state.withLock { $0.byteCount } }

    /// The page of `count` bytes at `place`, which the caller bounded by the file and by ``TablePage/longest``.
    public func page(at place: HostOffset, count: Int) throws(ImageError) -> TablePage {
        if let page = state.withLock({ $0.use(place.value) }), page.byteCount == count { return page }
        // Read without the lock: two threads may read the same page, and one copy is dropped.
        let page = try TablePage(place: place, bytes: try store.bytes(at: place, count: count))
        state.withLock { $0.insert(page, cost: Self.overhead, most: mostBytes) }
        return page
    }
}

extension TableCache.State {
    /// The page at `place`, which becomes the newest.
    mutating func use(_ place: UInt64) -> TablePage? {
        guard let slot = index[place] else { return nil }
        unlink(slot)
        link(slot)
        return slots[slot].page
    }

    mutating func insert(_ page: TablePage, cost: Int, most: Int) {
        if let slot = index[page.place.value] { remove(slot, cost: cost) }
        while byteCount + page.byteCount + cost > most, oldest >= 0 { remove(oldest, cost: cost) }
        let slot = free.popLast() ?? slots.count
        if slot == slots.count { slots.append(.init()) }
        slots[slot].page = page
        index[page.place.value] = slot
        byteCount += page.byteCount + cost
        link(slot)
    }

    private mutating func remove(_ slot: Int, cost: Int) {
        guard let page = slots[slot].page else { return }
        unlink(slot)
        index[page.place.value] = nil
        byteCount -= page.byteCount + cost
        slots[slot].page = nil
        free.append(slot)
    }

    private mutating func unlink(_ slot: Int) {
        let (older, newer) = (slots[slot].older, slots[slot].newer)
        if older >= 0 { slots[older].newer = newer } else { oldest = newer }
        if newer >= 0 { slots[newer].older = older } else { newest = older }
    }

    private mutating func link(_ slot: Int) {
        slots[slot].older = newest
        slots[slot].newer = -1
        if newest >= 0 { slots[newest].newer = slot } else { oldest = slot }
        newest = slot
    }
}
