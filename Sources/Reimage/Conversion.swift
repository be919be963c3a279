public import ReimageCore
public import ReimagePipeline
public import ReimageSystem

/// Turns one image into another: a whole job, with every safety rule.
///
/// A file target appears under its name only once it is complete, on the medium and, where asked for, verified. After
/// a failure there is no new file, and an existing one is as it was.
public struct Conversion: Sendable {
    /// What to do with the target's file.
    public enum Placing: Sendable, Hashable {
        /// Make it; refuse where it exists.
        case create
        /// Make it; replace what exists when the new one is complete.
        case replace
        /// Write into the file that exists, which keeps its length; `isZero` says that it reads as zeros throughout.
        case overwrite(isZero: Bool)
    }

    /// The target's path; `-` is standard output.
    public var target: String
    /// The target's format.
    public var format: FormatName
    /// The writer's options.
    public var writerOptions: [String: String]
    /// The run of zeros that is worth a hole; 0 stores zeros as data.
    public var sparseGrain: Int
    /// What to do with the target's file.
    public var placing: Placing
    /// Whether the target is read back past the page cache, and compared with what was copied.
    public var verifies: Bool
    /// Whether the target's file system must have room for every byte that may be written.
    public var checksSpace: Bool
    /// Whether data may share the blocks of the source's file, where the file system can do that: then it is not read, and
    /// zeros in it are not found.
    public var sharesBlocks = true
    /// Whether the target is written past the page cache where that can be done.
    public var cache: CachePolicy
    /// The formats to choose from.
    public var registry: FormatRegistry
    /// Threads, progress, cancellation.
    public var options: JobOptions
    /// How the target's data is compressed; `nil` stores it as it is.
    public var compression: CompressionRequest?
    /// Whether what the source stores compressed as the target would is compressed anew all the same.
    public var recompresses = false
    /// The image below the target, by the name that the target is to keep: what reads as there is not stored.
    public var backing: Reference?
    /// What the image below the target may refer to in its turn.
    public var references = ReferencePolicy()
    /// How the image below the target is read (see ``OpenContext/options``), and where else its files may lie.
    public var readerOptions: [String: String] = [:]
    public var parentDirectories: [String] = []
    /// When the image is made, and its own number: now and a random one, unless the same disk is to give the same bytes.
    public var stamp = ImageStamp.now()
    /// Whether an interrupted conversion to the same target is gone on with, and how its source is compared; `nil` starts
    /// anew.
    public var resuming: Resuming?
    /// What the disk was before, for images that keep it.
    public var origin: DiskOrigin?
    /// Takes what the user should know.
    public var note: @Sendable (Note) -> Void = { _ in }

    /// The name that stands for standard output.
    public static let standardOutput = "-"

    public init(
        to target: String, format: FormatName, writerOptions: [String: String] = [:], sparseGrain: Int = 4096,
        placing: Placing = .create, verifies: Bool = false, checksSpace: Bool = true, cache: CachePolicy = .direct,
        registry: FormatRegistry = .standard, options: JobOptions = JobOptions()
    ) {
        self.target = target
        self.format = format
        self.writerOptions = writerOptions
        self.sparseGrain = sparseGrain
        self.placing = placing
        self.verifies = verifies
        self.checksSpace = checksSpace
        self.cache = cache
        self.registry = registry
        self.options = options
    }

    /// Copies `source` to the target, on threads of its own; blocks until all is done.
    /// - Throws: `.refused` by a safety rule, before anything was written; `.mismatch` where verifying fails.
    public func run(_ source: OpenedImage) throws(ImageError) -> CopySummary {
        let content: DiskContent
        do throws(ImageError) { content = try source.image.content() } catch { throw error.inFile(source.source.name) }
        let base = try openBacking()
        var origin = Origin(content: content, name: source.source.name)
        origin.add(source.source, content)
        if let base { origin.add(base.source, .random(base.disk)) }
        return try write(origin, over: base, comparedWith: base?.disk)
    }

