import ReimageTesting

extension VHDRecipe {
    /// Kind × block size × creator in full, as far as they go together; the other traits by seeded chance.
    static let matrix: [VHDRecipe] = (0..<120).map { VHDRecipe(matrixIndex: $0) }

    private init(matrixIndex index: Int) {
        // 5, 8 and 9 share no factor.
        var random = SeededGenerator(seed: UInt64(index) ^ 0xD15C)
        var top: VHDLayer
        var below: [VHDLayer] = []
        let blockSize = index % 8 == 0 && random.chance(2) ? 16 << 10 : Self.blockSizes[index % 8]
        switch index % 5 {
        case 0:
            top = VHDLayer(kind: .fixed, size: Self.size(64 << 10, &random))
            if random.chance(4) { top.hasShortFooter = true } else if random.chance(6) { top.surplus = 512 * 3 }
        case 1, 2:
            top = Self.layer(.dynamic, blockSize, &random)
            top.bitmaps = [.full, .partial, .partial, .full, .spread, .dirty][random.below(6)]
            if random.chance(8) { top.spareEntries = 1 + random.below(200) }
            if random.chance(8) { top.hasShortNextOffset = true }
        default:
            top = Self.layer(.differencing, blockSize, &random)
            below = Self.parents(depth: 1 + random.below(2), &random)
            // Most of them as all readers like them: byte by byte, on parents that are as long.
            if !random.chance(3) {
                top.bitmaps = .spread
                for level in below.indices {
                    below[level].size = top.size + (random.chance(2) ? 0 : 512 * random.below(2000))
                    below[level].blockSize = max(4096, below[level].blockSize)
                    below[level].bitmaps = .spread
                }
                below[0].size = below.map(\.size).max() ?? 0
            }
            top.locators = VHDLayer.Locators.allCases[random.below(6)]
            // A parent in another folder is found only with a locator that says so.
            if top.locators == .relative || top.locators == .both, random.chance(6) { top.parentFolder = "base/" }
            top.namesPath = random.chance(4)
            top.namesUmlaut = random.chance(5)
        }
        top.creator = VHDLayer.Creator.allCases[index % 9]
        switch random.below(6) {
        case 0: top.geometry = .maximal
        case 1: top.geometry = .zero
        case 2: top.geometry = .larger
        case 3: top.size = max(top.geometrySize, 512)
        default: break
        }
        top.isSaved = random.chance(10)
        if random.chance(5) {
            // Not past what the BAT covers: libvhdi takes the BAT's padding for entries there.
            let most = top.kind == .differencing ? top.size : min(top.size + 1_000_000, top.coveredByteCount)
            top.originalSize = max(512, most - 512 * random.below(3000))
        }
        self.init(index: index, layers: below + [top])
    }

    private static let blockSizes = [512, 4 << 10, 64 << 10, 512 << 10, 1 << 20, 2 << 20, 4 << 20, 16 << 20]

    /// 1 to 4 MiB, less for tiny blocks, which cost a bitmap each; half of them end inside a block.
    private static func size(_ blockSize: Int, _ random: inout SeededGenerator) -> Int {
        let size = blockSize < 64 << 10 ? (1 + random.below(3)) << 18 : (1 + random.below(4)) << 20
        return random.chance(2) ? size - 512 * (1 + random.below(500)) : size
    }

    private static func layer(_ kind: VHDLayer.Kind, _ blockSize: Int, _ random: inout SeededGenerator) -> VHDLayer {
        var layer = VHDLayer(kind: kind, size: size(blockSize, &random))
        layer.blockSize = blockSize
        layer.bitmaps = .partial
        layer.placement = [.tight, .shuffled, .gaps, .aligned][random.below(4)]
        if random.chance(4) { layer.tableOffset = 8192 }
        if random.chance(3) { layer.tablePadding = 0 }
        if random.chance(4) { layer.footerGap = 512 * (1 + random.below(8)) }
        return layer
    }

    /// What lies below: a fixed or dynamic disk, and perhaps a differencing one on it.
    private static func parents(depth: Int, _ random: inout SeededGenerator) -> [VHDLayer] {
        var layers = [
            random.chance(2)
                ? VHDLayer(kind: .fixed, size: size(64 << 10, &random))
                : layer(.dynamic, blockSizes[random.below(8)], &random)
        ]
        if depth == 2 { layers.append(layer(.differencing, blockSizes[random.below(8)], &random)) }
        for index in layers.indices {
            layers[index].creator = VHDLayer.Creator.allCases[random.below(9)]
            if random.chance(3) { layers[index].geometry = .maximal }
            layers[index].locators = random.chance(2) ? .relative : .none
        }
        return layers
    }
}

extension SeededGenerator {
    /// One of `choices`.
    mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }
}
