import ReimageCore
import ReimageTesting

@testable import VHDFormat

/// An image that is damaged, what a check must say of it, and what a repair makes of it.
struct CheckDamage: Sendable, CustomStringConvertible {
    /// A finding that must be there.
    struct Expected: Sendable {
        var kind: CheckFinding.Kind
        var text: String
        var place: Int?
        var guest: Range<Int>?
    }

    enum Outcome: Sendable, Hashable {
        /// Nothing is left, and the disk reads as the sound one.
        case whole
        /// Nothing is left, and these bytes of the disk are zeros now.
        case zeros(Range<Int>)
        /// The damage is still there, and not a byte of the file was changed.
        case left
        /// It is no damage, and the disk reads as the sound one.
        case remarked
        /// Damage is still there, but some of it was put right; the disk reads as the sound one.
        case partly
    }

    var name: String
    var base = Base.dynamic
    var expected: [Expected]
    var outcome: Outcome
    var options: [String: String] = [:]
    /// What is changed before the footers are made.
    var build: @Sendable (inout VHDBuilder) -> Void = { _ in }
    /// What is changed in the file.
    var patch: @Sendable (inout PatchedFile) throws -> Void = { _ in }

    var description: String { name }

    enum Base: Sendable {
        case dynamic, fixed, differencing

        /// Blocks of 4096 bytes; of 42 the first, the fourth, the sixth and the last, which the disk needs in part.
        static let byteCount = 42 * 4096 - 1024
        static let stored = [0, 3, 5, 41]

        func builder() -> VHDBuilder {
            switch self {
            case .fixed: return VHDBuilder(fixed: pattern(1, 10_240))
            case .dynamic, .differencing:
                var builder = VHDBuilder(
                    size: UInt64(Self.byteCount), kind: self == .dynamic ? .dynamic : .differencing)
                if self == .differencing {
                    builder.header.parentID = [UInt8](repeating: 9, count: 16)
                    builder.header.parentName = Array("parent.vhd".utf16)
                    builder.addLocator(ParentLocator.relativeWindows, utf16(".\\parent.vhd"))
                }
                for index in Self.stored {
                    let count = index == 41 ? 3072 : 4096
                    builder.store(index, pattern(index, count))
                }
                return builder
            }
        }

        var references: FakeResolver? {
            guard self == .differencing, let parent = try? Self.parent() else { return nil }
            return FakeResolver(images: ["parent.vhd": parent])
        }

        static func parent() throws -> [UInt8] {
            var parent = VHDBuilder(
                size: UInt64(byteCount), id: [UInt8](repeating: 9, count: 16))
            parent.store(2, pattern(77, 4096))
            return try parent.finished()
        }
    }

    /// The image's bytes.
    func image() throws -> [UInt8] {
        var builder = base.builder()
        build(&builder)
        var file = PatchedFile(bytes: try builder.finished())
        file.blocks = builder.blocks
        try patch(&file)
        return file.bytes
    }
}

/// The bytes of an image, with the numbers that tests break.
struct PatchedFile {
    var bytes: [UInt8]
    var blocks: [Int: Int] = [:]
    var tail: Int { bytes.count - 512 }

    mutating func set<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number, at offset: Int) {
        bytes.withMutableBytes { $0.storeBig(value, at: offset) }
    }

    mutating func setEntry(_ index: Int, _ value: UInt32) { set(value, at: VHDBuilder.tablePlace + 4 * index) }

    /// Makes the checksum of the structure at `place` right again.
    mutating func seal(_ place: Int) throws {
        let isHeader = place == VHDBuilder.headerPlace
        let (count, field) =
            isHeader ? (1024, DynamicHeader.Field.checksum) : (512, Footer.Field.checksum)
        let sum = try Array(bytes[place..<place + count]).withBytes { try structureChecksum($0, field: field) }
        set(sum, at: place + field)
    }

    /// Sets a field of both footers, with right checksums.
    mutating func setFooters<Number: FixedWidthInteger & BitwiseCopyable>(_ field: Int, _ value: Number) throws {
        for place in [0, tail] {
            set(value, at: place + field)
            try seal(place)
        }
    }

    mutating func setHeader<Number: FixedWidthInteger & BitwiseCopyable>(_ field: Int, _ value: Number) throws {
        set(value, at: VHDBuilder.headerPlace + field)
        try seal(VHDBuilder.headerPlace)
    }
}

extension CheckDamage {
    private static func corruption(_ text: String, _ place: Int? = nil, _ guest: Range<Int>? = nil) -> Expected {
        Expected(kind: .corruption, text: text, place: place, guest: guest)
    }

    private static func remark(_ text: String, _ place: Int? = nil) -> Expected {
        Expected(kind: .remark, text: text, place: place)
    }

