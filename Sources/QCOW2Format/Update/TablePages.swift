internal import ReimageCore

/// Pages of tables that are changed: read when they are asked for, changed in memory, and written when the caller says
/// that what they refer to is on the medium.
struct TablePages: Sendable {
    /// A page never crosses a cluster; tables take whole clusters.
    private static let longestPage: UInt64 = 4096
    /// The clean pages kept from one change to the next.
    private static let mostKept = 1024
    /// The longest single write.
    private static let longestWrite = 1 << 20

    private struct Page: Sendable {
        var bytes: [UInt8]
        /// The bytes that differ from the file.
        var changed: Range<Int>?
    }

    private let store: any UpdatableStore
    let pageSize: UInt64
    private var pages: [UInt64: Page] = [:]
    private var changedPages: Set<UInt64> = []

    init(_ store: any UpdatableStore, clusterSize: UInt64) {
        self.store = store
        pageSize = min(clusterSize, Self.longestPage)
    }

    /// Whether anything waits to be written.
    var isChanged: Bool { !changedPages.isEmpty }

    /// The word at `place`, as changed last.
    mutating func word(at place: UInt64) throws(ImageError) -> UInt64 {
        let position = Int(place % pageSize)
        return try withPage(at: place) { (page) throws(ImageError) in try page.big(at: position) }
    }

    /// Changes the word at `place`.
    mutating func set(_ word: UInt64, at place: UInt64) throws(ImageError) {
        let first = Int(place % pageSize)
        try change(first..<first + 8, at: place) { (page) throws(ImageError) in page.storeBig(word, at: first) }
    }

    /// Lends the page that holds byte `place`.
    mutating func withPage<Value>(
        at place: UInt64, _ body: (RawSpan) throws(ImageError) -> Value
    ) throws(ImageError) -> Value {
        try load(place / pageSize).bytes.withBytes(body)
    }

    /// Lends the page that holds byte `place`, to have `range` of it changed.
    mutating func change(
        _ range: Range<Int>, at place: UInt64, _ body: (inout MutableRawSpan) throws(ImageError) -> Void
    ) throws(ImageError) {
        let number = place / pageSize
        var page = try load(number)
        // One owner again, or the change would copy the page.
        pages[number] = nil
        do throws(ImageError) { try page.bytes.withMutableBytes(body) } catch {
            pages[number] = page
            throw error
        }
        let old = page.changed ?? range
        page.changed = min(old.lowerBound, range.lowerBound)..<max(old.upperBound, range.upperBound)
        pages[number] = page
        changedPages.insert(number)
    }

    private mutating func load(_ number: UInt64) throws(ImageError) -> Page {
        if let page = pages[number] { return page }
        // A table that ends the file may be shorter than its clusters; what is missing is zero.
        let start = number * pageSize
        let length = store.byteCount
        var bytes: [UInt8] = []
        if start < length {
            bytes = try store.bytes(at: HostOffset(start), count: Int(min(pageSize, length - start)))
        }
        if bytes.count < Int(pageSize) { bytes += [UInt8](repeating: 0, count: Int(pageSize) - bytes.count) }
        let page = Page(bytes: bytes)
        pages[number] = page
        return page
    }

    /// Writes what was changed, in the order of the file; neighbours go together.
    mutating func write() throws(ImageError) {
        var run: [UInt8] = []
        var start: UInt64 = 0
        for number in changedPages.sorted() {
            guard let page = pages[number], let changed = page.changed else { continue }
            let place = number * pageSize + UInt64(changed.lowerBound)
            if place != start + UInt64(run.count) || run.count >= Self.longestWrite {
                try write(run, at: start)
                run.removeAll(keepingCapacity: true)
                start = place
            }
            run += page.bytes[changed]
        }
        try write(run, at: start)
        for number in changedPages { pages[number]?.changed = nil }
        changedPages.removeAll(keepingCapacity: true)
    }

    private func write(_ bytes: [UInt8], at place: UInt64) throws(ImageError) {
        guard !bytes.isEmpty else { return }
        try bytes.withBytes { (span) throws(ImageError) in try store.write(span, at: HostOffset(place)) }
    }

    /// Forgets what was changed and not written.
    mutating func revert() {
        for number in changedPages { pages[number] = nil }
        changedPages.removeAll()
    }

    /// Forgets the pages of a cluster that becomes a table, or was written past this cache.
    mutating func forget(_ place: UInt64, count: UInt64) {
        for number in place / pageSize..<(place + count).dividedRoundingUp(by: pageSize) {
            pages[number] = nil
            changedPages.remove(number)
        }
    }

    /// Keeps the memory bounded; called between changes, when every page is clean.
    mutating func trim() {
        guard pages.count > Self.mostKept else { return }
        pages = pages.filter { $1.changed != nil }
    }
}
