package import ReimageCore

/// A run of one kind inside a batch.
package struct Segment: Sendable {
    package var kind: Extent.Kind
    /// The bytes, counted from the batch's start.
    package var range: Range<Int>
}

/// Walks a disk's extents from its start to its end.
package struct ExtentWalker {
    private let disk: any BlockDevice
    private let detail: ExtentDetail
    package private(set) var position: GuestOffset
    private var ahead: Extent?
    private var lastReadAsZero = false

    /// A query over data stops here, so that the first byte does not wait for a look at the whole map.
    private static let dataLimit: UInt64 = 4 << 30

    package init(_ disk: any BlockDevice, detail: ExtentDetail = .storage, from start: GuestOffset = .zero) {
        self.disk = disk
        position = start
        self.detail = detail
    }

    /// The disk's end.
    package var end: GuestOffset { GuestOffset(disk.byteCount) }

    /// The extent at the walker's position, from there on.
    mutating func current() throws(ImageError) -> Extent {
        if let ahead { return ahead }
        let limit = lastReadAsZero ? UInt64.max : Self.dataLimit
        let extent = try disk.extent(
            at: position, limit: min(limit, end - position), layers: .flattened, detail: detail)
        lastReadAsZero = extent.kind.readsAsZero
        ahead = extent
        return extent
    }

    /// Moves on by `count` bytes of the current extent.
    package mutating func advance(_ count: UInt64) {
        position += count
        guard var extent = ahead, extent.count > count else { return ahead = nil }
        extent.count -= count
        if let stored = extent.stored {
            // Of coded bytes only all together have a place.
            extent.stored =
                stored.codec == nil
                ? StoredRun(store: stored.store, offset: stored.offset + count, count: extent.count) : nil
        }
        ahead = extent
    }

    /// The kind and length of the run of zeros here, cut to whole multiples of `unit` or the disk's end; `nil` where
    /// there is no such run.
    package mutating func zeroRun(wholeUnitsOf unit: UInt64) throws(ImageError) -> (Extent.Kind, UInt64)? {
        let extent = try current()
        guard extent.kind.readsAsZero else { return nil }
        let reachesEnd = position + extent.count == end
        let count = reachesEnd ? extent.count : extent.count.roundedDown(to: unit)
        return count == 0 ? nil : (extent.kind, count)
    }

    /// Collects the runs of the next `count` bytes, which the disk has, and moves behind them.
    package mutating func collect(_ count: Int, into segments: inout [Segment]) throws(ImageError) {
        segments.removeAll(keepingCapacity: true)
        var done = 0
        while done < count {
            let extent = try current()
            let part = Int(min(extent.count, UInt64(count - done)))
            advance(UInt64(part))
            if let last = segments.last, last.kind == extent.kind {
                segments[segments.count - 1].range = last.range.lowerBound..<done + part
            } else {
                segments.append(Segment(kind: extent.kind, range: done..<done + part))
            }
            done += part
        }
    }
}
