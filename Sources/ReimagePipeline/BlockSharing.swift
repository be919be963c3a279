public import ReimageCore

/// How data gets into the target without being read: its blocks are shared with the files that it lies in.
///
/// What is shared is not looked at, so zeros in it stay what they are in the source: data.
public struct BlockSharing: Sendable {
    /// A file of the source.
    struct Origin: Sendable {
        let store: any ByteStore
        let blocks: BlockSource
        /// The unit of sharing in bytes.
        let unit: UInt64
    }

    /// The most guest bytes in one batch: its placement and grain map are memory.
    private static let longestBatch: UInt64 = 64 << 20

    private let origins: [StoreID: Origin]
    /// How the zeros among the data are put into the target.
    private let zeros: ZeroMode
    private let longest: UInt64

    /// `nil` where no file of `disk` can share blocks with `sink`, or the writer does not let it.
    ///
    /// - Parameter sink: where data goes; nothing was written to it.
    public init?(_ disk: any BlockDevice, to sink: any ByteSink, _ needs: WriterNeeds) {
        guard let zeros = needs.sharing, !needs.digest else { return nil }
        var origins: [StoreID: Origin] = [:]
        for store in disk.stores {
            guard let blocks = store.blockSource, let unit = sink.sharedBlockSize(with: blocks),
                needs.chunkSize.isMultiple(of: unit)
            else { continue }
            origins[store.id] = Origin(store: store, blocks: blocks, unit: UInt64(unit))
        }
        guard !origins.isEmpty else { return nil }
        self.origins = origins
        self.zeros = zeros
        longest = min(Self.longestBatch, UInt64(needs.grainSize) << 16)
    }

    /// How many bytes of `disk` can be shared: what the target needs no space for.
    public func byteCount(of disk: any BlockDevice) throws(ImageError) -> UInt64 {
        var walker = ExtentWalker(disk)
        var sum: UInt64 = 0
        while walker.position < walker.end {
            let extent = try walker.current()
            if extent.kind == .data, origin(of: extent, at: walker.position) != nil { sum += extent.count }
            walker.advance(extent.count)
        }
        return sum
    }

    /// The file that an extent of data can share its blocks with, as they lie the same way in a chunk of the target.
    private func origin(of extent: Extent, at position: GuestOffset) -> Origin? {
        guard let stored = extent.stored, stored.codec == nil, let origin = origins[stored.store],
            (stored.offset.value ^ position.value) & (origin.unit - 1) == 0
        else { return nil }
        return origin
    }

    /// Gives `batch` the next units of the disk, as long as all data in them can be shared.
    ///
    /// - Returns: whether there was such a unit; where not, `walker` is where it was.
    func take(_ walker: inout ExtentWalker, unit: UInt64, into batch: inout Batch) throws(ImageError) -> Bool {
        let start = walker.position
        var data = UnreadData(zeros: zeros)
        var segments: [Segment] = []
        while walker.position < walker.end, walker.position - start + unit <= max(longest, unit) {
            var ahead = walker
            if walker.position > start, try ahead.zeroRun(wholeUnitsOf: unit) != nil { break }
            let end = min(walker.position + unit, walker.end)
            guard try collect(&ahead, until: end, from: start, &data, &segments) else { break }
            walker = ahead
        }
        guard walker.position > start else { return false }
        batch.work = .bytes
        batch.range = GuestRange(from: start, to: walker.position)
        batch.segments = segments
        batch.unread = data
        return true
    }

    /// Adds what lies up to `end`; nothing, and `false`, where some of its data cannot be shared.
    private func collect(
        _ walker: inout ExtentWalker, until end: GuestOffset, from start: GuestOffset, _ data: inout UnreadData,
        _ segments: inout [Segment]
    ) throws(ImageError) -> Bool {
        let (pieces, runs) = (data.pieces.count, segments.count)
        while walker.position < end {
            let extent = try walker.current()
            let count = min(extent.count, end - walker.position)
            let first = Int(walker.position - start)
            let range = first..<first + Int(count)
            if extent.kind == .data {
                guard let origin = origin(of: extent, at: walker.position), let stored = extent.stored else {
                    data.pieces.removeSubrange(pieces...)
                    segments.removeSubrange(runs...)
                    return false
                }
                data.append(UnreadData.Piece(range: range, place: stored.offset, origin: origin))
            }
            segments.append(Segment(kind: extent.kind, range: range))
            walker.advance(count)
        }
        return true
    }
}
