public import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif
internal import CReimageSystem

/// A regular file that is changed in place, under a lock.
///
/// Reads and writes go through the page cache, so that each sees what came before it. One caller changes it at a time.
public final class UpdatableFile: UpdatableStore {
    public let id = StoreID()
    public let identity: StoreIdentity?
    public let modificationSeconds: Int64?
    private let sink: FileSink

    /// Opens the regular file at `path`.
    /// - Throws: `.targetFailed` where it cannot be opened for writing or is locked, `.invalidArgument` where it is no
    ///   regular file.
    public convenience init(path: String) throws(ImageError) {
        guard let file = FileDescriptor.open(path, O_RDWR) else {
            throw .system(.targetFailed, "cannot be opened for writing", file: path)
        }
        try self.init(file)
    }

    /// Makes the file at `path`, which only its owner may read, and its name durable.
    /// - Throws: `.refused` where there is something of that name.
    public convenience init(creating path: String) throws(ImageError) {
        guard let file = FileDescriptor.open(path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600) else {
            guard errno == EEXIST else { throw .system(.targetFailed, "cannot be made", file: path) }
            throw ImageError(.refused, "exists already", file: path, advice: "Choose another name.")
        }
        try self.init(file)
        try syncFolder(of: path)
    }

    private init(_ file: FileDescriptor) throws(ImageError) {
        let status = try file.status(.targetFailed)
        guard FileKind(mode: status.st_mode) == .regular else {
            throw ImageError(.invalidArgument, "is no regular file", file: file.name)
        }
        guard reimage_lock(file.number) == 0 else {
            throw ImageError(
                .refused, "is being written by another process", file: file.name,
                advice: "Wait until that is done; a running virtual machine must be shut down first.")
        }
        identity = StoreIdentity(status)
        modificationSeconds = status.modificationSeconds
        sink = FileSink(file, startsZeroed: false, cache: .cached)
    }

    public var name: String { sink.name }
    public var traits: StoreTraits { sink.traits }
    public var byteCount: UInt64 { (try? sink.currentByteCount()) ?? 0 }
    public var allocatedByteCount: UInt64? {
        (try? sink.file.status(.unreadable)).map { UInt64($0.st_blocks) * 512 }
    }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let wanted = buffer.byteCount
        let count = try sink.file.read(into: &buffer, at: offset)
        guard count == wanted else {
            throw ImageError(
                .unreadable, "a read of \(wanted) bytes passes the end (\(byteCount) bytes)", at: .host(offset),
                file: name)
        }
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        sink.file.extent(at: offset, limit: limit, byteCount: byteCount)
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        try sink.write(bytes, at: offset)
    }

    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) { try sink.zero(range, mode: mode) }

    public func setByteCount(_ count: UInt64) throws(ImageError) { try sink.setByteCount(count) }

    public func sync() throws(ImageError) { try sink.sync() }
}
