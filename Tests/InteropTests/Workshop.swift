import ReimageTesting
import Foundation
import TestSupport
import Testing

/// qemu's tools, and the places where images are made.
struct Workshop: Sendable {
    let img: Program
    let io: Program

    /// `nil` where qemu's tools are missing.
    static let standard: Workshop? = {
        guard let img = Program(named: "qemu-img"), let io = Program(named: "qemu-io") else { return nil }
        return Workshop(img: img, io: io)
    }()

    /// An image, with what qemu makes of it.
    struct Made {
        let folder: Scratch
        let recipe: Recipe
        /// The image under test, in `folder`.
        let name: String
        /// What `qemu-img convert -O raw` wrote, in `folder`.
        let expectedName: String
        /// The disk's exact length, which qemu rounds to sectors.
        let byteCount: Int
        /// What `qemu-img map --output=json` said.
        let map: Data
    }

    /// Makes every layer of `recipe`, and lets qemu read the last.
    func make(_ recipe: Recipe, writesOnly: Bool = false) throws -> Made {
        let folder = Scratch()
        var random = SeededGenerator(seed: UInt64(recipe.index) ^ 0xD15C)
        var base: (name: String, format: String)?
        for (level, layer) in recipe.layers.enumerated() {
            let name = layer.isRaw ? "layer\(level).raw" : "layer\(level).qcow2"
            if layer.isRaw {
                folder.write(Self.rawDisk(layer.size, &random), to: name)
            } else {
                let operations = Operation.random(for: layer, payloads: Self.payloads, writesOnly: writesOnly, &random)
                try make(layer, name, on: base, operations, in: folder)
            }
            base = (name, layer.isRaw ? "raw" : "qcow2")
        }
        let top = try #require(base?.name)
        try img.succeed(["convert", "-f", "qcow2", "-O", "raw", top, "expected.raw"], in: folder)
        let map = try img.succeed(["map", "--output=json", "-f", "qcow2", top], in: folder).output
        var byteCount = recipe.top.size
        if recipe.cut > 0 {
            byteCount -= recipe.cut
            try Self.setSize(byteCount, ofImageAt: folder.file(top))
        }
        return Made(
            folder: folder, recipe: recipe, name: top, expectedName: "expected.raw", byteCount: byteCount, map: map)
    }

    private func make(
        _ layer: Layer, _ name: String, on base: (name: String, format: String)?, _ operations: [Operation],
        in folder: Scratch
    ) throws {
        // Compressed by conversion: written plainly first.
        let draft = layer.maker == .convert && layer.compression != .none
        let written = draft ? "draft-" + name : name
        let options = draft ? "compat=1.1" : layer.options(dataFileName: name + ".data")
        var create = ["create", "-q", "-f", "qcow2", "-o", options]
        if let base { create += ["-b", base.name, "-F", base.format] }
        try img.succeed(create + [written, "\(layer.size)"], in: folder)
        try io.succeed(
            ["-f", "qcow2", "-d", "unmap"] + operations.flatMap { ["-c", $0.command] } + [written], in: folder)
        guard draft else { return }
        var convert = ["convert", "-c", "-f", "qcow2", "-O", "qcow2", "-o", layer.options(dataFileName: "")]
        if let base { convert += ["-B", base.name, "-F", base.format] }
        try img.succeed(convert + [written, name], in: folder)
        try FileManager.default.removeItem(atPath: folder.file(written))
    }

    /// Writes to an image that is there already, by chance seeded with `seed`.
    func alter(_ name: String, of layer: Layer, seed: UInt64, in folder: Scratch) throws {
        var random = SeededGenerator(seed: seed)
        var plain = layer
        plain.compression = .none
        let operations = Operation.random(for: plain, payloads: Self.payloads, writesOnly: false, &random)
        try io.succeed(
            ["-f", "qcow2", "-d", "unmap"] + operations.flatMap { ["-c", $0.command] } + [name], in: folder)
    }

    /// Text, noise, and noise with holes in it: bytes that tell places apart.
    private static let payloadFolder = Scratch()
    private static let payloads: [String] = {
        atexit { try? FileManager.default.removeItem(atPath: Workshop.payloadFolder.path) }
        var random = SeededGenerator(seed: 7)
        let words = (0..<512).map { _ in String(random.next() % 100_000, radix: 36) }
        let text = (0..<120_000).map { _ in words[random.below(512)] }.joined(separator: " ")
        let noise = (0..<720_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        var mixed = [UInt8](text.utf8.prefix(700_000))
        for _ in 0..<60 {
            let start = random.below(mixed.count - 20_000) & ~511
            for place in start..<(start + 512 * (1 + random.below(36))) { mixed[place] = 0 }
        }
        return [
            payloadFolder.write([UInt8](text.utf8), to: "text"), payloadFolder.write(noise, to: "noise"),
            payloadFolder.write(mixed, to: "mixed"),
        ]
    }()

    private static func rawDisk(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        for _ in 0..<8 {
            let start = random.below(count)
            let value = random.next()
            for place in start..<min(count, start + random.below(256 << 10)) {
                bytes[place] = UInt8(truncatingIfNeeded: value >> (UInt64(place) % 57) ^ UInt64(place >> 9))
            }
        }
        return bytes
    }

    /// Writes the header's size field: qemu itself makes only multiples of 512.
    private static func setSize(_ count: Int, ofImageAt path: String) throws {
        let file = try #require(FileHandle(forUpdatingAtPath: path))
        try file.seek(toOffset: 24)
        try file.write(contentsOf: Data((0..<8).map { UInt8(truncatingIfNeeded: count >> (56 - 8 * $0)) }))
        try file.close()
    }
}

extension Program {
    /// Runs to the end in `folder`; a failure ends the test with what the program said.
    @discardableResult
    func succeed(_ arguments: [String], in folder: Scratch) throws -> ProgramResult {
        let result = try run(arguments, in: folder.path)
        if result.status == 0 { return result }
        // The output may be an image of many megabytes: it is made text of only here.
        let said = "\(path) \(arguments.first ?? ""): \(result.errors) \(result.text.suffix(500))"
        try #require(result.status == 0, "\(said)")
        return result
    }
}
