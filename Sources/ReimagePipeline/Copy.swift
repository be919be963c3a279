public import ReimageCodecs
public import ReimageCore
internal import ReimageSystem

/// What a copy did.
public struct CopySummary: Sendable, Hashable {
    /// The disk's length in bytes.
    public internal(set) var byteCount: UInt64 = 0
    /// How many of them hold something.
    public internal(set) var dataByteCount: UInt64 = 0
    /// How many the source could not give; they were written as zeros.
    public internal(set) var unreadableByteCount: UInt64 = 0
    /// Where they are.
    public internal(set) var unreadable = GuestRanges()
    /// The content digest, where it was asked for.
    public internal(set) var digest: ContentDigest?

    /// The same copy, whose content was found to have `digest` afterwards.
    public func adding(_ digest: ContentDigest) -> CopySummary {
        var summary = self
        summary.digest = digest
        return summary
    }

    mutating func addUnreadable(_ range: GuestRange) {
        unreadableByteCount += range.count
        unreadable.add(range)
    }

    mutating func add(_ other: CopySummary) {
        dataByteCount += other.dataByteCount
        unreadableByteCount += other.unreadableByteCount
        if !other.unreadable.isEmpty { unreadable.add(other.unreadable) }
    }
}

/// Reads a disk once on all cores and gives every byte to a writer, or only to the digest.
public struct CopyJob {
    private let source: DiskContent
    private let writer: any ImageWriter
    private let sink: any ByteSink
    private let digest: Bool
    private let phase: Progress.Phase
    private let options: JobOptions
    /// The disk that decides where nothing is stored: what reads as it does is left to it.
    public var base: (any BlockDevice)?
    /// Where the guest's data goes, for a writer that has a second file.
    public var dataSink: (any ByteSink)?
    /// Where the disk is gone on with: what lies before was copied.
    public var start = GuestOffset.zero
    /// What lies before, where it was proved; needed for the digest.
    public var prefix: ProvenPrefix?
    /// Hears of every checkpoint that was written.
    public var checkpoints: Checkpoints?
    /// How much of the source is looked at.
    public var reading = Reading.content
    /// Lets data be shared with the source's files instead of being read; neither with a digest nor with a base.
    public var sharing: BlockSharing?
    /// Hears on how many threads the copy works and what memory they take, before they start.
    public var announce: (WorkerMemory) -> Void = { _ in }

    /// How much of the source a copy looks at.
    public enum Reading: Sendable, Hashable {
        /// Data is read, and zeros in it are found.
        case content
        /// Data is read, and copied as it is.
        case extents
        /// Nothing is read: the writer places chunks without bytes, which shows how the image would be laid out.
        case nothing
    }

    /// The least batch in guest bytes.
    static let batchSize = 1 << 20

    /// What a sink may ask for at the most; memory is counted in batches.
    private static let largestBatchSize = 2 << 20
    /// What a source may ask for at the most: an archive's largest chunk. Who decodes a part of a chunk decodes all of it, so
    /// one worker takes the whole.
    static let largestReadUnit = 64 << 20

    /// Copies `source` through `writer` to `sink`.
    ///
    /// - Parameters:
    ///   - digest: computes the content digest on the way.
    ///   - phase: what the progress calls it.
    public init(
        _ source: DiskContent, writer: any ImageWriter, sink: any ByteSink, digest: Bool = false,
        phase: Progress.Phase = .copy, options: JobOptions = JobOptions()
    ) {
        self.source = source
        self.writer = writer
        self.sink = sink
        self.digest = digest
        self.phase = phase
        self.options = options
    }

