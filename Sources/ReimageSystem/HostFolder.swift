public import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Makes the folder at `path`, and those above it, as far as they are missing; only their owner may look into them.
/// - Throws: `.targetFailed`.
public func makeFolder(_ path: String) throws(ImageError) {
    guard unsafe mkdir(path, 0o700) != 0, errno != EEXIST else { return }
    if errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex {
        try makeFolder(String(path[..<slash]))
        if unsafe mkdir(path, 0o700) == 0 || errno == EEXIST { return }
    }
    throw .system(.targetFailed, "the folder cannot be made", file: path)
}

/// Makes the names in the folder of the file at `path` durable.
func syncFolder(of path: String) throws(ImageError) {
    let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard let opened = FileDescriptor.open(folder, O_RDONLY | O_DIRECTORY), fsync(opened.number) == 0 else {
        throw .system(.targetFailed, "the folder's names did not reach the medium", file: folder)
    }
}

/// Whether this process runs as root.
public var isRoot: Bool { geteuid() == 0 }
