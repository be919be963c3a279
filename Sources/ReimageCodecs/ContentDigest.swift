/// The content digest RDD1 of a disk: equal for every format that holds the same bytes.
///
/// It is the root of a binary tree of SHA-256 over 64 KiB leaves, bound to the disk's length. Printed as
/// `rdd1:` and 64 hexadecimal digits.
public struct ContentDigest: Hashable, Sendable, CustomStringConvertible {
    /// The 32 bytes.
    public let hash: Hash256

    /// A digest of these 32 bytes.
    public init(hash: Hash256) { self.hash = hash }

    /// The digest of a disk of `byteCount` bytes whose tree has the root `root`.
    public init(root: Hash256, byteCount: UInt64) {
        var text = Array("RIMG-RDD1-SHA256".utf8)
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            text.append(UInt8(truncatingIfNeeded: byteCount >> shift))
        }
        text.append(contentsOf: root.bytes)
        hash = SHA256Hasher.hash(text)
    }

    /// The digest that `description` printed; `nil` for anything else.
    public init?(_ text: String) {
        guard text.hasPrefix(Self.prefix), let hash = Hash256(hex: String(text.dropFirst(Self.prefix.count))) else {
            return nil
        }
        self.hash = hash
    }

    private static let prefix = "rdd1:"

    public var description: String { Self.prefix + hash.description }
}
