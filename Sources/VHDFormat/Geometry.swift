internal import ReimageCore

/// Cylinders, heads and sectors, as an ATA disk of that time had them.
struct Geometry: Hashable {
    static let sectorSize: UInt64 = 512
    /// The largest there is, which says nothing of the disk's size.
    static let largest = Geometry(cylinders: 65535, heads: 16, sectorsPerTrack: 255)

    var cylinders: UInt16
    var heads: UInt8
    var sectorsPerTrack: UInt8

    /// How many bytes it spans.
    var byteCount: UInt64 { UInt64(cylinders) * UInt64(heads) * UInt64(sectorsPerTrack) * Self.sectorSize }

    var isLargest: Bool { self == Self.largest }
}

extension Geometry {
    /// The geometry for a disk of `byteCount` bytes: never more than it has, usually a little less.
    /// - Source: the specification's appendix, "CHS Calculation".
    init(forDisk byteCount: UInt64) {
        let largest = Geometry.largest
        let sectors = min(byteCount / Self.sectorSize, largest.byteCount / Self.sectorSize)
        guard sectors < 65535 * 16 * 63 else {
            let tracks = sectors / 255
            self.init(cylinders: UInt16(clamping: tracks / 16), heads: 16, sectorsPerTrack: 255)
            return
        }
        var (heads, perTrack): (UInt64, UInt64) = (0, 17)
        var tracks = sectors / perTrack
        heads = max(4, tracks.dividedRoundingUp(by: 1024))
        if tracks >= heads * 1024 || heads > 16 {
            (heads, perTrack) = (16, 31)
            tracks = sectors / perTrack
        }
        if tracks >= heads * 1024 {
            (heads, perTrack) = (16, 63)
            tracks = sectors / perTrack
        }
        self.init(
            cylinders: UInt16(clamping: tracks / heads), heads: UInt8(clamping: heads),
            sectorsPerTrack: UInt8(clamping: perTrack))
    }
}

extension Geometry: CustomStringConvertible {
    var description: String { "\(cylinders)/\(heads)/\(sectorsPerTrack)" }
}
