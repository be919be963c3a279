#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

extension RawSpan {
    /// The first byte that differs from `other`, which is as long; `nil` where all are equal.
    public func firstDifference(from other: RawSpan) -> Int? {
        precondition(byteCount == other.byteCount, "only spans of one length are compared")
        let count = byteCount
        // SAFETY: every access lies inside both borrowed spans, which are `count` bytes long.
        return unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                guard let first = left.baseAddress, let second = right.baseAddress else { return nil }
                // The C library compares by the widest vectors of the processor, but does not say where.
                var offset = 0
                while offset < count {
                    let piece = min(4096, count - offset)
                    if unsafe memcmp(first + offset, second + offset, piece) != 0 { break }
                    offset += piece
                }
                while offset < count {
                    if unsafe left[offset] != right[offset] { return offset }
                    offset += 1
                }
                return nil
            }
        }
    }
}
