internal import CReimageSystem
internal import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// An open file descriptor: closed with its last reference, read and written at positions.
///
/// Partial counts and interrupted calls end here; above, a call fills or throws.
final class FileDescriptor: Sendable {
    let number: Int32
    let name: String
    private let isOwned: Bool

    /// Takes `number` over; closes it at the end where `isOwned`.
    init(_ number: Int32, name: String, isOwned: Bool = true) {
        self.number = number
        self.name = name
        self.isOwned = isOwned
    }

    deinit { if isOwned { systemClose(number) } }

    /// Opens `path`; `nil` with `errno` set where that fails.
    static func open(_ path: String, _ flags: Int32, mode: mode_t = 0o666, name: String? = nil) -> FileDescriptor? {
        let number = retrying { systemOpen(path, flags | O_CLOEXEC | O_NOCTTY, mode) }
        return number < 0 ? nil : FileDescriptor(number, name: name ?? path)
    }

    /// A second descriptor of the same file, past the page cache; `nil` where the file system has no direct I/O.
    ///
    /// It is opened through the descriptor and not by name, so that it cannot be another file.
    func reopenedDirect(_ flags: Int32) -> FileDescriptor? {
        let direct = Self.open("/proc/self/fd/\(number)", flags | reimage_direct_flag(), name: name)
        guard let direct, reimage_bypass_cache(direct.number) >= 0 else { return nil }
        return direct
    }

    /// What the system knows of the file.
    func status(_ code: ImageError.Code) throws(ImageError) -> stat {
        var status = stat()
        guard unsafe fstat(number, &status) == 0 else { throw .system(code, "cannot be examined", file: name) }
        return status
    }

    /// Fills `buffer` from `offset`, and gives the number of bytes before the end of the file was met.
    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) -> Int {
        // SAFETY: pread writes only inside the borrowed bytes.
        let (done, failure): (Int, Int32) = unsafe buffer.withUnsafeMutableBytes { bytes in
            var done = 0
            while done < bytes.count {
                guard let base = bytes.baseAddress else { break }
                let count = retrying {
                    unsafe pread(number, base + done, bytes.count - done, off_t(offset.value) + off_t(done))
                }
                if count < 0 { return (done, errno) }
                if count == 0 { break }
                done += count
            }
            return (done, 0)
        }
        guard failure == 0 else {
            throw .system(
                .unreadable, "reading failed", file: name, errno: failure, at: .host(offset + UInt64(done)))
        }
        return done
    }

    /// Fills `buffer` from `offset` as far as the page cache holds it; 0 where it cannot be told.
    func readCached(into buffer: inout MutableRawSpan, at offset: HostOffset) -> Int {
        // SAFETY: preadv2 writes only inside the borrowed bytes.
        unsafe buffer.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return 0 }
            let count = retrying {
                unsafe reimage_read_cached(number, base, bytes.count, off_t(offset.value))
            }
            return max(0, count)
        }
    }

    /// Writes all of `bytes` at `offset`.
    func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        // SAFETY: pwrite reads only inside the borrowed bytes.
        let (done, failure): (Int, Int32) = unsafe bytes.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                guard let base = bytes.baseAddress else { break }
                let count = retrying {
                    unsafe pwrite(number, base + done, bytes.count - done, off_t(offset.value) + off_t(done))
                }
                if count < 0 { return (done, errno) }
                if count == 0 { return (done, ENOSPC) }
                done += count
            }
            return (done, 0)
        }
        guard failure == 0 else {
            throw .system(
                .targetFailed, "writing failed", file: name, errno: failure, at: .host(offset + UInt64(done)))
        }
    }
}
