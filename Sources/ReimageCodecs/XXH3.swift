internal import CXXHash
public import ReimageCore

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

/// The same hash of bytes that come piece by piece. One thread.
@safe
public final class XXH3Hasher {
    // SAFETY (whole class): the state is made once, never lent out, and freed once.
    private let state: OpaquePointer

    /// - Throws: `.exhausted` where there is no memory.
    public init() throws(ImageError) {
        guard let state = unsafe XXH3_createState() else {
            throw ImageError(.exhausted, "there is no memory for a hash")
        }
        unsafe self.state = state
        unsafe _ = XXH3_64bits_reset(state)
    }

    deinit { unsafe _ = XXH3_freeState(state) }

    /// Adds the next bytes.
    public func add(_ bytes: RawSpan) {
        unsafe bytes.withUnsafeBytes { unsafe _ = XXH3_64bits_update(state, $0.baseAddress, $0.count) }
    }

    /// The hash of all bytes so far.
    public var hash: UInt64 { unsafe XXH3_64bits_digest(state) }
}
