internal import CReimageSystem
public import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// What a path names.
public enum FileKind: Sendable, Hashable {
    case regular
    case blockDevice
    /// A pipe, socket, terminal or other character device: bytes come and go in order.
    case stream
    case directory
}

/// A file opened for reading, with what the store needs to know of it.
struct FileOpening {
    let file: FileDescriptor
    let kind: FileKind
    let identity: StoreIdentity
    let byteCount: UInt64
    let allocatedByteCount: UInt64
    let modificationSeconds: Int64

    /// Opens `path` whatever it names; a FIFO does not block.
    init(_ path: String) throws(ImageError) {
        // O_NONBLOCK keeps a FIFO without a writer from blocking here; it means nothing for files and disks.
        guard let file = FileDescriptor.open(path, O_RDONLY | O_NONBLOCK) else {
            throw .system(.unreadable, "cannot be opened", file: path)
        }
        let status = try file.status(.unreadable)
        self.file = file
        kind = FileKind(mode: status.st_mode)
        identity = StoreIdentity(status)
        allocatedByteCount = UInt64(status.st_blocks) * 512
        modificationSeconds = status.modificationSeconds
        switch kind {
        case .regular:
            byteCount = UInt64(status.st_size)
        case .blockDevice:
            var length: UInt64 = 0
            guard unsafe reimage_device_length(file.number, &length) == 0 else {
                throw .system(.unreadable, "the device's length cannot be found out", file: path)
            }
            byteCount = length
        case .stream, .directory:
            byteCount = 0
        }
    }

    static func regular(_ path: String) throws(ImageError) -> FileOpening { try of(.regular, path, "regular file") }

    static func blockDevice(_ path: String) throws(ImageError) -> FileOpening {
        try of(.blockDevice, path, "block device")
    }

    private static func of(_ kind: FileKind, _ path: String, _ what: String) throws(ImageError) -> FileOpening {
        let opening = try FileOpening(path)
        guard opening.kind == kind else { throw ImageError(.invalidArgument, "is no \(what)", file: path) }
        return opening
    }
}

extension FileKind {
    init(mode: mode_t) {
        switch mode & S_IFMT {
        case S_IFREG: self = .regular
        case S_IFBLK: self = .blockDevice
        case S_IFDIR: self = .directory
        default: self = .stream
        }
    }

    /// What `path` names, links followed; `nil` where there is nothing.
    /// - Throws: `code` where the system will not tell.
    public init?(path: String, orThrow code: ImageError.Code) throws(ImageError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            if errno == ENOENT { return nil }
            throw .system(code, "cannot be examined", file: path)
        }
        self.init(mode: status.st_mode)
    }
}

extension StoreIdentity {
    init(_ status: stat) {
        if status.st_mode & S_IFMT == S_IFBLK {
            self.init(device: UInt64(status.st_rdev), inode: 0)
        } else {
            self.init(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        }
    }

    /// The identity of what `path` names, links followed; `nil` where there is nothing to be named.
    public init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(status)
    }
}

/// How ``openStore(path:cache:)`` found a path.
public enum OpenedFile: Sendable {
    /// Readable at any offset.
    case store(any ByteStore)
    /// Readable front to back.
    case stream(any ByteStream)
}

/// Opens whatever `path` names for reading: a file or block device as a store, anything else as a stream.
///
/// - Throws: `.unreadable` where it cannot be opened, `.invalidArgument` for a directory.
public func openFile(
    path: String, cache: CachePolicy = .cached, cancellation: Cancellation? = nil
) throws(ImageError) -> OpenedFile {
    let opening = try FileOpening(path)
    switch opening.kind {
    case .regular: return .store(try FileStore(opening, cache: cache))
    case .blockDevice: return .store(try BlockDeviceStore(opening, cache: cache))
    case .stream: return .stream(PipeSource(opening.file, cancellation: cancellation))
    case .directory: throw ImageError(.invalidArgument, "is a directory, not a disk image", file: path)
    }
}
