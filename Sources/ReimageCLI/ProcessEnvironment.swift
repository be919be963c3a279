#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The environment that the process was started in.
enum ProcessEnvironment {
    /// The value of `name`; `nil` where it is not set or empty.
    static subscript(name: String) -> String? {
        // SAFETY: getenv gives a terminated string that is copied at once; nothing here changes the environment.
        guard let value = unsafe getenv(name) else { return nil }
        let text = unsafe String(cString: value)
        return text.isEmpty ? nil : text
    }
}
