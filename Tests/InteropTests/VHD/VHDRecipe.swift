import ReimageTesting

/// A VHD image that the tests make byte by byte: a chain, the deepest first, the last the one under test.
struct VHDRecipe: Sendable, Codable, CustomStringConvertible {
    /// Seeds everything that is left to chance.
    var index: Int
    var layers: [VHDLayer]

    /// The image under test.
    var top: VHDLayer { layers[layers.count - 1] }

    var description: String { "#\(index) " + layers.reversed().map(\.description).joined(separator: " → ") }
}

/// One image of a chain.
struct VHDLayer: Sendable, Codable, CustomStringConvertible {
    /// The disk type codes.
    enum Kind: Int, Codable { case fixed = 2, dynamic, differencing }

    /// Who wrote the image, as the footer has it.
    enum Creator: String, Codable, CaseIterable {
        case virtualPC = "vpc "
        case virtualServer = "vs  "
        case windows = "win "
        case disk2vhd = "d2v\0"
        case azure = "wa\0\0"
        case virtualBox = "vbox"
        case xen = "tap\0"
        case qemu = "qemu"
        case qemuForced = "qem2"

        /// Whether the geometry is what the guest of this creator saw.
        var countsByGeometry: Bool { self == .virtualPC || self == .qemu }
    }

    enum Geometry: String, Codable {
        /// What the specification's algorithm gives, which is the size or less.
        case computed
        /// 65535 × 16 × 255: there is no geometry for a disk as large as that.
        case maximal
        case zero
        /// A cylinder more than the disk has.
        case larger
    }

    enum Bitmaps: String, Codable {
        /// Every bit is set.
        case full
        /// Bits are set where there is data; the other sectors hold zeros.
        case partial
        /// As `partial`, but a bit that is set is followed by set ones to the end of its byte.
        case spread
        /// As `partial`, but some of the sectors whose bit is clear hold data.
        case dirty
    }

    enum Placement: String, Codable { case tight, shuffled, gaps, aligned }

    enum Locators: String, Codable, CaseIterable { case none, relative, absolute, both, plain, url }

    var kind: Kind
    /// The current size in bytes, a multiple of 512.
    var size: Int
    /// Where it is another one than `size`.
    var originalSize: Int?
    var creator = Creator.windows
    var geometry = Geometry.computed
    var blockSize = 2 << 20
    var bitmaps = Bitmaps.full
    var placement = Placement.tight
    var tableOffset = 1536
    /// What fills the BAT's last sector.
    var tablePadding: UInt8 = 0xFF
    /// BAT entries more than the disk needs.
    var spareEntries = 0
    /// Whether the header says that no other follows in 32 bits alone.
    var hasShortNextOffset = false
    /// Bytes between the last block and the footer.
    var footerGap = 0
    /// Whether the footer is one byte short.
    var hasShortFooter = false
    /// Bytes between the data of a fixed disk and its footer.
    var surplus = 0
    var isSaved = false
    /// Whether there is data behind what the geometry covers.
    var fillsTail = false
    var locators = Locators.none
    /// The folder of the parent, seen from this image; empty for the same one.
    var parentFolder = ""
    /// Whether the header names the parent with a Windows path.
    var namesPath = false
    /// Whether the parent's name has letters outside of ASCII.
    var namesUmlaut = false

    /// Cylinders, heads and sectors of the footer.
    var cylinders: (cylinders: Int, heads: Int, sectors: Int) {
        let computed = Self.computedGeometry(sectors: size / 512)
        switch geometry {
        case .computed: return computed
        case .maximal: return (65535, 16, 255)
        case .zero: return (0, 0, 0)
        case .larger: return (computed.cylinders + 1, max(1, computed.heads), computed.sectors)
        }
    }

    var geometrySize: Int { cylinders.cylinders * cylinders.heads * cylinders.sectors * 512 }

    /// The disk's length as `reimage` is to read it.
    var byteCount: Int {
        let isMaximal = geometrySize == 65535 * 16 * 255 * 512
        guard creator.countsByGeometry, !isMaximal, geometrySize > 0, geometrySize <= size else { return size }
        return geometrySize
    }

    /// The geometry of a disk: more sectors a track, then more heads, as cylinders run out.
    static func computedGeometry(sectors total: Int) -> (cylinders: Int, heads: Int, sectors: Int) {
        let total = min(total, 65535 * 16 * 255)
        if total >= 65535 * 16 * 63 { return (total / 255 / 16, 16, 255) }
        var (sectors, heads) = (17, max(4, (total / 17 + 1023) / 1024))
        if total / 17 >= heads * 1024 || heads > 16 { (sectors, heads) = (31, 16) }
        if total / sectors >= heads * 1024 { (sectors, heads) = (63, 16) }
        return (total / sectors / heads, heads, sectors)
    }

    var description: String {
        var words = ["\(kind)", "\(size)", "'\(creator.rawValue.replacing("\0", with: "0"))' \(geometry)"]
        if let originalSize { words.append("once \(originalSize)") }
        if kind != .fixed {
            words += ["block \(blockSize)", "bitmaps \(bitmaps)", "\(placement)"]
            if tableOffset != 1536 { words.append("BAT at \(tableOffset)") }
            if tablePadding != 0xFF { words.append("BAT padded with \(tablePadding)") }
            if spareEntries > 0 { words.append("\(spareEntries) entries more") }
            if hasShortNextOffset { words.append("short next") }
            if footerGap > 0 { words.append("gap \(footerGap)") }
        }
        if kind == .differencing {
            words.append("locators \(locators)")
            if parentFolder != "" { words.append("parent in \(parentFolder)") }
            if namesPath { words.append("path") }
            if namesUmlaut { words.append("umlaut") }
        }
        if hasShortFooter { words.append("511") }
        if surplus > 0 { words.append("surplus \(surplus)") }
        if isSaved { words.append("saved") }
        if fillsTail { words.append("tail") }
        return words.joined(separator: " ")
    }
}
