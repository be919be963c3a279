public import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The bytes that this user can still write to the file system holding `path`.
/// - Throws: `.targetFailed` where the system will not tell.
public func freeSpace(at path: String) throws(ImageError) -> UInt64 {
    var status = statvfs()
    guard unsafe statvfs(path, &status) == 0 else {
        throw .system(.targetFailed, "its file system cannot be examined", file: path)
    }
    let blocks = geteuid() == 0 ? UInt64(status.f_bfree) : UInt64(status.f_bavail)
    let (bytes, overflow) = blocks.multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return overflow ? .max : bytes
}
