public import ReimageCore

/// A disk's image as a target has to read: its content with a plan's patches and wipes laid over it.
///
/// As long as the target. What the plan says nothing of, behind the content, is a hole: ``contentRanges`` leaves it out.
public struct PatchedDisk: BlockDevice {
    private enum Layer: Sendable {
        case source
        case patch(Int)
        case wipe
        case nothing
    }

    public let byteCount: UInt64
    public let sectorSize: Int
    /// What the target has to hold, in whole sectors of it, ascending and apart from each other.
    public let contentRanges: [GuestRange]
    private let source: any BlockDevice
    private let patches: [FixUpPlan.Patch]
    /// Where each layer starts, ascending from 0, with the end of the disk behind the last.
    private let starts: [UInt64]
    private let layers: [Layer]

    /// `source`, which the plan was made for, changed by `plan`.
    public init(_ source: any BlockDevice, _ plan: FixUpPlan) {
        self.source = source
        byteCount = plan.targetByteCount
        sectorSize = plan.targetSectorSize
        contentRanges = plan.contentRanges
        patches = plan.patches
        let content = GuestRange(start: .zero, count: min(plan.contentByteCount, source.byteCount))
        let covered = plan.patches.map(\.range) + plan.wipes
        var pieces: [(GuestRange, Layer)] = [content].subtracting(covered).map { ($0, .source) }
        pieces += plan.patches.enumerated().map { ($1.range, .patch($0)) }
        pieces += plan.wipes.subtracting(plan.patches.map(\.range)).map { ($0, .wipe) }
        let whole = GuestRange(start: .zero, count: plan.targetByteCount)
        pieces += [whole].subtracting(pieces.map(\.0)).map { ($0, .nothing) }
        pieces.sort { $0.0.start < $1.0.start }
        starts = pieces.map(\.0.start.value)
        layers = pieces.map(\.1)
    }

    public var stores: [any ByteStore] { source.stores }
    public var readUnit: Int { source.readUnit }

    public func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        let (layer, end) = layer(at: offset.value)
        let most = min(limit, end - offset.value)
        switch layer {
        case .source: return try source.extent(at: offset, limit: most, layers: layers, detail: detail)
        case .patch: return Extent(.data, count: most)
        case .wipe: return Extent(.zero, count: most)
        case .nothing: return Extent(.hole, count: most)
        }
    }

    public func makeCursor() throws(ImageError) -> any DiskCursor { Cursor(self, try source.makeCursor()) }

    /// What decides at `offset`, and where it ends.
    private func layer(at offset: UInt64) -> (Layer, end: UInt64) {
        var (low, high) = (0, starts.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= offset { low = middle } else { high = middle }
        }
        return (layers[low], low + 1 < starts.count ? starts[low + 1] : byteCount)
    }

    private final class Cursor: DiskCursor {
        private let disk: PatchedDisk
        private let source: any DiskCursor

        init(_ disk: PatchedDisk, _ source: any DiskCursor) {
            self.disk = disk
            self.source = source
        }

        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            var filled = 0
            while filled < buffer.byteCount {
                let place = offset + UInt64(filled)
                let (layer, end) = disk.layer(at: place.value)
                let range = filled..<filled + Int(min(UInt64(buffer.byteCount - filled), end - place.value))
                switch layer {
                case .source:
                    try buffer.withSlice(range) { (part) throws(ImageError) in
                        try source.read(into: &part, at: place)
                    }
                case .patch(let index):
                    let patch = disk.patches[index]
                    let first = Int(place - patch.start)
                    patch.bytes.withBytes { bytes in
                        buffer.copy(from: bytes.extracting(first..<first + range.count), at: range.lowerBound)
                    }
                case .wipe, .nothing: buffer.zero(range)
                }
                filled = range.upperBound
            }
        }
    }
}
