import Foundation
import ReimageTesting
import TestSupport

/// A VHD image that qemu's tools make.
struct VHDQEMURecipe: Sendable, Codable, CustomStringConvertible {
    struct Write: Sendable, Codable {
        var offset: Int
        var count: Int
        var byte: UInt8
    }

    /// Seeds everything that is left to chance.
    var index: Int
    /// The size asked for.
    var size: Int
    var isFixed: Bool
    var forcesSize: Bool
    /// Whether the image is converted from a raw one, else created and written to.
    var isConverted: Bool
    var writes: [Write]

    /// Every way of making an image, six sizes each.
    static let matrix: [VHDQEMURecipe] = (0..<72).map { index in
        var random = SeededGenerator(seed: UInt64(index) ^ 0x9E30)
        let size =
            switch index / 8 {
            case 0: 512 * (1 + random.below(3))
            case 1: (1 + random.below(4)) << 20
            case 2: 4 << 20
            case 3: (2 << 20) + 512
            case 4: (4 << 20) - 512
            default: (1 << 20) + 512 * random.below(9000)
            }
        let writes = (0..<random.below(12)).map { _ in
            let offset = random.below(size)
            return Write(
                offset: offset, count: 1 + random.below(min(size - offset, random.chance(2) ? 3000 : 900_000)),
                byte: random.chance(5) ? 0 : UInt8(1 + random.below(255)))
        }
        return VHDQEMURecipe(
            index: index, size: size, isFixed: index & 1 != 0, forcesSize: index & 2 != 0, isConverted: index & 4 != 0,
            writes: writes)
    }

    /// The disk's length: without force_size the first geometry that is large enough.
    var byteCount: Int {
        if forcesSize { return (size + 511) / 512 * 512 }
        var sectors = (size + 511) / 512
        while true {
            let geometry = VHDLayer.computedGeometry(sectors: sectors)
            let count = geometry.cylinders * geometry.heads * geometry.sectors * 512
            if count >= size { return count }
            sectors += 1
        }
    }

    var options: String { "subformat=\(isFixed ? "fixed" : "dynamic"),force_size=\(forcesSize ? "on" : "off")" }

    /// The disk without the zeros that rounding appends.
    var disk: Data {
        var disk = Data(count: size)
        for write in writes {
            disk.set(Data(repeating: write.byte, count: write.count), at: write.offset)
        }
        return disk
    }

    /// Makes `name` in `folder`.
    func make(_ name: String, _ workshop: Workshop, in folder: Scratch) throws {
        if isConverted {
            try disk.write(to: URL(fileURLWithPath: folder.file("in.raw")))
            try workshop.img.succeed(
                ["convert", "-f", "raw", "-O", "vpc", "-o", options, "in.raw", name], in: folder)
        } else {
            try workshop.img.succeed(["create", "-q", "-f", "vpc", "-o", options, name, "\(size)"], in: folder)
            let commands = writes.flatMap { ["-c", "write -q -P \($0.byte) \($0.offset) \($0.count)"] }
            if !commands.isEmpty { try workshop.io.succeed(["-f", "vpc"] + commands + [name], in: folder) }
        }
    }

    var description: String {
        "#\(index) \(size) \(options) \(isConverted ? "converted" : "created") \(writes.count) writes"
    }
}