    /// Copies `disk`, which is called `name`, to the target, as ``run(_:)`` does.
    public func run(_ disk: any BlockDevice, name: String) throws(ImageError) -> CopySummary {
        let base = try openBacking()
        var origin = Origin(content: .random(disk), name: name, stores: disk.stores)
        if let base { origin.add(base.source, .random(base.disk)) }
        return try write(origin, over: base, comparedWith: base?.disk)
    }

    /// Makes an empty image.
    ///
    /// - Parameter byteCount: the disk's length; `nil` takes that of the disk below.
    /// - Returns: the disk's length.
    public func create(byteCount: UInt64?) throws(ImageError) -> UInt64 {
        let base = try openBacking()
        guard let count = byteCount ?? base?.disk.byteCount else {
            throw ImageError(.invalidArgument, "the size of the disk is not given", file: target)
        }
        var origin = Origin(content: .random(EmptyDisk(byteCount: count)), name: target)
        if let base { origin.add(base.source, .random(base.disk)) }
        return try write(origin, over: base, comparedWith: nil).byteCount
    }

    /// What goes into the target, and the files that it and the disk below are read from.
    private struct Origin {
        let content: DiskContent
        let name: String
        var stores: [any ByteStore] = []

        init(content: DiskContent, name: String, stores: [any ByteStore] = []) {
            self.content = content
            self.name = name
            self.stores = stores
        }

        mutating func add(_ source: ImageSource, _ content: DiskContent) {
            if case .store(let store) = source.bytes { stores.append(store) }
            if case .random(let disk) = content { stores += disk.stores }
        }
    }

    private func write(
        _ origin: Origin, over below: Backing?, comparedWith base: (any BlockDevice)?
    ) throws(ImageError) -> CopySummary {
        try refuse(target, readBy: origin)
        var place = try openTarget()
        let taken = try takeUp(origin.content, place)
        let writer =
            if let taken { taken.writer } else { try makeWriter(origin.content, place.sink.traits, over: below) }
        if let dataFile = writer.dataFile { try refuse(dataFile, readBy: origin) }
        try openDataFile(writer, &place)
        let sharing = base == nil ? self.sharing(origin.content, writer, place) : nil
        if taken == nil, let path = place.spacePath { try checkSpace(origin.content, writer, sharing, at: path) }
        let checkpoints = Checkpoints(taken?.start ?? .zero)
        do throws(ImageError) {
            var summary = try copy(
                origin.content, writer, over: below, comparedWith: base, sharing, place, taken, checkpoints)
            options.progress.begin(.sync, total: nil)
            try place.data?.sink.sync()
            try place.sink.sync()
            if verifies {
                if summary.digest == nil {
                    summary = summary.adding(try origin.content.digest(options, phase: .verify))
                }
                try verify(summary, place)
            }
            try options.cancellation.check()
            // The data first: an image never refers to a file that is not there.
            try place.data?.commit()
            try place.partial?.commit()
            for remark in writer.remarks { note(Note(remark)) }
            return summary
        } catch {
            if let interruption = interruption(error, origin.content, behind: checkpoints.last, place) {
                throw interruption
            }
            place.partial?.discard()
            place.data?.discard()
            switch error.code {
            case .cancelled where place.partial != nil:
                throw ImageError(.cancelled, "interrupted before it was complete; nothing was left", file: target)
            case .targetFailed, .cancelled, .invalidArgument: throw error.inFile(target)
            default: throw error.inFile(origin.name)
            }
        }
    }

    /// The target must not be a file that the source, or the disk below, is read from.
    private func refuse(_ path: String, readBy origin: Origin) throws(ImageError) {
        guard let identity = StoreIdentity(path: path),
            let same = origin.stores.first(where: { $0.identity == identity })
        else { return }
        throw ImageError(
            .refused, "is read from as part of the source (\(same.name))", file: path,
            advice: "Choose another name for the target.")
    }

