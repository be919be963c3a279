/// A GUID as GPT stores it: the first three groups little-endian, the other two as they are written.
/// - Source: UEFI specification, appendix A.
public struct GUID: Sendable, Hashable {
    /// The 16 stored bytes.
    public let bytes: [UInt8]

    /// The place of each stored byte in the written form.
    private static let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15]

    /// Of 16 stored bytes; missing ones are zero, and further ones are left out.
    init(stored bytes: some Sequence<UInt8>) {
        let bytes = Array(bytes.prefix(16))
        self.bytes = bytes + [UInt8](repeating: 0, count: 16 - bytes.count)
    }

    /// The GUID that `text` says, with or without dashes; `nil` for anything else.
    public init?(_ text: String) {
        let digits = text.filter { $0 != "-" }.compactMap(\.hexDigitValue)
        guard digits.count == 32, text.allSatisfy({ $0.isHexDigit || $0 == "-" }) else { return nil }
        let written = stride(from: 0, to: 32, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
        bytes = Self.order.map { written[$0] }
    }

    /// A random one of version 4, from the 128 bits that two calls of `next` give.
    /// - Source: RFC 9562, 5.4.
    init(random next: () -> UInt64) {
        var written = [next(), next()].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        written[6] = written[6] & 0x0F | 0x40
        written[8] = written[8] & 0x3F | 0x80
        bytes = Self.order.map { written[$0] }
    }

    /// All zero: no type, which marks an unused entry.
    public var isZero: Bool { bytes.allSatisfy { $0 == 0 } }
}

extension GUID: CustomStringConvertible {
    /// The written form in capitals, as the tools of GPT show it.
    public var description: String { dashed(hex(Self.order.map { bytes[$0] }), [8, 4, 4, 4, 12]).uppercased() }
}
