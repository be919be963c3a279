internal import Crypto
internal import ReimageCore

/// SHA-256 in the shapes that hash trees need. Safe from any thread.
public enum SHA256Hasher {
    /// The hash of `prefix` followed by `bytes`.
    public static func hash(prefix: UInt8, _ bytes: RawSpan) -> Hash256 {
        var state = SHA256()
        // SAFETY: the hasher reads inside the borrow and keeps nothing.
        unsafe withUnsafeBytes(of: prefix) { unsafe state.update(bufferPointer: $0) }
        unsafe bytes.withUnsafeBytes { unsafe state.update(bufferPointer: $0) }
        return Hash256(state.finalize())
    }

    /// The hash of `prefix` followed by two hashes: a node of a hash tree.
    public static func hash(prefix: UInt8, _ left: Hash256, _ right: Hash256) -> Hash256 {
        var state = SHA256()
        var node: InlineArray<65, UInt8> = InlineArray(repeating: prefix)
        var elements = node.mutableSpan
        // SAFETY: bytes have no padding, and any byte is a valid element.
        var bytes = unsafe elements.mutableBytes
        left.store(in: &bytes, at: 1)
        right.store(in: &bytes, at: 1 + Hash256.byteCount)
        // SAFETY: the hasher reads inside the borrow and keeps nothing.
        unsafe bytes.withUnsafeBytes { unsafe state.update(bufferPointer: $0) }
        return Hash256(state.finalize())
    }

    /// The hash of `bytes`.
    public static func hash(_ bytes: [UInt8]) -> Hash256 {
        var state = SHA256()
        // SAFETY: the hasher reads inside the borrow and keeps nothing.
        unsafe bytes.withUnsafeBytes { unsafe state.update(bufferPointer: $0) }
        return Hash256(state.finalize())
    }
}

extension Hash256 {
    fileprivate init(_ digest: SHA256Digest) {
        // SAFETY: a SHA-256 digest is 32 bytes; each of the four loads lies inside them.
        self = unsafe digest.withUnsafeBytes { bytes in
            func word(_ index: Int) -> UInt64 {
                UInt64(bigEndian: unsafe bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
            }
            return Hash256(word(0), word(1), word(2), word(3))
        }
    }
}
