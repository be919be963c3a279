import ReimageCodecs
import ReimageCore
import ReimageTesting

@testable import ArchiveFormat

/// Changes archives and puts every checksum right again, as an attacker would.
struct Forgery {
    var bytes: [UInt8]

    init(_ golden: Golden) { bytes = golden.bytes }

    var footer: Int { Int(number(at: bytes.count - 56)) }
    var root: Int { Int(number(at: footer + 64)) }
    var header: Int { 0 }
    /// The copy of the file header.
    var headerCopy: Int { footer + 64 + 256 }

    func number(at offset: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) } }

    mutating func store(_ value: UInt64, at offset: Int, size: Int = 8) {
        for index in 0..<size { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }

    private func hash(_ range: Range<Int>) -> UInt64 { Array(bytes[range]).withBytes { XXH3.hash64($0) } }

    /// Puts right the checksums of the record at `offset`.
    mutating func sealRecord(at offset: Int) {
        let headerLength = Int(number(at: offset + 12) & 0xFFFF_FFFF)
        let payloadLength = Int(number(at: offset + 16))
        let start = offset + headerLength
        store(hash(start..<start + payloadLength), at: offset + 48)
        store(0, at: offset + 56)
        store(hash(offset..<start), at: offset + 56)
    }

    /// Puts right the checksums of the file header at `offset`.
    mutating func sealHeader(at offset: Int) { store(hash(offset..<offset + 4088), at: offset + 4088) }

    /// Puts right the checksum of the tail.
    mutating func sealTail() { store(hash(bytes.count - 64..<bytes.count - 8), at: bytes.count - 8) }

    /// Changes a field of the file header and of its copy.
    mutating func setHeader(_ value: UInt64, at offset: Int, size: Int = 8) {
        for start in [0, headerCopy] {
            store(value, at: start + offset, size: size)
            sealHeader(at: start)
        }
        sealRecord(at: footer)
    }

    /// Changes a field of the FOOT record's payload.
    mutating func setFooter(_ value: UInt64, at offset: Int, size: Int = 8) {
        store(value, at: footer + 64 + offset, size: size)
        sealRecord(at: footer)
    }

    /// Changes a field of the ROOT record, counted from its header.
    mutating func setRoot(_ value: UInt64, at offset: Int, size: Int = 8) {
        store(value, at: root + offset, size: size)
        sealRecord(at: root)
    }

    /// Changes a field of the LEAF record at `leaf`, and lets the ROOT record's entry `index` mean it.
    mutating func setLeaf(_ value: UInt64, at offset: Int, size: Int = 8, of leaf: Int, entry index: Int) {
        store(value, at: leaf + offset, size: size)
        sealRecord(at: leaf)
        setRoot(number(at: leaf + 56), at: 160 + 80 * index + 40)
    }
}
