import Foundation
import ReimageTesting

/// A disk and the VHD image that is to be written of it.
struct VHDWriteRecipe: Sendable, Codable, CustomStringConvertible {
    /// What lies below the image.
    enum Base: String, Codable, CaseIterable { case fixed, dynamic, differencing }

    /// Seeds everything that is left to chance.
    var index: Int
    /// The disk's length in bytes, any.
    var size: Int
    var isFixed = false
    /// `nil` leaves it to the writer.
    var blockSize: Int?
    var base: Base?
    /// The length of the disk below.
    var baseSize = 0

    /// Block sizes × sizes around the borders of blocks; the smallest disks; odd ones; and what lies on others.
    static let matrix: [VHDWriteRecipe] = dynamic + fixed + differencing

    private static let dynamic: [VHDWriteRecipe] = {
        var recipes: [VHDWriteRecipe] = []
        let blocks: [Int?] = [nil, 4 << 10, 16 << 10, 64 << 10, 512 << 10, 1 << 20, 16 << 20, 4 << 20]
        for (row, block) in blocks.enumerated() {
            let unit = block ?? 2 << 20
            let border = unit * (max(1, (1 << 20) / unit) + row % 2)
            let sizes = unit > 4 << 20 ? [1 << 20, border + 512] : [border, border - 512, border + 512]
            for size in sizes {
                recipes.append(VHDWriteRecipe(index: recipes.count, size: size, blockSize: block))
            }
        }
        for size in [512, 1024, 511, 1, 700_001, 2_097_153] {
            recipes.append(VHDWriteRecipe(index: recipes.count, size: size))
        }
        return recipes
    }()

    private static let fixed: [VHDWriteRecipe] = [512, 513, 1 << 20, (3 << 20) - 512, 2_500_001].enumerated().map {
        VHDWriteRecipe(index: 200 + $0, size: $1, isFixed: true)
    }

    private static let differencing: [VHDWriteRecipe] = (300..<318).map { index in
        var random = SeededGenerator(seed: UInt64(index) ^ 0xD1F)
        let size = (1 + random.below(3)) << 20
        let base = Base.allCases[index % 3]
        var recipe = VHDWriteRecipe(index: index, size: size, base: base, baseSize: size)
        recipe.blockSize = [nil, 64 << 10, 512 << 10][index % 9 / 3]
        switch index % 6 {
        case 4: recipe.baseSize = size + 512 * (1 + random.below(3000))
        case 5: recipe.baseSize = size - 512 * (1 + random.below(1500))
        default: break
        }
        return recipe
    }

    /// What goes before source and target.
    var arguments: [String] {
        var options = ["subformat=\(isFixed ? "fixed" : "dynamic")"]
        if let blockSize { options.append("block_size=\(blockSize)") }
        if index % 4 == 0 { options.append("force_size=on") }
        if base != nil { options.removeFirst() }
        var arguments = ["-f", "raw", "-O", index % 2 == 0 ? "vhd" : "vpc"]
        if !options.isEmpty { arguments += ["-o", options.joined(separator: ",")] }
        if base != nil { arguments += ["-b", "base.vhd", "-F", "vhd"] }
        return arguments
    }

    /// The disk's length in the image.
    var byteCount: Int { (size + 511) / 512 * 512 }

    /// The disk: noise, zeros and one byte over and over; the more of it like `base`, the longer that is.
    func disk(over base: Data) -> Data {
        var random = SeededGenerator(seed: UInt64(index))
        var disk = base.resized(size)
        var start = 0
        while start < size {
            let end = min(size, start + 1 + random.below(random.chance(3) ? 900 : 150_000))
            switch random.below(base.isEmpty ? 4 : 6) {
            case 0:
                let noise = (0..<min(end - start, 4096)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
                for place in stride(from: start, to: end, by: noise.count) {
                    disk.set(noise.prefix(end - place), at: place)
                }
            case 1: disk.set(Data(repeating: UInt8(1 + index % 255), count: end - start), at: start)
            case 2: disk.set(Data(count: end - start), at: start)
            default: break
            }
            start = end
        }
        return disk
    }

    var description: String {
        let below = base.map { " over \($0) of \(baseSize)" } ?? ""
        return "#\(index) \(size) bytes\(below): \(arguments.dropFirst(2).joined(separator: " "))"
    }
}
