internal import ReimageCodecs
internal import ReimageCore
internal import ReimagePipeline

/// Reads units of a target back from the medium, one thread at a time.
struct UnitReader: ~Copyable {
    private let run: TargetRun
    /// As much of the target as the image covers, in bytes.
    private let byteCount: UInt64
    private let options: JobOptions
    private var buffer = AlignedBuffer(byteCount: Piece.byteCount)

    init(_ run: TargetRun, byteCount: UInt64, _ options: JobOptions) {
        self.run = run
        self.byteCount = byteCount
        self.options = options
    }

    /// The bytes of unit `index`.
    func range(ofUnit index: UInt64) -> HostRange {
        let start = index * run.nodes.unit
        return HostRange(from: HostOffset(start), to: HostOffset(min(start + run.nodes.unit, byteCount)))
    }

    /// The node of unit `index` as it reads back; the ends, which are zeros on the medium, count as they are going to be.
    /// - Throws: `.targetFailed` where it cannot be read; `.cancelled`.
    mutating func node(ofUnit index: UInt64) throws(ImageError) -> Hash256 {
        let range = range(ofUnit: index)
        var tree = DigestTree()
        var offset = range.start
        while offset < range.end {
            let count = Int(min(range.end - offset, UInt64(Piece.byteCount)))
            try withBytes(HostRange(start: offset, count: UInt64(count))) { tree.append(leavesOf: $0) }
            offset += UInt64(count)
        }
        return tree.root(height: run.nodes.height(onDisk: byteCount))
    }

    /// Lends the bytes of `range`, at most a piece, as they read back.
    mutating func withBytes<Value>(
        _ range: HostRange, _ body: (RawSpan) throws(ImageError) -> Value
    ) throws(ImageError) -> Value {
        try options.cancellation.check()
        let count = Int(range.count)
        do throws(ImageError) {
            try buffer.withMutableBytes(0..<count) { (span) throws(ImageError) in
                try run.medium.read(into: &span, at: range.start)
                run.ends.lay(over: &span, at: range.start)
            }
        } catch {
            throw ImageError(
                .targetFailed, "what was written cannot be read back: \(error.message)", at: error.place,
                file: run.medium.name, advice: error.advice, systemCode: error.systemCode)
        }
        options.progress.add(range.count)
        return try buffer.withBytes(0..<count, body)
    }
}
