internal import ReimageCore
internal import ReimageSystem

/// Which files an image may refer to.
///
/// An image is somebody else's word: without a policy it could have any file of this machine copied into the output.
public struct ReferencePolicy: Sendable, Hashable {
    /// Directories, besides the image's own, whose files may be referred to.
    public var directories: [String]
    /// Whether any file may be.
    public var allowsAny: Bool
    /// How many images may lie below one another.
    public var maximumDepth: Int

    /// By default: files in the image's own directory or below it, ten deep.
    public init(directories: [String] = [], allowsAny: Bool = false, maximumDepth: Int = 10) {
        self.directories = directories
        self.allowsAny = allowsAny
        self.maximumDepth = maximumDepth
    }

    /// Whether a file at `realPath` may be opened for an image that lies in `ownDirectories`.
    func allows(_ realPath: String, ownDirectories: [String]) -> Bool {
        if allowsAny { return true }
        let roots = ownDirectories + directories.compactMap(ReimageSystem.realPath)
        return roots.contains { root in
            realPath.hasPrefix(root.hasSuffix("/") ? root : root + "/")
        }
    }
}

/// Opens what images refer to as files of this machine, within a ``ReferencePolicy``.
struct FileReferenceResolver: ReferenceResolver {
    let opener: ImageOpener
    /// The files from the top image down to the one that refers.
    let chain: [StoreIdentity]
    /// Whether the image that refers was itself referred to without a format, and found out by its bytes: a guest
    /// can write such bytes, so it must not choose files.
    let imageWasProbed: Bool