    struct Place {
        var sink: any ByteSink
        var partial: PartialFile?
        /// The second file of an image whose data lies outside it.
        var data: PartialFile?
        /// The file to read back from.
        var path: String?
        /// What was written of a raw disk, to be read again.
        var earlierBytes = EarlierBytes.none
        /// A path on the file system that must have room for the bytes.
        var spacePath: String?
    }

    private func openTarget() throws(ImageError) -> Place {
        if target == Self.standardOutput {
            try refuseVerifyingStream()
            return Place(sink: PipeSink.standardOutput())
        }
        switch try FileKind(path: target, orThrow: .targetFailed) {
        case .directory:
            throw ImageError(.invalidArgument, "is a directory", file: target, advice: "Name a file in it.")
        case .blockDevice:
            throw ImageError(
                .refused, "is a disk, and convert writes only files", file: target,
                advice: "Use reimage restore, which checks that it is the right disk first.")
        case .stream:
            try refuseVerifyingStream()
            return Place(sink: try PipeSink(path: target))
        case .regular, nil:
            if case .overwrite(let isZero) = placing {
                guard try registry.format(named: format).name == .raw else {
                    throw ImageError(
                        .unsupported, "only raw targets can be written over; a \(format) image is made anew",
                        file: target, advice: "Leave -n away, and pass --force to replace the file.")
                }
                let sink = try FileSink(overwriting: target, isZero: isZero, cache: cache)
                return Place(sink: sink, path: target, earlierBytes: earlierBytes(sink))
            }
            let partial = try PartialFile(
                for: target, existing: placing == .replace ? .replace : .refuse, keepsContent: resuming != nil,
                cache: cache)
            return Place(
                sink: partial.sink, partial: partial, path: partial.partialPath,
                earlierBytes: earlierBytes(partial.sink),
                spacePath: partial.partialPath)
        }
    }

    /// In a raw file, a byte of the disk lies at its own offset.
    private func earlierBytes(_ sink: FileSink) -> EarlierBytes {
        guard format == .raw else { return .none }
        return .reader { (buffer, offset) throws(ImageError) in
            try sink.read(into: &buffer, at: HostOffset(offset.value))
        }
    }

    private func refuseVerifyingStream() throws(ImageError) {
        guard verifies else { return }
        throw ImageError(
            .unsupported, "what went into a pipe cannot be read back", file: target,
            advice: "Leave --verify away, and compare digests at the other end (reimage digest).")
    }

    private func makeWriter(
        _ content: DiskContent, _ sink: StoreTraits, over below: Backing?
    ) throws(ImageError) -> any ImageWriter {
        let byteCount: UInt64? =
            switch content {
            case .random(let disk): disk.byteCount
            case .stream(let stream): stream.byteCount
            }
        do throws(ImageError) {
            return try makeWriter(WritePlan(byteCount: byteCount, sink: sink), over: below)
        } catch {
            throw error.inFile(target)
        }
    }

    private func checkSpace(
        _ content: DiskContent, _ writer: any ImageWriter, _ sharing: BlockSharing?, at path: String
    ) throws(ImageError) {
        // What compression and comparing with a backing file save is not known beforehand.
        guard checksSpace, compression == nil, backing == nil, case .random(let disk) = content else { return }
        let free = try freeSpace(at: path)
        // Where there is room for all of the disk, its runs need not be looked at; a data file is not in that number.
        if writer.dataFile == nil, let most = try? writer.mostBytes(forDisk: disk.byteCount), most <= free { return }
        var needed = try Measurement(content, sparseGrain: sparseGrain, readsData: false) {
            (plan) throws(ImageError) in try makeWriter(plan, over: nil)
        }.storedByteCount
        if let sharing { needed -= min(needed, try sharing.byteCount(of: disk)) }
        guard needed > free else { return }
        throw ImageError(
            .targetFailed, "may need \(needed) bytes, and its file system has \(free) free", file: target,
            advice: "Free some space; or pass --no-space-check if much of the data is zeros.")
    }
}