    /// Does the work and returns when all of it is written; syncing and naming the target is the caller's.
    /// - Throws: the first error of any thread; `.cancelled`.
    public func run() throws(ImageError) -> CopySummary {
        let needs = writer.needs
        var batchSize = max(Self.batchSize, needs.chunkSize, min(sink.traits.requestSize, Self.largestBatchSize))
        var readUnit = 0
        let feed: any BatchFeed
        switch source {
        case .random(let disk):
            readUnit = min(disk.readUnit, Self.largestReadUnit)
            batchSize = max(batchSize, readUnit)
            let sharing = digest || base != nil ? nil : sharing
            feed = DiskFeed(
                disk, from: start, batchSize: batchSize, longestRun: needs.longestSkip, sharing: sharing)
        case .stream(let stream as any RunStream):
            readUnit = stream.readUnit
            batchSize = max(batchSize, readUnit)
            feed = RunFeed(stream, batchSize: batchSize, longestRun: needs.longestSkip)
        case .stream(let stream):
            feed = StreamFeed(stream, batchSize: batchSize)
        }
        var adopts = false
        if case .random(let disk) = source {
            adopts = needs.adopts && base == nil && reading == .content && disk.readUnit == needs.chunkSize
        }
        options.progress.begin(phase, total: feed.byteCount)
        options.progress.add(start.value)
        let tree = digest ? prefix?.tree ?? DigestTree() : nil
        let committer = Committer(writer, sink: sink, dataSink: dataSink, tree: tree, checkpoints: checkpoints) {
            feed.written(before: $0)
        }
        try committer.begin()
        let makeEncoder = EncoderFactory(writer: writer)
        let shared = CopyWorker.Shared(
            feed: feed, committer: committer, needs: needs, digest: digest, batchSize: batchSize, options: options,
            pace: Pace(options.bytesPerSecond), base: base, reading: reading, adopts: adopts)
        let memory = WorkerMemory(needs, batchSize: batchSize, readUnit: readUnit, options)
        announce(memory)
        try runOnThreads(memory.threadCount) { (_) throws(ImageError) in
            // A failure is told to the committer first, so that threads that stop because of it come second.
            do throws(ImageError) {
                try CopyWorker(shared, encoder: makeEncoder()).run()
            } catch {
                committer.fail(error)
            }
        }
        if let failure = committer.failure { throw failure }
        try options.cancellation.check()
        return try committer.finish(byteCount: feed.finalByteCount())
    }
}

/// Makes encoders from many threads.
private struct EncoderFactory: @unchecked Sendable {
    // SAFETY: `makeEncoder` reads what is constant from the writer's making on.
    let writer: any ImageWriter
    func callAsFunction() throws(ImageError) -> (any ChunkEncoder)? { try writer.makeEncoder() }
}

extension DiskContent {
    /// The content digest, computed on all cores; holes cost nothing.
    ///
    /// A stream that tells its digest and proves it by what it holds is read to its end, and believed then.
    public func digest(
        _ options: JobOptions = JobOptions(), phase: Progress.Phase = .copy
    ) throws(ImageError) -> ContentDigest {
        if case .stream(let stream as any RunStream) = self {
            stream.useEarlierBytes(.notNeeded)
            _ = try CopyJob(self, writer: NullWriter(), sink: NullSink(), phase: phase, options: options).run()
            guard let bytes = stream.provenDigest else {
                throw ImageError(.damaged, "holds what was saved of a damaged image: its disk has no digest")
            }
            return ContentDigest(
                hash: try bytes.withBytes { (bytes) throws(ImageError) in try Hash256(bytes) })
        }
        guard let digest = try summary(options, phase: phase).digest else {
            throw ImageError(.exhausted, "no digest was made")
        }
        return digest
    }

    /// What reading all of it gives: the content digest, and what could not be read.
    public func summary(
        _ options: JobOptions = JobOptions(), phase: Progress.Phase = .copy
    ) throws(ImageError) -> CopySummary {
        try CopyJob(
            self, writer: NullWriter(), sink: NullSink(), digest: true, phase: phase, options: options
        ).run()
    }
}

/// Writes nothing: what is left of a copy is its digest.
private final class NullWriter: ImageWriter {
    let needs = WriterNeeds(chunkSize: CopyJob.batchSize, grainSize: DigestTree.leafSize, ascending: false)

    func skip(_ kind: Extent.Kind, _ range: GuestRange, into placement: inout Placement) throws(ImageError) {}

    func place(
        _ chunk: Chunk, map: borrowing GrainMap, into placement: inout Placement
    ) throws(ImageError) {}

    func finish(_ disk: WrittenDisk, into placement: inout Placement) throws(ImageError) {}

    func mostBytes(forDisk byteCount: UInt64) throws(ImageError) -> UInt64 { 0 }
}

/// Takes nothing, since ``NullWriter`` gives nothing.
struct NullSink: ByteSink {
    let name = "nowhere"
    let traits = StoreTraits()
    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {}
    func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {}
    func setByteCount(_ count: UInt64) throws(ImageError) {}
    func sync() throws(ImageError) {}
}
