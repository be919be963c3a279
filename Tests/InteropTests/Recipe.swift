import ReimageTesting
/// A disk that qemu's tools make: a chain of images, the deepest first, the last the one under test.
struct Recipe: Sendable, Codable, CustomStringConvertible {
    /// Seeds everything that is left to chance.
    var index: Int
    var layers: [Layer]
    /// Bytes taken off the size in the header of the last image afterwards, for sizes that qemu does not make.
    var cut = 0

    /// The image under test.
    var top: Layer { layers[layers.count - 1] }

    var description: String { "#\(index) " + layers.reversed().map(\.description).joined(separator: " → ") }
}

/// One image of a chain.
struct Layer: Sendable, Codable, CustomStringConvertible {
    enum Compression: String, Codable { case none, zlib, zstd }
    enum Maker: String, Codable {
        /// `qemu-img create`, then `qemu-io`.
        case io
        /// `qemu-img convert -c` from such an image.
        case convert
    }
    enum DataFile: String, Codable { case none, mapped, raw }

    var isRaw = false
    /// Virtual size in bytes; for a raw file any, for qcow2 a multiple of 512.
    var size: Int
    var version = 3
    var clusterBits = 16
    var compression = Compression.none
    var maker = Maker.io
    var extendedL2 = false
    var dataFile = DataFile.none
    var refcountBits = 16
    var preallocation = "off"

    var clusterSize: Int { 1 << clusterBits }

    var description: String {
        if isRaw { return "raw \(size)" }
        var words = ["v\(version)", "\(size)", "cluster \(clusterSize)"]
        if compression != .none { words.append("\(compression) by \(maker)") }
        if extendedL2 { words.append("extended L2") }
        if dataFile != .none { words.append("data file \(dataFile)") }
        if refcountBits != 16 { words.append("refcount \(refcountBits)") }
        if preallocation != "off" { words.append("preallocated \(preallocation)") }
        return words.joined(separator: " ")
    }

    /// For `qemu-img -o`.
    func options(dataFileName: String) -> String {
        var options = ["compat=\(version == 2 ? "0.10" : "1.1")", "cluster_size=\(clusterSize)"]
        if compression == .zstd { options.append("compression_type=zstd") }
        if extendedL2 { options.append("extended_l2=on") }
        if dataFile != .none { options.append("data_file=\(dataFileName)") }
        if dataFile == .raw { options.append("data_file_raw=on") }
        if refcountBits != 16 { options.append("refcount_bits=\(refcountBits)") }
        if preallocation != "off" { options.append("preallocation=\(preallocation)") }
        return options.joined(separator: ",")
    }
}

extension Recipe {
    /// Cluster size × way of compression × depth of the chain in full; the other traits by seeded chance.
    static let matrix: [Recipe] = (0..<260).map { Recipe(matrixIndex: $0) }

    /// Images without a feature that other readers lack: no chain, no zero flag, deflate alone.
    static let plain: [Recipe] = (1000..<1020).map { index in
        var random = SeededGenerator(seed: UInt64(index))
        var layer = Layer(size: Recipe.size(clusterBits: 16, &random))
        layer.version = index % 2 == 0 ? 2 : 3
        layer.clusterBits = 9 + index % 13
        if index % 3 != 0 {
            layer.compression = .zlib
            layer.maker = index % 3 == 1 ? .io : .convert
        }
        return Recipe(index: index, layers: [layer])
    }

    /// Images that can hold internal snapshots.
    static let snapshots: [Recipe] = (2000..<2013).map { index in
        var random = SeededGenerator(seed: UInt64(index))
        var layer = Layer(size: Recipe.size(clusterBits: 16, &random))
        layer.version = index % 3 == 0 ? 2 : 3
        layer.clusterBits = 9 + index % 13
        layer.compression = index % 3 == 1 ? .zstd : .zlib
        layer.extendedL2 = layer.version == 3 && layer.clusterBits >= 14 && index % 2 == 0
        return Recipe(index: index, layers: [layer])
    }

    private init(matrixIndex index: Int) {
        // 13, 5 and 4 share no factor: 260 indices give every triple.
        var random = SeededGenerator(seed: UInt64(index))
        let depth = index % 4
        var layers: [Layer] = []
        for level in 0..<depth {
            if level == 0, random.chance(2) {
                layers.append(Layer(isRaw: true, size: Recipe.size(clusterBits: 16, &random) + random.below(512)))
            } else {
                layers.append(Recipe.layer(9 + random.below(13), way: random.below(5), hasBacking: level > 0, &random))
            }
        }
        layers.append(Recipe.layer(9 + index % 13, way: index % 5, hasBacking: depth > 0, &random))
        self.init(index: index, layers: layers)
        if random.chance(6) { cut = 1 + random.below(511) }
    }

    private static func layer(_ clusterBits: Int, way: Int, hasBacking: Bool, _ random: inout SeededGenerator) -> Layer
    {
        var layer = Layer(size: size(clusterBits: clusterBits, &random))
        layer.clusterBits = clusterBits
        layer.compression = [.none, .zlib, .zlib, .zstd, .zstd][way]
        layer.maker = way == 2 || way == 4 ? .convert : .io
        let compresses = layer.compression != .none
        layer.version = layer.compression != .zstd && random.chance(3) ? 2 : 3
        if !compresses, !hasBacking, random.chance(3) {
            layer.preallocation = ["metadata", "falloc", "full"][random.below(3)]
        }
        guard layer.version == 3 else { return layer }
        layer.extendedL2 = clusterBits >= 14 && random.chance(2)
        if !compresses, layer.preallocation == "off", random.chance(2) {
            layer.dataFile = !hasBacking && random.chance(2) ? .raw : .mapped
        } else if random.chance(3) {
            // A compressed host cluster is counted once an entry: a width too small for that cannot be made.
            layer.refcountBits = compresses ? 64 : [1, 2, 4, 8, 32, 64][random.below(6)]
        }
        return layer
    }

    /// 1 to 12 MiB, less for tiny clusters, which cost qemu a table each; half of them end inside a cluster.
    private static func size(clusterBits: Int, _ random: inout SeededGenerator) -> Int {
        let largest = clusterBits < 12 ? 2 : clusterBits < 16 ? 6 : 12
        let size = (1 + random.below(largest)) << 20
        return random.chance(2) ? size - 512 * (1 + random.below(255)) : size
    }
}

extension SeededGenerator {
    /// 0 to `bound` − 1.
    mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() >> 1) % bound }

    /// True once in `count` times.
    mutating func chance(_ count: Int) -> Bool { below(count) == 0 }
}
