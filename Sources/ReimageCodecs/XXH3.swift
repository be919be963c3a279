internal import CXXHash
internal import ReimageCore

/// XXH3 in its 64 bit form with seed 0: finds accidents in stored bytes, and is no defence against an attacker.
///
/// - Source: the XXH3 algorithm of xxHash, stable since version 0.8.0.
public enum XXH3 {
    /// The hash of `bytes`. Safe from any thread.
    public static func hash64(_ bytes: RawSpan) -> UInt64 {
        // SAFETY: the library reads inside the borrow and keeps nothing.
        unsafe bytes.withUnsafeBytes { unsafe XXH3_64bits($0.baseAddress, $0.count) }
    }
}
