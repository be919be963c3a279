public import ReimageCore
public import ReimagePipeline
internal import ReimageSystem

/// Makes a damaged image anew in another file, which appears under its name only when it is complete.
public struct Reconstruction: Sendable {
    /// The damaged image.
    public var path: String
    /// The new one.
    public var target: String
    /// Other images of the same disk, of any format.
    public var others: [String] = []
    /// Whether an existing target is replaced.
    public var replaces = false
    /// When the new image is made, and its own number.
    public var stamp = ImageStamp.now()
    public var options: JobOptions

    public init(of path: String, to target: String, options: JobOptions = JobOptions()) {
        self.path = path
        self.target = target
        self.options = options
    }

    /// Does the work.
    /// - Throws: `.refused` where the target exists or is read from; what keeps the image from being understood at all.
    public func run(format: FormatName?, _ opener: ImageOpener) throws(ImageError) -> RebuildSummary {
        let (found, source, context) = try opener.openUnread(path, format: format)
        // An archive whose start and end are damaged is known by its records alone, which only a look at all of it finds.
        let isGuess = format == nil && found.name == .raw
        let format = isGuess ? try opener.registry.format(named: "rimg") : found
        var stores: [any ByteStore] = []
        if case .store(let store) = source.bytes { stores.append(store) }
        var disks: [any BlockDevice] = []
        for other in others {
            let disk = try disk(other, opener)
            disks.append(disk)
            stores += disk.stores
        }
        if let identity = StoreIdentity(path: target), let same = stores.first(where: { $0.identity == identity }) {
            throw ImageError(
                .refused, "is read from as part of the source (\(same.name))", file: target,
                advice: "Choose another name for the target.")
        }
        guard try FileKind(path: target, orThrow: .targetFailed).map({ $0 == .regular }) ?? true else {
            throw ImageError(.invalidArgument, "is no regular file", file: target, advice: "Name a file.")
        }
        let partial = try PartialFile(for: target, existing: replaces ? .replace : .refuse, cache: .direct)
        do throws(ImageError) {
            let progress = options.progress
            var request = RebuildRequest(to: partial.sink, others: disks, stamp: stamp, threads: options.threads)
            request.begin = { progress.begin(.copy, total: $0) }
            request.advance = { progress.add($0) }
            let summary = try format.rebuild(source, request, context)
            progress.begin(.sync, total: nil)
            try partial.commit()
            return summary
        } catch {
            partial.discard()
            throw error.inFile(error.code == .targetFailed ? target : path)
        }
    }

    /// The disk of another image: what is left of it, where its format can tell.
    private func disk(_ path: String, _ opener: ImageOpener) throws(ImageError) -> any BlockDevice {
        var opener = opener
        let (format, _, _) = try opener.openUnread(path)
        opener.readsPartially = format.readsPartially
        return try opener.open(path, format: format.name).disk(for: "healing another image")
    }
}
