public import ReimageCore

/// Finds out what a part of a disk holds by reading superblocks.
///
/// Some twenty small reads at fixed places whatever the size, and a folder or record where a label is kept in one. What
/// a superblock says is bounded before it is used; one that contradicts itself counts as no superblock.
public struct ContentProbe: Sendable {
    private let store: any ByteStore
    private let range: HostRange

    /// Looks at `range` of `store`, or at as much of it as there is.
    public init(_ store: any ByteStore, range: HostRange? = nil) {
        self.store = store
        let start = min(range?.start ?? .zero, HostOffset(store.byteCount))
        let rest = store.byteCount - start.value
        self.range = HostRange(start: start, count: min(range?.count ?? rest, rest))
    }

    /// Everything that is recognised, the surest first; nothing for bytes of no known kind.
    ///
    /// More than one is left where a disk was used twice: the stale one may be either.
    /// - Throws: `.unreadable` on an I/O error.
    public func signatures() throws(ImageError) -> [ContentSignature] {
        let area = ProbeArea(store, range)
        // Containers first, then file systems by the strength of their mark; FAT, which has hardly any, last.
        let strong = [
            try ContentSignature.luks(area), try ContentSignature.bitLocker(area), try ContentSignature.raid(area),
            try ContentSignature.lvm(area), try ContentSignature.btrfs(area), try ContentSignature.xfs(area),
            try ContentSignature.ext(area), try ContentSignature.ntfs(area), try ContentSignature.exFAT(area),
            try ContentSignature.swap(area), try ContentSignature.iso9660(area),
        ].compactMap { $0 }
        guard strong.isEmpty else { return strong }
        return [try ContentSignature.fat(area)].compactMap { $0 }
    }
}

/// A part of a store, read in small pieces.
struct ProbeArea {
    private let store: any ByteStore
    private let range: HostRange

    init(_ store: any ByteStore, _ range: HostRange) {
        self.store = store
        self.range = range
    }

    var byteCount: UInt64 { range.count }

    /// The most that one read may ask for.
    private static let largestRead = 1 << 16

    /// `count` bytes at `offset`; `nil` where they do not lie inside the area, or are too many to be a superblock.
    /// - Throws: `.unreadable` on an I/O error.
    func bytes(at offset: UInt64, count: Int) throws(ImageError) -> ProbeBytes? {
        guard count > 0, count <= Self.largestRead, UInt64(count) <= range.count, offset <= range.count - UInt64(count)
        else { return nil }
        return ProbeBytes(try store.bytes(at: range.start + offset, count: count))
    }
}

/// Bytes of a superblock; what lies past their end is `nil`, never a trap.
struct ProbeBytes {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The little-endian number of `size` bytes, at most 8, at `offset`.
    func little(_ size: Int, at offset: Int) -> UInt64? {
        slice(offset, size)?.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The big-endian number of `size` bytes, at most 8, at `offset`.
    func big(_ size: Int, at offset: Int) -> UInt64? { slice(offset, size)?.reduce(0) { $0 << 8 | UInt64($1) } }

    /// Whether the ASCII text `mark` stands at `offset`.
    func has(_ mark: String, at offset: Int) -> Bool {
        slice(offset, mark.utf8.count)?.elementsEqual(mark.utf8) ?? false
    }

    /// Whether these bytes stand at `offset`.
    func has(_ mark: [UInt8], at offset: Int) -> Bool { slice(offset, mark.count)?.elementsEqual(mark) ?? false }

    /// The text of at most `count` bytes, up to the first zero byte and without spaces at its end.
    func text(_ offset: Int, _ count: Int) -> String? {
        guard let field = slice(offset, count) else { return nil }
        let end = field.prefix { $0 != 0 }.reversed().drop { $0 == 0x20 }.reversed()
        return String(decoding: Array(end), as: UTF8.self)
    }

    /// The text of `count` little-endian UTF-16 units, up to the first zero.
    func wideText(_ offset: Int, units count: Int) -> String? {
        guard count >= 0, count <= bytes.count, let field = slice(offset, 2 * count) else { return nil }
        let units = stride(from: field.startIndex, to: field.endIndex, by: 2).map {
            UInt16(field[$0]) | UInt16(field[$0 + 1]) << 8
        }
        return String(decoding: units.prefix { $0 != 0 }, as: UTF16.self)
    }

    /// The 16 bytes at `offset` as a UUID; `nil` where they are all zero.
    func uuid(at offset: Int) -> String? {
        guard let field = slice(offset, 16), field.contains(where: { $0 != 0 }) else { return nil }
        return dashed(hex(field), [8, 4, 4, 4, 12])
    }

    func slice(_ offset: Int, _ count: Int) -> ArraySlice<UInt8>? {
        guard offset >= 0, count >= 0, count <= bytes.count, offset <= bytes.count - count else { return nil }
        return bytes[offset..<offset + count]
    }
}

/// Lower-case hexadecimal digits, two a byte.
func hex(_ bytes: some Sequence<UInt8>) -> String {
    bytes.reduce(into: "") { text, byte in
        text += String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
    }
}

/// `text` cut into groups of these lengths, with dashes between.
func dashed(_ text: String, _ groups: [Int]) -> String {
    var rest = text[...]
    return groups.map { length in
        defer { rest = rest.dropFirst(length) }
        return String(rest.prefix(length))
    }.joined(separator: "-")
}

extension UInt64 {
    /// Whether it is a power of two in `range`.
    func isPower(in range: ClosedRange<UInt64>) -> Bool { range.contains(self) && self & (self &- 1) == 0 }
}
