/// One way to spoil an image, for tests that nothing bad comes of it.
public struct Damage: Hashable, Sendable, CustomStringConvertible {
    /// A place in an image that has a name in its specification.
    public struct Field: Hashable, Sendable {
        /// The name, for messages.
        public var name: String
        /// The first byte.
        public var offset: Int
        /// The length in bytes, 1 to 8 for numbers.
        public var size: Int

        public init(_ name: String, at offset: Int, size: Int) {
            self.name = name
            self.offset = offset
            self.size = size
        }
    }

    private enum Change: Hashable, Sendable {
        case cut(Int)
        case flip(bit: Int)
        case set(at: Int, [UInt8])
    }

    private let change: Change
    /// What is spoiled, and how.
    public let description: String

    private init(_ change: Change, _ description: String) {
        self.change = change
        self.description = description
    }

    /// The image ends after `count` bytes.
    public static func cut(at count: Int) -> Damage { Damage(.cut(count), "cut to \(count) bytes") }

    /// Bit `bit` of byte `offset` is flipped; bit 0 is the lowest.
    public static func flip(bit: Int, at offset: Int) -> Damage {
        Damage(.flip(bit: offset * 8 + bit), "bit \(bit) of byte \(offset) flipped")
    }

    /// The bytes from `offset` are replaced.
    public static func set(_ bytes: [UInt8], at offset: Int) -> Damage {
        Damage(.set(at: offset, bytes), "\(bytes.count) bytes at \(offset) replaced")
    }

    /// `field` holds `value`, big-endian.
    public static func set(_ field: Field, to value: UInt64) -> Damage {
        let bytes = (0..<field.size).reversed().map { index in
            index < 8 ? UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) : 0
        }
        return Damage(.set(at: field.offset, bytes), "\(field.name) set to \(value)")
    }

    /// All bits of `field` are cleared.
    public static func clear(_ field: Field) -> Damage {
        Damage(.set(at: field.offset, [UInt8](repeating: 0, count: field.size)), "\(field.name) cleared")
    }

    /// All bits of `field` are set.
    public static func fill(_ field: Field) -> Damage {
        Damage(.set(at: field.offset, [UInt8](repeating: 0xFF, count: field.size)), "\(field.name) all ones")
    }

    /// `field` holds random bytes.
    public static func randomise(_ field: Field, using random: inout SeededGenerator) -> Damage {
        let bytes = (0..<field.size).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        return Damage(.set(at: field.offset, bytes), "\(field.name) set to \(bytes)")
    }

    /// A spoiled copy of `image`; what lies past its end is left out.
    public func applied(to image: [UInt8]) -> [UInt8] {
        var image = image
        switch change {
        case .cut(let count): image.removeLast(max(0, image.count - count))
        case .flip(let bit): if bit / 8 < image.count { image[bit / 8] ^= 1 << UInt8(bit % 8) }
        case .set(let offset, let bytes):
            for (index, byte) in bytes.enumerated() where offset + index < image.count { image[offset + index] = byte }
        }
        return image
    }
}

extension Damage {
    /// Every damage of `fields` that tests of a format should go through, in a fixed order: cut before and inside,
    /// cleared, all ones, small and huge values, every bit flipped, and `randomCount` random values of each.
    public static func all(of fields: [Field], randomCount: Int = 4, seed: UInt64 = 1) -> [Damage] {
        var random = SeededGenerator(seed: seed)
        var damages: [Damage] = []
        for field in fields {
            damages += [.cut(at: field.offset), .cut(at: field.offset + field.size / 2), .clear(field), .fill(field)]
            if field.size <= 8 {
                let top = UInt64(1) << UInt64(field.size * 8 - 1)
                for value in [1, top, top - 1, top + 1] { damages.append(.set(field, to: value)) }
            }
            for bit in 0..<min(field.size, 64) * 8 {
                damages.append(.flip(bit: bit % 8, at: field.offset + bit / 8))
            }
            for _ in 0..<randomCount { damages.append(.randomise(field, using: &random)) }
        }
        return damages
    }
}
