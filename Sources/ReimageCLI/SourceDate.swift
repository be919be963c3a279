internal import ArgumentParser
internal import ReimageCore
internal import ReimageSystem

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The environment's wish for output that is the same at any time: `SOURCE_DATE_EPOCH`, as reproducible-builds.org has
/// it.
enum SourceDate {
    private static let variable = "SOURCE_DATE_EPOCH"

    /// The stamp of a new image: the moment that the environment names and a number from the content, else now and a
    /// random number.
    static func stamp() throws -> ImageStamp {
        // SAFETY: the text is copied before anything could change the environment.
        guard let value = unsafe getenv(variable) else { return .now() }
        let text = unsafe String(cString: value)
        guard let seconds = Int64(text), seconds >= 0 else {
            throw ValidationError(
                "The environment variable \(variable) is '\(text)'; it takes a number of seconds since 1970.")
        }
        return ImageStamp(seconds: seconds)
    }
}
