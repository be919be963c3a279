public import ReimageCore

/// A hash of 32 bytes, for instance by SHA-256.
@frozen
public struct Hash256: Hashable, Sendable {
    /// The length in bytes.
    public static let byteCount = 32

    // The bytes in order, eight to a word: comparing and hashing four numbers needs no buffer.
    private let words: SIMD4<UInt64>

    /// The hash made of the 32 bytes of `bytes`.
    /// - Throws: `.damaged` where there are fewer or more.
    public init(_ bytes: RawSpan) throws(ImageError) {
        guard bytes.byteCount == Self.byteCount else {
            throw .damaged("a hash of \(bytes.byteCount) bytes should have \(Self.byteCount)")
        }
        self.init(
            try bytes.big(at: 0), try bytes.big(at: 8), try bytes.big(at: 16), try bytes.big(at: 24))
    }

    init(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64) {
        words = SIMD4(first, second, third, fourth)
    }

    /// The hash that 64 hexadecimal digits of either case spell; `nil` for any other text.
    public init?(hex text: some StringProtocol) {
        let digits = text.utf8
        guard digits.count == 2 * Self.byteCount else { return nil }
        var words = SIMD4<UInt64>()
        for (index, digit) in digits.enumerated() {
            guard let value = Self.value(ofHexDigit: digit) else { return nil }
            words[index / 16] = words[index / 16] << 4 | value
        }
        self.words = words
    }

    private static func value(ofHexDigit digit: UInt8) -> UInt64? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(digit - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(digit - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(digit - UInt8(ascii: "A") + 10)
        default: nil
        }
    }

    /// The byte at `index`, 0 to 31.
    public subscript(index: Int) -> UInt8 {
        UInt8(truncatingIfNeeded: words[index / 8] >> UInt64(56 - index % 8 * 8))
    }

    /// The 32 bytes.
    public var bytes: [UInt8] { (0..<Self.byteCount).map { self[$0] } }

    /// Stores the 32 bytes at byte `offset` of `target`, where they must fit.
    public func store(in target: inout MutableRawSpan, at offset: Int = 0) {
        for index in 0..<4 { target.storeBig(words[index], at: offset + index * 8) }
    }
}

extension Hash256: CustomStringConvertible {
    /// The hash as 64 lower-case hexadecimal digits.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
