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
        let preallocation = try Self.preallocation(plan.options)
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
            ascending: isAppendOnly)
    }

    private static func preallocation(_ options: [String: String]) throws(ImageError) -> RawPreallocation {
        let option = RawPreallocation.option
        if let unknown = options.keys.filter({ $0 != option.name }).min() {
            throw ImageError(
                .invalidArgument, "raw images have no option called '\(unknown)'",
                advice: "Known options: \(option.name)=\(option.values).")
        }
        guard let value = options[option.name] else { return .off }
        guard let preallocation = RawPreallocation(rawValue: value) else {
            throw ImageError(
                .invalidArgument, "'\(value)' is no value of the option \(option.name)",
                advice: "Known values: \(option.values).")
        }
        return preallocation
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
        var steps: [Placement.Step] = []
        try map.forEachRun(in: chunk.input) { (kind, run) throws(ImageError) in
            let place = HostOffset(chunk.range.start.value) + UInt64(run.lowerBound - chunk.input.lowerBound)
            steps.append(
                kind.readsAsZero
                    ? .zero(HostRange(start: place, count: UInt64(run.count)), zeroMode)
                    : .write(.input(run), at: place))
        }
        for step in steps { placement.append(step) }
    }

    /// Gives the file its length to the byte; the pipe has it already.
    public func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {
        if !isAppendOnly { placement.append(.setByteCount(disk.byteCount)) }
    }
}
