internal import CDeflate
internal import ReimageCore

/// CRC-32 as zlib, GPT and gzip use it.
public enum CRC32 {
    /// The checksum of `bytes`. Safe from any thread.
    public static func checksum(_ bytes: RawSpan) -> UInt32 {
        // SAFETY: the library reads inside the borrow and keeps nothing.
        unsafe bytes.withUnsafeBytes { bytes in
            // 0 is the start value, and the checksum of nothing.
            unsafe libdeflate_crc32(0, bytes.baseAddress, bytes.count)
        }
    }

    /// The checksum of `bytes`.
    public static func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withBytes { checksum($0) } }
}
