internal import ReimageCore

/// Writes a fixed image: every guest byte at its own offset, and the footer behind them.
///
/// Zeros take space too, unless the settings want holes: Windows opens no VHD whose file is sparse. The order of chunks
/// makes no difference unless the sink only appends.
final class FixedWriter: ImageWriter {
    private static let chunkSize = 1 << 20

    let needs: WriterNeeds
    private let settings: WriterSettings
    private let byteCount: UInt64?
    private let isAppendOnly: Bool
    private(set) var remarks: [String] = []

    /// - Throws: `.unsupported` for a disk that is too small or too large.
    init(_ settings: WriterSettings, _ plan: WritePlan) throws(ImageError) {
        self.settings = settings
        byteCount = plan.byteCount
        isAppendOnly = plan.sink.contains(.appendOnly)
        if let byteCount { _ = try settings.size(ofDisk: byteCount) }
        // A chunk that holds any data is written in one piece, unless the rest is to be holes.
        needs = WriterNeeds(
            chunkSize: Self.chunkSize, grainSize: min(settings.holeGrain ?? Self.chunkSize, Self.chunkSize),
            ascending: isAppendOnly, digest: settings.stamp.isDeterministic, sharing: settings.sharing)
    }

    func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 {
        try settings.size(ofDisk: byteCount) + UInt64(Footer.byteCount)
    }

    func begin(into placement: inout Placement) throws(ImageError) {
        guard let byteCount, !isAppendOnly else { return }
        placement.append(.setByteCount(try mostBytes(forDisk: byteCount)))
    }

    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
        guard !range.isEmpty else { return }
        placement.append(.zero(HostRange(start: HostOffset(range.start.value), count: range.count), settings.zeroMode))
    }

    func place(_ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement) throws(ImageError) {
        try placement.append(chunk, map, at: HostOffset(chunk.range.start.value), zeros: settings.zeroMode)
    }

    func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
        let size = try settings.size(ofDisk: disk.byteCount)
        remarks += [settings.remark(onSizeOfDisk: disk.byteCount)].compactMap(\.self)
        if size > disk.byteCount {
            placement.append(
                .zero(HostRange(from: HostOffset(disk.byteCount), to: HostOffset(size)), settings.zeroMode))
        }
        let uniqueID = settings.stamp.uniqueID ?? ContentID.make(settings, size: size, from: .digest(disk.digest ?? []))
        let footer = try settings.footer(size: size, uniqueID: uniqueID).bytes()
        placement.append(.write(.metadata(footer), at: HostOffset(size)))
        if !isAppendOnly { placement.append(.setByteCount(size + UInt64(Footer.byteCount))) }
    }
}
