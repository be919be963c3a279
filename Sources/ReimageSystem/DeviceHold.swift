internal import CReimageSystem
public import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A block device that nobody else can mount or claim, from making this until it is let go.
public final class DeviceHold: Sendable {
    private let file: FileDescriptor

    /// Holds the device at `path`, for reading.
    /// - Throws: `.refused` where somebody else holds it, `.unreadable` where it cannot be opened.
    public init(_ path: String) throws(ImageError) {
        guard let file = FileDescriptor.open(path, O_RDONLY | O_EXCL | O_NONBLOCK) else {
            guard errno == EBUSY else { throw .system(.unreadable, "cannot be opened", file: path) }
            throw ImageError(
                .refused, "is in use: it cannot be held exclusively", file: path,
                advice: "See what uses it: reimage devices \(path)", systemCode: EBUSY)
        }
        self.file = file
    }

    /// Brings what was written through the node at `path` to the medium.
    ///
    /// A disk and each of its partitions have caches of their own: what went through one is not seen through another
    /// before.
    public static func writeBack(_ path: String) throws(ImageError) {
        guard let file = FileDescriptor.open(path, O_RDONLY | O_NONBLOCK) else {
            throw .system(.unreadable, "cannot be opened", file: path)
        }
        guard reimage_sync(file.number) == 0 else {
            throw .system(.unreadable, "what its cache holds cannot be written to the medium", file: path)
        }
        _ = reimage_drop_cache(file.number, 0, 0)
    }
}
