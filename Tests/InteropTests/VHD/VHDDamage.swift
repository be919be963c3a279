import Foundation
import TestSupport
import Testing

/// A sound VHD image with its structures, some of which are to be broken.
struct PatchedVHD {
    var bytes: Data
    let layer: VHDLayer

    /// What a change leaves as it is.
    enum Checksums { case right, stale }

    func number(_ width: Int, at offset: Int) -> Int {
        bytes[offset..<offset + width].reduce(0) { $0 << 8 | Int($1) }
    }

    /// Changes the footer at the end.
    mutating func changeTail(_ checksums: Checksums = .right, _ change: (inout Data) -> Void) {
        changeStructure(at: bytes.count - 512, 512, sum: 64, checksums, change)
    }

    /// Changes the footer's copy at the start.
    mutating func changeHead(_ checksums: Checksums = .right, _ change: (inout Data) -> Void) {
        changeStructure(at: 0, 512, sum: 64, checksums, change)
    }

    /// Changes every copy of the footer.
    mutating func changeFooters(_ checksums: Checksums = .right, _ change: (inout Data) -> Void) {
        if layer.kind != .fixed { changeHead(checksums, change) }
        changeTail(checksums, change)
    }

    mutating func changeHeader(_ checksums: Checksums = .right, _ change: (inout Data) -> Void) {
        changeStructure(at: 512, 1024, sum: 36, checksums, change)
    }

    private mutating func changeStructure(
        at place: Int, _ count: Int, sum: Int, _ checksums: Checksums, _ change: (inout Data) -> Void
    ) {
        var structure = Data(bytes[place..<place + count])
        change(&structure)
        if checksums == .right { structure.set(VHDFields.checksum(structure, at: sum), 4, at: sum) }
        bytes.set(structure, at: place)
    }

    /// The blocks that are stored, and the places of their BAT entries.
    var blocks: [(block: Int, entry: Int)] {
        let count = (layer.size + layer.blockSize - 1) / layer.blockSize
        return (0..<count).map { ($0, layer.tableOffset + 4 * $0) }.filter { number(4, at: $0.entry) != 0xFFFF_FFFF }
    }

    /// Points the first block that is stored elsewhere.
    mutating func moveBlock(toSector sector: Int) { bytes.set(sector, 4, at: blocks[0].entry) }
}

/// What is done to a sound image, and what `reimage convert` is to make of it.
struct VHDDamage: Sendable, CustomTestStringConvertible {
    enum Outcome: Sendable {
        /// The disk as it was, with these words on standard error.
        case read(noting: String? = nil)
        /// An exit status, words of the error, and the place in the file that it names.
        case refused(Int32, saying: String, at: Int? = nil)
    }

    var name: String
    var kind = VHDLayer.Kind.dynamic
    var outcome: Outcome
    /// Flags with which the image is read as it was.
    var remedy: [String] = []
    var apply: @Sendable (inout PatchedVHD) -> Void

    var testDescription: String { "\(kind): \(name)" }

    /// The image that is damaged, small and with everything in it.
    static func recipe(_ kind: VHDLayer.Kind) -> VHDRecipe {
        var layer = VHDLayer(kind: kind, size: kind == .fixed ? 300 << 10 : 1 << 20)
        layer.blockSize = 64 << 10
        layer.bitmaps = .partial
        layer.locators = .both
        let parent = VHDLayer(kind: .fixed, size: 1 << 20)
        return VHDRecipe(index: 5000 + kind.rawValue, layers: kind == .differencing ? [parent, layer] : [layer])
    }
}
