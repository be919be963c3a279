/// A table inside a file, bounded where its numbers enter: no later arithmetic on it can overflow.
public struct TableRange: Hashable, Sendable {
    /// The first byte.
    public let start: HostOffset
    /// The number of entries.
    public let count: Int
    /// The size of an entry in bytes.
    public let stride: Int

    /// A table of `count` entries of `stride` bytes at `offset`, which must lie in a file of `byteCount` bytes.
    /// - Throws: `.damaged` that names `what` and the table's place.
    public init(
        _ what: String, offset: UInt64, count: UInt64, stride: Int, within byteCount: UInt64
    ) throws(ImageError) {
        let (size, overflow) = count.multipliedReportingOverflow(by: UInt64(stride))
        guard !overflow, size <= byteCount, offset <= byteCount - size, let entries = Int(exactly: count) else {
            throw .damaged(
                "\(what) (\(count) entries of \(stride) bytes) passes the end of the file (\(byteCount) bytes)",
                at: HostOffset(offset), advice: "Is the file cut short?")
        }
        start = HostOffset(offset)
        self.count = entries
        self.stride = stride
    }

    /// The length in bytes.
    public var byteCount: Int { count * stride }

    /// The place of entry `index`.
    public func entry(_ index: Int) -> HostOffset { start + UInt64(index * stride) }
}
