import Foundation
import ReimageTesting
import TestSupport

/// Makes VHD images byte by byte from the published description; no code is shared with the library.
struct VHDBuilder {
    /// An image, with what is known of its disk.
    struct Made {
        let folder: Scratch
        let recipe: VHDRecipe
        /// The image under test, in `folder`.
        let name: String
        /// The names of all images, the deepest first.
        let names: [String]
        /// What the last image alone holds, whatever its bitmaps say: as if it had no parent.
        let own: Data
        /// Whether the last image has data whose bit is clear, and no parent to show instead.
        let hidesData: Bool
        /// The disk as far as the current size goes.
        let view: VHDView
        /// The disk where a bit that is set counts for the rest of its byte, too.
        let spreadView: VHDView
    }

    /// Every image of `recipe`, in a folder of its own; the last one in its folder `place`, which ends in a slash.
    static func make(_ recipe: VHDRecipe, at place: String = "") throws -> Made {
        let folder = Scratch()
        try FileManager.default.createDirectory(atPath: folder.file(place), withIntermediateDirectories: true)
        var random = SeededGenerator(seed: UInt64(recipe.index) ^ 0x7664)
        var parent: VHDParent?
        var names: [String] = []
        var (own, view, spreadView, hidesData) = (Data(), VHDView(), VHDView(), false)
        // The folder of a parent is relative to its child's, so the places are found from the last backwards.
        var places = [place]
        for layer in recipe.layers.reversed() { places.append(places[places.count - 1] + layer.parentFolder) }
        for (level, layer) in recipe.layers.enumerated() {
            let isBelowUmlaut = level + 1 < recipe.layers.count && recipe.layers[level + 1].namesUmlaut
            let file = isBelowUmlaut ? "größe \(level).vhd" : "layer\(level).vhd"
            let place = places[recipe.layers.count - 1 - level]
            try FileManager.default.createDirectory(
                atPath: folder.file(place), withIntermediateDirectories: true)
            let content = VHDContent(layer: layer, seed: UInt64(recipe.index) << 8 | UInt64(level), &random)
            let image = VHDImage(layer: layer, content: content, parent: parent, &random)
            try image.bytes.write(to: URL(fileURLWithPath: folder.file(place + file)))
            own = content.stored
            hidesData = layer.kind == .dynamic && content.hidesData
            view = content.view(over: view, spreadsBits: false)
            spreadView = content.view(over: spreadView, spreadsBits: true)
            names.append(place + file)
            parent = VHDParent(name: file, identity: image.identity)
        }
        return Made(
            folder: folder, recipe: recipe, name: names[names.count - 1], names: names, own: own, hidesData: hidesData,
            view: view,
            spreadView: spreadView)
    }
}

/// What a child has to know of its parent.
struct VHDParent {
    var name: String
    var identity: [UInt8]
}

/// A disk as a guest sees it.
struct VHDView {
    var disk = Data()
    /// Whether sectors come from a parent that is not so long.
    var pastParent: Set<Int> = []
}

/// What one image holds, sector by sector.
struct VHDContent {
    /// The bytes, and whether the sector's bit is set. Sectors that are missing hold zeros, their bit is clear.
    private(set) var sectors: [Int: (bytes: Data, isSet: Bool)] = [:]
    /// The blocks that are stored.
    private(set) var blocks: Set<Int> = []
    let layer: VHDLayer

    private static let zeros = Data(count: 512)
    private static let noise: [Data] = (0..<16).map { number in
        var random = SeededGenerator(seed: UInt64(number) ^ 0x5EC7)
        return Data((0..<512).map { _ in UInt8(truncatingIfNeeded: random.next()) })
    }

