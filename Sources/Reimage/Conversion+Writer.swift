internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem

extension Conversion {
    /// The most bytes of tables that are kept to send an image into a pipe.
    private static let mostMetadata = 48 << 20

    /// A writer for `plan`, to which the conversion's own wishes are added.
    func makeWriter(_ plan: WritePlan, over below: Backing?) throws(ImageError) -> any ImageWriter {
        let format = try registry.writableFormat(named: format)
        return try format.makeWriter(writePlan(plan, over: below))
    }

    /// `plan` with the conversion's own wishes.
    func writePlan(_ plan: WritePlan, over below: Backing?) -> WritePlan {
        var plan = plan
        plan.options = writerOptions
        plan.sparseGrain = sparseGrain
        plan.compression = compression
        plan.recompresses = recompresses
        plan.backing = backing
        plan.backingFacts = below?.facts
        plan.stamp = stamp
        plan.origin = origin
        plan.nameInImage = { [target] (path) throws(ImageError) in nameInImage(of: path, image: target) }
        return plan
    }

    /// The image below the target.
    struct Backing {
        var source: ImageSource
        var disk: any BlockDevice
        var facts: BackingFacts
    }

    /// Opens the disk below the target, which is named relative to the target's directory.
    func openBacking() throws(ImageError) -> Backing? {
        guard let backing else { return nil }
        guard let format = backing.format else {
            throw ImageError(
                .invalidArgument, "the format of the backing file '\(backing.name)' is not given", file: target,
                advice: "Add -F FORMAT: an image that leaves it open can be made to show other files.")
        }
        let path = pathOfBacking(named: backing.name, image: target)
        var opener = ImageOpener(
            registry: registry, references: references, cancellation: options.cancellation, note: note)
        opener.options = readerOptions
        opener.parentDirectories = parentDirectories
        let opened = try opener.open(path, format: format)
        noteReach(of: path, backing.name)
        let disk = try opened.disk(for: "being a backing file")
        let info = try opened.image.info()
        var facts = BackingFacts(path: realPath(path) ?? path, uniqueID: info.uniqueID)
        if case .store(let store) = opened.source.bytes { facts.modificationSeconds = store.modificationSeconds }
        return Backing(source: opened.source, disk: disk, facts: facts)
    }

    /// Says what a reader of the target will have to allow.
    private func noteReach(of path: String, _ name: String) {
        guard target != Self.standardOutput, let base = realPath(path) else { return }
        let directory = directoryName(of: target)
        guard let own = realPath(directory), !base.hasPrefix(own == "/" ? own : own + "/") else { return }
        note(
            Note(
                "the backing file '\(name)' lies outside the image's own directory: to read the image, reimage needs "
                    + "--allow-references \(directoryName(of: base))."))
    }

    /// Opens the second file that `writer` wants.
    func openDataFile(_ writer: any ImageWriter, _ place: inout Place) throws(ImageError) {
        guard let path = writer.dataFile else { return }
        guard place.partial != nil else {
            throw ImageError(
                .unsupported, "an image with a data file can only be made as two new files", file: target,
                advice: "Leave data_file away, or write to a file.")
        }
        let data = try PartialFile(for: path, existing: placing == .replace ? .replace : .refuse, cache: cache)
        guard data.finalPath != place.partial?.finalPath else {
            throw ImageError(.invalidArgument, "the data file cannot be the image itself", file: target)
        }
        place.data = data
        note(
            Note(
                "the image keeps the name '\(nameInImage(of: path, image: target))' of its data file; QEMU looks for it "
                    + "from the directory it is started in, reimage from the image's own."))
    }

    /// How the data of `content` can be shared with the target's file; `nil` where it is copied.
    func sharing(_ content: DiskContent, _ writer: any ImageWriter, _ place: Place) -> BlockSharing? {
        guard sharesBlocks, place.partial != nil, case .random(let disk) = content else { return nil }
        return BlockSharing(disk, to: place.data?.sink ?? place.sink, writer.needs)
    }

    /// Copies `content`; to a pipe, after a first look where the writer needs one.
    func copy(
        _ content: DiskContent, _ writer: any ImageWriter, over below: Backing?,
        comparedWith base: (any BlockDevice)?, _ sharing: BlockSharing?, _ place: Place, _ taken: Taken?,
        _ checkpoints: Checkpoints
    ) throws(ImageError) -> CopySummary {
        if case .stream(let stream as any RunStream) = content { stream.useEarlierBytes(place.earlierBytes) }
        let needs = writer.needs.lookAhead
        guard place.sink.traits.contains(.appendOnly), needs != .none else {
            var job = CopyJob(
                content, writer: writer, sink: place.sink,
                digest: verifies && sharing == nil && (taken == nil || taken?.prefix != nil) || writer.needs.digest,
                options: options)
            job.start = taken?.start ?? .zero
            job.prefix = taken?.prefix
            job.checkpoints = checkpoints
            job.sharing = sharing
            job.dataSink = place.data?.sink
            job.base = base
            job.announce = { tell($0, writer.needs) }
            return try job.run()
        }
        guard case .random(let disk) = content else {
            throw ImageError(
                .unsupported, "to go into a pipe, a \(format) image needs two looks at its source, which is a pipe too",
                advice: "Write to a file, or save the source to one first.")
        }
        let layout = LayoutSink(keepingMetadata: Self.mostMetadata)
        var first = CopyJob(content, writer: writer, sink: layout, phase: .plan, options: options)
        first.base = base
        first.reading = needs == .content ? .content : .nothing
        _ = try first.run()
        let replay = LayoutReplay(layout, to: place.sink)
        let second = try makeWriter(WritePlan(byteCount: disk.byteCount, sink: place.sink.traits), over: below)
        var job = CopyJob(content, writer: second, sink: replay, options: options)
        job.base = base
        job.reading = needs == .content ? .content : .extents
        let summary = try job.run()
        try replay.finish()
        return summary
    }

    /// Says what memory the copy takes, where that is much.
    private func tell(_ memory: WorkerMemory, _ needs: WriterNeeds) {
        // Where nothing is encoded, it is the source that has large chunks.
        let chunks = needs.encodedBound > 0 ? "encoding chunks of \(humanSize(UInt64(needs.chunkSize)))" : "the source"
        let choice = writerOptions["profile"].map { "profile \($0)" } ?? chunks
        if let text = memory.remark(on: choice) { note(Note("\(target): \(text)")) }
    }
}

/// The directory of `path`: `.` where it names none.
func directoryName(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}

/// Where a backing file lies that the image at `image` names.
func pathOfBacking(named name: String, image: String) -> String {
    guard !name.hasPrefix("/"), image != Conversion.standardOutput else { return name }
    let directory = directoryName(of: realPath(image) ?? image)
    return directory == "." ? name : "\(directory)/\(name)"
}

/// The name by which the image at `image` refers to the file at `path`: relative where it lies in the image's directory
/// or below it, else absolute.
func nameInImage(of path: String, image: String) -> String {
    let fileName = path.lastIndex(of: "/").map { String(path[path.index(after: $0)...]) } ?? path
    guard let directory = realPath(directoryName(of: path)), let own = realPath(directoryName(of: image)) else {
        return path
    }
    if directory == own { return fileName.contains(":") ? "./\(fileName)" : fileName }
    let full = directory == "/" ? "/\(fileName)" : "\(directory)/\(fileName)"
    let prefix = own == "/" ? own : own + "/"
    return full.hasPrefix(prefix) ? String(full.dropFirst(prefix.count)) : full
}
