internal import ReimageCore

#if canImport(Darwin)
    internal import Darwin
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Glibc
#endif

// In debug builds a loop over the elements of an array takes longer than the rest of a test.

extension [UInt8] {
    func isSame(as other: ArraySlice<UInt8>) -> Bool {
        guard count == other.count, count > 0 else { return count == other.count }
        // SAFETY: both buffers hold `count` bytes for the length of the closures.
        return unsafe withUnsafeBytes { left in
            unsafe other.withUnsafeBytes { right in
                guard let left = left.baseAddress, let right = right.baseAddress else { return false }
                return unsafe memcmp(left, right, other.count) == 0
            }
        }
    }
}

extension ArraySlice<UInt8> {
    var isZero: Bool {
        // SAFETY: the span does not outlive the borrow.
        unsafe withUnsafeBytes { unsafe $0.bytes.isZero }
    }
}
