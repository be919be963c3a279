/// What a writer decided: which bytes go where, in which order where that matters.
///
/// The pipeline carries it out. Steps between two barriers may be done in any order and at the same time.
public struct Placement: Sendable {
    /// Where the bytes of a write come from.
    public enum Source: Hashable, Sendable {
        /// The batch's input.
        case input(Range<Int>)
        /// The batch's encoded output.
        case encoded(Range<Int>)
        /// Tables and headers the writer made.
        case metadata([UInt8])
    }

    /// Which of the target's files a step is for.
    public enum Part: Hashable, Sendable {
        /// The image itself.
        case image
        /// The file that the guest's data lies in, where ``ImageWriter/dataFile`` names one.
        case data
    }

    /// One thing to do.
    public enum Step: Hashable, Sendable {
        /// Write the bytes of a source.
        case write(Source, at: HostOffset, in: Part = .image)
        /// Make a range read as zeros.
        case zero(HostRange, ZeroMode, in: Part = .image)
        /// Cut or extend the file.
        case setByteCount(UInt64, in: Part = .image)
        /// Everything before is on the medium before anything after is written.
        case barrier
        /// An image that ends here, at this length, can be gone on with later. It is brought to the medium now and then.
        case checkpoint(HostOffset)
    }

    /// The steps, in order.
    public private(set) var steps: [Step] = []

    public init() {}

    /// Forgets all steps, and keeps their memory.
    public mutating func removeAll() { steps.removeAll(keepingCapacity: true) }

    /// Adds a step; a write or zero run that continues the last one is merged with it.
    public mutating func append(_ step: Step) {
        guard let last = steps.last, let merged = Self.merge(last, step) else { return steps.append(step) }
        steps[steps.count - 1] = merged
    }

    /// Adds a chunk's bytes as they are, from `place` on: data is written from the batch's input, and all else made zeros.
    public mutating func append(
        _ chunk: Chunk, _ map: borrowing GrainMap, at place: HostOffset, zeros mode: ZeroMode
    ) throws(ImageError) {
        try map.forEachRun(in: chunk.input) { (kind, run) throws(ImageError) in
            let start = place + UInt64(run.lowerBound - chunk.input.lowerBound)
            append(
                kind.readsAsZero
                    ? .zero(HostRange(start: start, count: UInt64(run.count)), mode) : .write(.input(run), at: start))
        }
    }

    private static func merge(_ first: Step, _ second: Step) -> Step? {
        switch (first, second) {
        case (.write(.input(let left), let start, let part), .write(.input(let right), let next, let other))
        where left.upperBound == right.lowerBound && start + UInt64(left.count) == next && part == other:
            .write(.input(left.lowerBound..<right.upperBound), at: start, in: part)
        case (.write(.encoded(let left), let start, let part), .write(.encoded(let right), let next, let other))
        where left.upperBound == right.lowerBound && start + UInt64(left.count) == next && part == other:
            .write(.encoded(left.lowerBound..<right.upperBound), at: start, in: part)
        case (.zero(let left, let mode, let part), .zero(let right, let same, let other))
        where mode == same && left.end == right.start && part == other:
            .zero(HostRange(from: left.start, to: right.end), mode, in: part)
        default: nil
        }
    }
}