    func openImage(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any DiskImage {
        try openImage(reference, of: source) { _ in }
    }

    func openImage(
        _ reference: Reference, of source: ImageSource, accept: (any DiskImage) throws(ImageError) -> Void
    ) throws(ImageError) -> any DiskImage {
        try first(of: reference, source) { (path, store) throws(ImageError) in
            let image = try openImage(reference, of: source, path, store)
            try accept(image)
            return image
        }
    }

    private func openImage(
        _ reference: Reference, of source: ImageSource, _ path: String, _ store: any ByteStore
    ) throws(ImageError) -> any DiskImage {
        let depth = chain.count
        guard depth <= opener.references.maximumDepth else {
            throw refusal(
                reference, source, "lies \(depth) images deep",
                "Pass --max-depth \(depth) or more if this chain is right.")
        }
        if reference.format == nil {
            opener.note(
                Note(
                    "\(source.name): its \(reference.role) '\(reference.name)' has no declared format; "
                        + "it was found out from the file's bytes."))
        }
        var below = chain
        if let identity = store.identity { below.append(identity) }
        let resolver = FileReferenceResolver(
            opener: opener, chain: below, imageWasProbed: reference.format == nil)
        let context = OpenContext(
            references: resolver, options: opener.options, decoderMemoryLimit: opener.decoderMemoryLimit,
            cancellation: opener.cancellation,
            note: opener.note)
        return try opener.open(ImageSource(store: store, path: path), format: reference.format, context).image
    }

    func openStore(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any ByteStore {
        try first(of: reference, source) { (_, store) in store }
    }

    func openForUpdate(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any UpdatableStore {
        try first(of: reference, source) { (path, _) throws(ImageError) in try UpdatableFile(path: path) }
    }

    /// What `open` makes of the first file that `reference` may mean and that it takes.
    private func first<Opened>(
        of reference: Reference, _ source: ImageSource,
        _ open: (String, any ByteStore) throws(ImageError) -> Opened
    ) throws(ImageError) -> Opened {
        guard let imagePath = source.path else {
            throw refusal(reference, source, "cannot be found, because the image has no directory", nil)
        }
        let names = [reference.name] + reference.otherNames
        for name in names { try checkName(name, reference, source) }
        if imageWasProbed, !opener.references.allowsAny {
            throw refusal(
                reference, source, "is not followed, because the format of the image that names it was not declared",
                "If the image is trusted, pass --allow-references any.")
        }
        let own = ownDirectories(of: imagePath)
        var lookedFor: [String] = []
        var failure: ImageError?
        for candidates in candidates(for: names, own) {
            guard let path = existing(candidates) else {
                lookedFor += candidates.filter { !lookedFor.contains($0) }
                continue
            }
            do throws(ImageError) {
                return try open(path, try openFile(at: path, own, reference, source))
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
        throw ImageError(
            .unreadable, "its \(reference.role) '\(reference.name)' is not there", file: source.name,
            advice: "Looked for \(lookedFor.joined(separator: " and ")).")
    }

    private func openFile(
        at path: String, _ own: [String], _ reference: Reference, _ source: ImageSource
    ) throws(ImageError) -> any ByteStore {
        let allowed = own + opener.parentDirectories.compactMap(realPath)
        guard opener.references.allows(path, ownDirectories: allowed) else {
            throw refusal(
                reference, source, "lies outside the image's own directory (\(path))",
                "If the image is trusted, pass --allow-references \(directoryName(of: path)).")
        }
        let opened = try ReimageSystem.openFile(path: path, cache: opener.cache)
        guard case .store(let store) = opened else {
            throw refusal(reference, source, "is neither a file nor a disk (\(path))", nil)
        }
        if let identity = store.identity, chain.contains(identity) {
            throw refusal(
                reference, source, "is an image above it in the same chain: the chain is a loop",
                "No flag allows this: the image must be given another \(reference.role).")
        }
        return store
    }

    private func checkName(
        _ name: String, _ reference: Reference, _ source: ImageSource
    ) throws(ImageError) {
        guard !name.isEmpty, !name.utf8.contains(0) else {
            throw ImageError(.damaged, "the name of its \(reference.role) is no file name", file: source.name)
        }
        let beforeSlash = name.prefix { $0 != "/" }
        guard !beforeSlash.contains(":") else {
            throw refusal(
                reference, source, "is not a plain file name but a protocol or a description",
                "Such names are never followed, and no flag allows it (--allow-references is for files). "
                    + "Bring the data into a file, and let the image name that; a file name with a colon needs './'.")
        }
    }

    /// The directories that count as the image's own: where it was found, and where it really lies if that was a link.
    private func ownDirectories(of imagePath: String) -> [String] {
        var own: [String] = []
        for path in [imagePath, realPath(imagePath) ?? imagePath] {
            guard let directory = realPath(directoryName(of: path)), !own.contains(directory) else { continue }
            own.append(directory)
        }
        return own
    }

    /// Where the file may be, in the order of trying: each name from the image's own directories, of which the first
    /// that has it counts, then the last part of each in every directory that the user named for it.
    private func candidates(for names: [String], _ own: [String]) -> [[String]] {
        var candidates = names.map { name in name.hasPrefix("/") ? [name] : own.map { "\($0)/\(name)" } }
        for directory in opener.parentDirectories {
            for name in names {
                let last = name.lastIndex(of: "/").map { String(name[name.index(after: $0)...]) } ?? name
                let candidate = ["\(directory)/\(last)"]
                if !last.isEmpty, last != "..", !candidates.contains(candidate) { candidates.append(candidate) }
            }
        }
        return candidates
    }

    /// The real path of the first file that is there.
    private func existing(_ candidates: [String]) -> String? {
        for candidate in candidates {
            let path = realPath(candidate)
            if let substitute = opener.substitutes[path ?? candidate] { return substitute }
            if let path { return path }
        }
        return nil
    }

    private func refusal(
        _ reference: Reference, _ source: ImageSource, _ reason: String, _ advice: String?
    ) -> ImageError {
        ImageError(
            .refused, "its \(reference.role) '\(reference.name)' \(reason)", file: source.name, advice: advice)
    }
}
