public import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The text of a system error number, as the C library says it.
func systemMessage(_ code: Int32) -> String {
    // SAFETY: strerror gives a terminated string that is copied before any other call.
    guard let text = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: text)
}

extension ImageError {
    /// A failed system call: what was tried, in which file, and what the system said.
    static func system(
        _ code: Code, _ attempt: String, file: String, errno number: Int32 = errno, at place: Place? = nil,
        advice: String? = nil
    ) -> ImageError {
        ImageError(
            code, "\(attempt): \(systemMessage(number))", at: place, file: file, advice: advice ?? hint(for: number),
            systemCode: number)
    }

    /// Whether the file system, or the user's share of it, is full.
    var isLackOfSpace: Bool { systemCode == ENOSPC || systemCode == EDQUOT }

    private static func hint(for number: Int32) -> String? {
        switch number {
        case ENOSPC: "The file system is full: free some space or choose another target."
        case EDQUOT: "Your quota is used up: free some space or choose another target."
        case EACCES, EPERM: "Check the permissions, or run as a user who has them."
        case EROFS: "The file system is mounted read-only: choose another target."
        case EIO: "The medium or its cable may be failing: look at the kernel's log."
        case EFBIG: "The file system cannot hold a file of this size: choose another target."
        default: nil
        }
    }
}

/// Repeats a system call that a signal interrupted.
func retrying<Value: FixedWidthInteger>(_ call: () -> Value) -> Value {
    while true {
        let result = call()
        if result == -1 && errno == EINTR { continue }
        return result
    }
}

extension ImageStamp {
    /// The present moment, and a random number.
    public static func now() -> ImageStamp {
        var moment = timespec()
        // SAFETY: the call fills the structure it is given.
        _ = unsafe clock_gettime(CLOCK_REALTIME, &moment)
        return ImageStamp(seconds: Int64(moment.tv_sec), uniqueID: (0..<16).map { _ in .random(in: 0...255) })
    }
}

extension stat {
    /// When the file was last changed, in seconds since 1970.
    var modificationSeconds: Int64 {
        #if canImport(Glibc)
            Int64(st_mtim.tv_sec)
        #else
            Int64(st_mtimespec.tv_sec)
        #endif
    }
}

// The C library's calls under names that no method hides.

func systemOpen(_ path: String, _ flags: Int32, _ mode: mode_t) -> Int32 { unsafe open(path, flags, mode) }

func systemClose(_ number: Int32) { _ = close(number) }

func systemRead(_ number: Int32, _ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int {
    unsafe read(number, bytes, count)
}

func systemWrite(_ number: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
    unsafe write(number, bytes, count)
}
