internal import CReimageSystem
public import ReimageCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A file that appears under its name only when it is complete.
///
/// It is written as `.NAME.partial` beside its final place, under a lock, and renamed once it is on the medium. A
/// link is followed, so that the file it points to is the one replaced; mode and owner of a file that is replaced
/// are kept.
public final class PartialFile: Sendable {
    /// What to do with a file that is there already.
    public enum Existing: Sendable {
        case refuse
        case replace
    }

    /// Where the bytes go.
    public let sink: FileSink
    /// The path of the finished file, links followed.
    public let finalPath: String
    /// The path until then.
    public let partialPath: String
    private let displayName: String
    private let existing: Existing
    private let state = Mutex(State.open)

    private enum State { case open, committed, discarded }

    /// Makes the partial file for `path`.
    ///
    /// - Parameter keepsContent: a partial file that is there already stays as it is, to be gone on with.
    /// - Throws: `.refused` where `path` exists and may not be replaced, or is being written by another process.
    public init(
        for path: String, existing: Existing, keepsContent: Bool = false, cache: CachePolicy = .direct
    ) throws(ImageError) {
        displayName = path
        self.existing = existing
        finalPath = try Self.resolved(path)
        let (directory, name) = Self.split(finalPath)
        if existing == .refuse, StoreIdentity(path: finalPath) != nil { throw Self.exists(path) }
        partialPath = directory + "." + name + ".partial"
        let file = try Self.openLocked(partialPath, for: path)
        guard keepsContent || ftruncate(file.number, 0) == 0 else {
            throw .system(.targetFailed, "the partial file cannot be emptied", file: partialPath)
        }
        sink = FileSink(file, startsZeroed: true, isNew: true, cache: cache)
    }

    deinit { discard() }

    /// Makes everything durable and gives the file its name.
    public func commit() throws(ImageError) {
        try sink.sync()
        try adoptOwnership()
        try state.withLock { (state) throws(ImageError) in
            guard state == .open else { return }
            try rename()
            state = .committed
        }
        Self.syncDirectory(of: finalPath)
    }

    /// Removes the partial file; does nothing after ``commit()``.
    public func discard() {
        state.withLock { state in
            guard state == .open else { return }
            _ = unsafe unlink(partialPath)
            state = .discarded
        }
    }

    /// Leaves the partial file where it is, for a later ``init(for:existing:keepsContent:cache:)``.
    public func keep() { state.withLock { if $0 == .open { $0 = .discarded } } }

    private func rename() throws(ImageError) {
        let done: Int32
        switch existing {
        case .replace: done = systemRename(partialPath, finalPath)
        case .refuse:
            // A link fails where the name was taken meanwhile; file systems without links get a plain rename.
            if unsafe link(partialPath, finalPath) == 0 {
                _ = unsafe unlink(partialPath)
                return
            }
            if errno == EEXIST { throw Self.exists(displayName) }
            done = systemRename(partialPath, finalPath)
        }
        guard done == 0 else { throw .system(.targetFailed, "cannot be given its name", file: displayName) }
    }

    private func adoptOwnership() throws(ImageError) {
        var status = stat()
        guard unsafe stat(finalPath, &status) == 0 else { return }
        // Who may not give files away keeps its own ownership, and then no more rights than the old file gave.
        let keepsOwner = fchown(sink.file.number, status.st_uid, status.st_gid) == 0
        let mode = status.st_mode & (keepsOwner ? 0o7777 : 0o777)
        guard fchmod(sink.file.number, mode) == 0 else {
            throw .system(.targetFailed, "its permissions cannot be set", file: displayName)
        }
    }

    private static func exists(_ path: String) -> ImageError {
        ImageError(
            .refused, "exists already", file: path, advice: "Pass --force to replace it, or choose another name.")
    }

    private static func openLocked(_ path: String, for name: String) throws(ImageError) -> FileDescriptor {
        // Whoever finished between our open and our lock took the file away with its name: then begin again.
        for _ in 0..<100 {
            guard let file = FileDescriptor.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, name: name) else {
                throw .system(.targetFailed, "cannot be created", file: name)
            }
            guard reimage_lock(file.number) == 0 else {
                throw ImageError(
                    .refused, "is being written by another process", file: name,
                    advice: "Wait until that is done, or choose another name.")
            }
            let mine = StoreIdentity(try file.status(.targetFailed))
            if StoreIdentity(path: path) == mine { return file }
        }
        throw ImageError(.targetFailed, "its partial file keeps changing under us", file: name)
    }

    /// The real path of what `path` names, whose last part need not exist yet.
    private static func resolved(_ path: String) throws(ImageError) -> String {
        if let whole = realPath(path) { return whole }
        var status = stat()
        if unsafe lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFLNK {
            throw ImageError(
                .targetFailed, "is a link to a file that does not exist", file: path,
                advice: "Remove the link, or name the file itself.")
        }
        let (directory, name) = split(path)
        guard !name.isEmpty, name != ".", name != ".." else {
            throw ImageError(.invalidArgument, "is no name for a file", file: path)
        }
        guard let parent = realPath(directory.isEmpty ? "." : directory) else {
            throw .system(.targetFailed, "its directory cannot be found", file: path)
        }
        return parent == "/" ? parent + name : parent + "/" + name
    }

    private static func split(_ path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return ("", path) }
        return (String(path[...slash]), String(path[path.index(after: slash)...]))
    }

    private static func syncDirectory(of path: String) {
        // The data is safe already; a file system that cannot sync a directory makes the name durable in its own time.
        let directory = split(path).directory
        guard let file = FileDescriptor.open(directory.isEmpty ? "." : directory, O_RDONLY) else { return }
        _ = reimage_sync(file.number)
    }
}

/// `rename` by a name that no method hides.
private func systemRename(_ old: String, _ new: String) -> Int32 { unsafe rename(old, new) }

/// The absolute path of what `path` names with every link followed; `nil` with `errno` set where there is nothing.
public func realPath(_ path: String) -> String? {
    // SAFETY: realpath allocates the text, which is copied and freed here.
    guard let text = unsafe realpath(path, nil) else { return nil }
    defer { unsafe free(text) }
    return unsafe String(cString: text)
}
