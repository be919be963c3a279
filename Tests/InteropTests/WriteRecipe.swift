import ReimageTesting

/// A disk and the qcow2 image that is to be written of it.
struct WriteRecipe: Sendable, Codable, CustomStringConvertible {
    /// What lies below the image.
    enum Base: String, Codable { case none, raw, qcow2 }

    /// Seeds everything that is left to chance.
    var index: Int
    /// The disk's length in bytes, any.
    var size: Int
    var version = 3
    var clusterBits = 16
    var compression: Layer.Compression = .none
    var level: Int?
    var extendedL2 = false
    var refcountBits = 16
    var lazyRefcounts = false
    var preallocation = "off"
    var dataFile = Layer.DataFile.none
    var base = Base.none
    var storesZeros = false

    /// Cluster size × way of storing in full; the other traits by seeded chance.
    static let matrix: [WriteRecipe] = (0..<182).map { WriteRecipe(matrixIndex: $0) }

    private init(matrixIndex index: Int) {
        // 13 and 7 share no factor: 182 indices give every pair twice.
        var random = SeededGenerator(seed: UInt64(index) ^ 0x5EED)
        self.index = index
        clusterBits = 9 + index % 13
        size = Self.size(clusterBits, &random)
        switch index % 7 {
        case 0: preallocation = ["metadata", "falloc", "full"][random.below(3)]
        case 1: compression = .zlib
        case 2: compression = .zstd
        case 3: dataFile = random.chance(2) ? .raw : .mapped
        case 4: base = random.chance(2) ? .raw : .qcow2
        case 5:
            base = random.chance(2) ? .raw : .qcow2
            compression = random.chance(2) ? .zlib : .zstd
        default: storesZeros = random.chance(4)
        }
        if compression == .zlib { level = [nil, 1, 3, 6, 12][random.below(5)] }
        if compression == .zstd { level = [nil, 1, 9][random.below(3)] }
        let needsVersion3 = compression == .zstd || dataFile != .none
        if !needsVersion3, random.chance(3) {
            version = 2
            return
        }
        extendedL2 = clusterBits >= 14 && random.chance(2)
        lazyRefcounts = random.chance(4)
        if random.chance(2) { refcountBits = [1, 2, 4, 8, 32, 64][random.below(6)] }
    }

    private static func size(_ clusterBits: Int, _ random: inout SeededGenerator) -> Int {
        let largest = clusterBits < 12 ? 1 : clusterBits < 16 ? 4 : 9
        let size = (1 + random.below(largest)) << 20
        switch random.below(4) {
        case 0: return size - 512 * (1 + random.below(255))
        case 1: return size - 1 - random.below(70_000)
        case 2 where random.chance(4): return random.below(3) * 511
        default: return size
        }
    }

    /// For `-o`.
    func options(dataFileName: String) -> String {
        var options = ["compat=\(version == 2 ? "0.10" : "1.1")", "cluster_size=\(1 << clusterBits)"]
        if compression == .zstd { options.append("compression_type=zstd") }
        if extendedL2 { options.append("extended_l2=on") }
        if lazyRefcounts { options.append("lazy_refcounts=on") }
        if refcountBits != 16 { options.append("refcount_bits=\(refcountBits)") }
        if preallocation != "off" { options.append("preallocation=\(preallocation)") }
        if dataFile != .none { options.append("data_file=\(dataFileName)") }
        if dataFile == .raw { options.append("data_file_raw=on") }
        return options.joined(separator: ",")
    }

    /// What goes before source and target.
    func arguments(dataFileName: String) -> [String] {
        var arguments = ["-f", "raw", "-O", "qcow2", "-o", options(dataFileName: dataFileName)]
        if compression != .none { arguments.append("-c") }
        if let level { arguments += ["--level", "\(level)"] }
        switch base {
        case .none: break
        case .raw: arguments += ["-b", "base.raw", "-F", "raw"]
        case .qcow2: arguments += ["-b", "base.qcow2", "-F", "qcow2"]
        }
        if storesZeros { arguments += ["-S", "0"] }
        return arguments
    }

    /// Whether 7-Zip knows everything that the image has.
    var isForSevenZip: Bool {
        size > 0 && compression != .zstd && !extendedL2 && dataFile == .none && base == .none
    }

    /// The disk: text, noise, zeros and one byte over and over, some runs shorter than a sector; as much of it as
    /// chance has it like `base`.
    func disk(over base: [UInt8]) -> [UInt8] {
        var random = SeededGenerator(seed: UInt64(index))
        var disk = [UInt8](repeating: 0, count: size)
        var start = 0
        while start < size {
            let end = min(size, start + 1 + random.below(random.chance(3) ? 700 : 200_000))
            switch random.below(5) {
            case 0:
                for place in start..<end { disk[place] = UInt8(truncatingIfNeeded: random.next()) }
            case 1:
                let word = random.next()
                for place in start..<end { disk[place] = UInt8(truncatingIfNeeded: word >> UInt64(place % 8 * 5)) }
            case 2:
                for place in start..<end where place < base.count { disk[place] = base[place] }
            case 3:
                for place in start..<end { disk[place] = UInt8(truncatingIfNeeded: index) }
            default: break
            }
            start = end
        }
        return disk
    }

    var description: String {
        let below = base == .none ? "" : " over \(base)"
        return "#\(index) \(size) bytes\(below): "
            + arguments(dataFileName: "x").dropFirst(5).joined(separator: " ")
    }
}
