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
    /// Whether the target is written past the page cache where that can be done.
    public var cache: CachePolicy
    /// The formats to choose from.
    public var registry: FormatRegistry
    /// Threads, progress, cancellation.
    public var options: JobOptions

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
        try refuseSource(source, content)
        let place = try openTarget()
        let writer = try makeWriter(content, place.sink)
        if let path = place.spacePath, checksSpace { try checkSpace(content, at: path) }
        do throws(ImageError) {
            let job = CopyJob(content, writer: writer, sink: place.sink, digest: verifies, options: options)
            let summary = try job.run()
            options.progress.begin(.sync, total: nil)
            try place.sink.sync()
            if verifies { try verify(summary, place) }
            try options.cancellation.check()
            try place.partial?.commit()
            return summary
        } catch {
            place.partial?.discard()
            switch error.code {
            case .cancelled where place.partial != nil:
                throw ImageError(.cancelled, "interrupted before it was complete; nothing was left", file: target)
            case .targetFailed, .cancelled: throw error.inFile(target)
            default: throw error.inFile(source.source.name)
            }
        }
    }

    private struct Place {
        var sink: any ByteSink
        var partial: PartialFile?
        /// The file to read back from.
        var path: String?
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
                let sink = try FileSink(overwriting: target, isZero: isZero, cache: cache)
                return Place(sink: sink, path: target)
            }
            let partial = try PartialFile(
                for: target, existing: placing == .replace ? .replace : .refuse, cache: cache)
            return Place(
                sink: partial.sink, partial: partial, path: partial.partialPath, spacePath: partial.partialPath)
        }
    }

    private func refuseVerifyingStream() throws(ImageError) {
        guard verifies else { return }
        throw ImageError(
            .unsupported, "what went into a pipe cannot be read back", file: target,
            advice: "Leave --verify away, and compare digests at the other end (reimage digest).")
    }

    /// The target must not be a file that the source is read from.
    private func refuseSource(_ source: OpenedImage, _ content: DiskContent) throws(ImageError) {
        guard let identity = StoreIdentity(path: target) else { return }
        var stores: [any ByteStore] = []
        if case .store(let store) = source.source.bytes { stores.append(store) }
        if case .random(let disk) = content { stores += disk.stores }
        guard let same = stores.first(where: { $0.identity == identity }) else { return }
        throw ImageError(
            .refused, "is read from as part of the source (\(same.name))", file: target,
            advice: "Choose another name for the target.")
    }

    private func makeWriter(_ content: DiskContent, _ sink: any ByteSink) throws(ImageError) -> any ImageWriter {
        var plan = WritePlan(
            byteCount: nil, options: writerOptions, sink: sink.traits, sparseGrain: sparseGrain)
        switch content {
        case .random(let disk): plan.byteCount = disk.byteCount
        case .stream(let stream): plan.byteCount = stream.byteCount
        }
        let format = try registry.format(named: format)
        guard format.writerOptions != nil else {
            let writable = registry.formats.filter { $0.writerOptions != nil }.map(\.name.text)
            throw ImageError(
                .unsupported, "images of format \(format.name) can be read, not written", file: target,
                advice: "Formats that can be written: \(writable.joined(separator: ", ")).")
        }
        return try format.makeWriter(plan)
    }

    private func checkSpace(_ content: DiskContent, at path: String) throws(ImageError) {
        guard case .random(let disk) = content else { return }
        let isSparse = sparseGrain > 0 && (writerOptions["preallocation"] ?? "off") == "off"
        let needed = isSparse ? try disk.dataByteCount() : disk.byteCount
        let free = try freeSpace(at: path)
        guard needed > free else { return }
        throw ImageError(
            .targetFailed, "may need \(needed) bytes, and its file system has \(free) free", file: target,
            advice: "Free some space; or pass --no-space-check if much of the data is zeros.")
    }

    private func verify(_ summary: CopySummary, _ place: Place) throws(ImageError) {
        guard let path = place.path, let written = summary.digest else { return }
        let opener = ImageOpener(registry: registry, cache: .direct, cancellation: options.cancellation)
        let disk = try opener.open(path, format: format).disk(for: "verifying")
        // A file that was written over may be longer than the disk that went into it.
        let content = DiskContent.random(
            disk.byteCount > summary.byteCount ? DiskPrefix(disk, byteCount: summary.byteCount) : disk)
        let found = try content.digest(options, phase: .verify)
        guard found == written else {
            throw ImageError(
                .mismatch, "reads back as \(found), but \(written) was written", file: target,
                advice: "The medium, its cable or the memory is failing; do not rely on this target.")
        }
    }
}
