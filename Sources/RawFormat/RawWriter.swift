public import ReimageCore

/// How much of a raw file is backed by space from the start: `-o preallocation=`.
enum RawPreallocation: String, CaseIterable {
    case off
    case falloc
    case full

    static let option = WriterOption(
        "preallocation", values: allCases.map(\.rawValue).joined(separator: "|"),
        summary: "space for zeros: none (off), reserved (falloc), zeros written out (full)")

    var zeroMode: ZeroMode {
        switch self {
        case .off: .sparse
        case .falloc: .allocated
        case .full: .written
        }
    }
}

/// Writes a disk as it is: every guest byte lands at its own offset.
///
/// Data is written from the batch's input without a copy; all other runs become zeros, as holes unless the options or
/// the plan say otherwise. The order of chunks makes no difference unless the sink only appends.
public final class RawWriter: ImageWriter {
    private static let chunkSize = 1 << 20

    public let needs: WriterNeeds
    private let byteCount: UInt64?
    private let isAppendOnly: Bool
    private let zeroMode: ZeroMode

    /// A writer for the disk of `plan`.
    ///
    /// A grain of 0 stores zeros as data, whatever the preallocation; one larger than a chunk counts as a chunk.
    /// - Throws: `.invalidArgument` for an option, a value or a grain that is none.
    public init(_ plan: WritePlan) throws(ImageError) {
        let option = RawPreallocation.option
        let preallocation: RawPreallocation =
            try OptionValues(plan.options, known: [option], of: .raw).choice(option.name) ?? .off
        let grain = plan.sparseGrain
        guard grain == 0 || grain >= 512 && grain & (grain - 1) == 0 else {
            throw ImageError(
                .invalidArgument, "a run of \(grain) zero bytes cannot be the smallest hole",
                advice: "Take a power of two of at least 512, or 0 for no holes.")
        }
        byteCount = plan.byteCount
        isAppendOnly = plan.sink.contains(.appendOnly)
        zeroMode = grain == 0 ? .written : preallocation.zeroMode
        needs = WriterNeeds(
            chunkSize: Self.chunkSize, grainSize: grain == 0 ? Self.chunkSize : min(grain, Self.chunkSize),
            ascending: isAppendOnly, sharing: zeroMode == .sparse ? .sparse : nil)
    }

    public func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 { byteCount }

    public func begin(into placement: inout Placement) throws(ImageError) {
        if let byteCount, !isAppendOnly { placement.append(.setByteCount(byteCount)) }
    }

    public func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {
        guard !range.isEmpty else { return }
        placement.append(.zero(HostRange(start: HostOffset(range.start.value), count: range.count), zeroMode))
    }

    public func place(
        _ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement
    ) throws(ImageError) {
        switch chunk.encoding {
        case .zero: return try skip(.zero, chunk.range, into: &placement)
        case .plain: break
        case .coded(let codec):
            throw ImageError(.invalidArgument, "a raw image cannot hold chunks coded by \(codec)")
        }
        try placement.append(chunk, map, at: HostOffset(chunk.range.start.value), zeros: zeroMode)
    }

    /// Gives the file its length to the byte; the pipe has it already.
    public func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
        if !isAppendOnly { placement.append(.setByteCount(disk.byteCount)) }
    }
}