    static let footers: [CheckDamage] = [
        CheckDamage(
            name: "no copy at the start", expected: [corruption("at the start is missing", 0)], outcome: .whole,
            patch: { $0.set(UInt64(0), at: 0) }),
        CheckDamage(
            name: "the start wiped", expected: [corruption("at the start is missing", 0)], outcome: .whole,
            patch: { $0.bytes.replaceSubrange(0..<512, with: [UInt8](repeating: 0, count: 512)) }),
        CheckDamage(
            name: "a wrong checksum at the start",
            expected: [corruption("at the start is damaged: its checksum", 0)],
            outcome: .whole, patch: { $0.bytes[70] ^= 1 }),
        CheckDamage(
            name: "an unknown type at the start", expected: [corruption("at the start is damaged: its type is 6", 0)],
            outcome: .whole,
            patch: {
                $0.set(UInt32(6), at: 60)
                try $0.seal(0)
            }),
        CheckDamage(
            name: "another version at the start",
            expected: [corruption("at the start is damaged: its version is 2", 0)],
            outcome: .whole,
            patch: {
                $0.set(UInt32(0x20000), at: 12)
                try $0.seal(0)
            }),
        CheckDamage(
            name: "no footer at the end", expected: [corruption("at the end is missing")], outcome: .whole,
            build: { $0.endsWithFooter = false }),
        CheckDamage(
            name: "the footer's cookie gone", expected: [corruption("at the end is missing")], outcome: .whole,
            patch: { $0.set(UInt64(0), at: $0.tail) }),
        CheckDamage(
            name: "half a footer", expected: [corruption("at the end is missing")], outcome: .whole,
            patch: { $0.bytes.removeLast(300) }),
        CheckDamage(
            name: "a wrong checksum at the end", expected: [corruption("at the end is damaged: its checksum")],
            outcome: .whole, patch: { $0.bytes[$0.tail + 70] ^= 1 }),
        CheckDamage(
            name: "bytes behind the footer", expected: [corruption("700 bytes stand behind the footer")],
            outcome: .whole, patch: { $0.bytes += [UInt8](repeating: 7, count: 700) }),
        CheckDamage(
            name: "another time stamp at the end", expected: [corruption("differ: time stamp")], outcome: .whole,
            patch: {
                $0.set(UInt32(5), at: $0.tail + 24)
                try $0.seal($0.tail)
            }),
        CheckDamage(
            name: "another size at the end", expected: [corruption("differ: current size")], outcome: .left,
            patch: {
                $0.set(UInt64(40 * 4096), at: $0.tail + 48)
                try $0.seal($0.tail)
            }),
        CheckDamage(
            name: "another size at the end, and the start is right", expected: [corruption("differ: current size")],
            outcome: .whole, options: ["vhd-footer": "head"],
            patch: {
                $0.set(UInt64(40 * 4096), at: $0.tail + 48)
                try $0.seal($0.tail)
            }),
        CheckDamage(
            name: "another size at the start, and the end is right",
            expected: [corruption("differ: current size")],
            outcome: .whole, options: ["vhd-footer": "tail"],
            patch: {
                $0.set(UInt64(41 * 4096), at: 48)
                try $0.seal(0)
            }),
        CheckDamage(
            name: "a suspended machine", expected: [remark("was suspended", 84)], outcome: .remarked,
            patch: { try $0.setFooters(84, UInt8(1)) }),
        CheckDamage(
            name: "another size at first", expected: [remark("was made with 4096 bytes", 40)], outcome: .remarked,
            patch: { try $0.setFooters(40, UInt64(4096)) }),
        CheckDamage(
            name: "a size that no disk has", expected: [corruption("a disk of 1000 bytes", 48)], outcome: .left,
            patch: { try $0.setFooters(48, UInt64(1000)) }),
        CheckDamage(
            name: "fixed: bytes behind the footer", base: .fixed,
            expected: [corruption("700 bytes stand behind the footer", 10_752)], outcome: .whole,
            patch: { $0.bytes += [UInt8](repeating: 0, count: 700) }),
        CheckDamage(
            name: "fixed: a byte of the footer missing", base: .fixed,
            expected: [remark("the footer has 511 bytes", 10_240)], outcome: .whole,
            patch: { $0.bytes.removeLast() }),
        CheckDamage(
            name: "fixed: a place for a header", base: .fixed,
            expected: [corruption("names a place for a dynamic header", 10_256)], outcome: .whole,
            patch: {
                $0.set(UInt64(512), at: $0.tail + 16)
                try $0.seal($0.tail)
            }),
        CheckDamage(
            name: "fixed: too few bytes", base: .fixed,
            expected: [corruption("of which 9728 are stored", 9728, 9728..<10_240)], outcome: .left,
            patch: { $0.bytes.removeSubrange(0..<512) }),
        CheckDamage(
            name: "fixed: too many bytes", base: .fixed,
            expected: [corruption("has 10240 bytes, and 10752 are stored", 10_240)], outcome: .left,
            patch: { $0.bytes.insert(contentsOf: pattern(3, 512), at: 10_240) }),
        CheckDamage(
            name: "fixed: a wrong checksum, believed", base: .fixed,
            expected: [corruption("at the end is damaged: its checksum", 10_240)], outcome: .whole,
            options: ["ignore-checksums": "on"], patch: { $0.set(UInt32(1), at: $0.tail + 64) }),
    ]
}