    /// Runs of data, of zeros that are stored, and of nothing.
    init(layer: VHDLayer, seed: UInt64, _ random: inout SeededGenerator) {
        self.layer = layer
        let end = layer.size / 512
        let filled = layer.fillsTail ? end : layer.byteCount / 512
        let blockSectors = layer.kind == .fixed ? 64 : layer.blockSize / 512
        var start = 0
        while start < end {
            let stop = min(end, start + 1 + random.below(random.chance(2) ? 9 : 700))
            let way = stop == end && layer.fillsTail ? 0 : random.below(6)
            for sector in start..<max(start, min(stop, filled)) {
                switch way {
                case 0, 1: sectors[sector] = (Self.data(seed, sector), true)
                case 2: sectors[sector] = (Self.zeros, true)
                case 3: sectors[sector] = random.chance(2) ? (Self.data(seed, sector), true) : (Self.zeros, false)
                default: break
                }
            }
            start = stop
        }
        if layer.bitmaps == .dirty {
            for sector in 0..<filled where sectors[sector] == nil && random.chance(5) {
                sectors[sector] = (Self.data(seed ^ 0xD1, sector), false)
            }
        }
        if layer.kind == .fixed { return }
        let stored = Set(sectors.keys.map { $0 / blockSectors })
        let count = (end + blockSectors - 1) / blockSectors
        // Now and then a block that holds nothing; and, where a block holds much, blocks that are left out.
        blocks = stored.union((0..<count).filter { _ in random.chance(16) })
        if count > 1 {
            let dropped = Set(stored.filter { !layer.fillsTail && $0 + 1 < count && random.chance(3) })
            blocks.subtract(dropped)
            sectors = sectors.filter { !dropped.contains($0.key / blockSectors) }
        }
        if layer.bitmaps == .partial || layer.bitmaps == .dirty { return }
        for sector in 0..<end where blocks.contains(sector / blockSectors) {
            if layer.bitmaps == .full || hasSetBit(before: sector) {
                sectors[sector] = (sectors[sector]?.bytes ?? Self.zeros, true)
            }
        }
    }

    /// Bytes that tell images and places apart.
    private static func data(_ seed: UInt64, _ sector: Int) -> Data {
        var bytes = noise[(sector ^ Int(truncatingIfNeeded: seed)) & 15]
        for index in 0..<8 {
            bytes[index] = UInt8(truncatingIfNeeded: seed >> UInt64(8 * index))
            bytes[index + 8] = UInt8(truncatingIfNeeded: sector >> (8 * index))
        }
        return bytes
    }

    /// Whether a bit of the sector's byte in the bitmap is set that comes before its own.
    private func hasSetBit(before sector: Int) -> Bool {
        let index = sector % (layer.blockSize / 512) % 8
        return (sector - index..<sector).contains { sectors[$0]?.isSet ?? false }
    }

    /// All stored bytes, as if there were no bitmaps.
    var stored: Data {
        var disk = Data(count: layer.size)
        for (sector, stored) in sectors { disk.set(stored.bytes, at: sector * 512) }
        return disk
    }

    /// Whether there is data whose bit is clear.
    var hidesData: Bool { sectors.values.contains { !$0.isSet && $0.bytes != Self.zeros } }

    /// The disk above `parent`. A clear bit shows the parent, where there can be one; else what is stored, or nothing
    /// for a reader that spreads bits.
    func view(over parent: VHDView, spreadsBits: Bool) -> VHDView {
        if layer.kind == .fixed || layer.kind == .dynamic && !spreadsBits { return VHDView(disk: stored) }
        let isDifferencing = layer.kind == .differencing
        var view = VHDView(disk: isDifferencing ? parent.disk.resized(layer.size) : Data(count: layer.size))
        for sector in 0..<layer.size / 512 {
            let isSet = sectors[sector]?.isSet ?? false || spreadsBits && hasSetBit(before: sector)
            if isSet {
                view.disk.set(sectors[sector]?.bytes ?? Self.zeros, at: sector * 512)
            } else if isDifferencing, sector * 512 >= parent.disk.count || parent.pastParent.contains(sector) {
                view.pastParent.insert(sector)
            }
        }
        return view
    }
}
