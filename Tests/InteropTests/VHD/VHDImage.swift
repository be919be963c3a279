import Foundation
import ReimageTesting

/// The bytes of one VHD file.
struct VHDImage {
    private(set) var bytes: Data
    let identity: [UInt8]
    /// Where the blocks' bitmaps begin, by block.
    private(set) var places: [Int: Int] = [:]

    init(layer: VHDLayer, content: VHDContent, parent: VHDParent?, _ random: inout SeededGenerator) {
        identity = (0..<16).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let footer = VHDFields.footer(of: layer, identity: identity)
        if layer.kind == .fixed {
            bytes = content.stored
            bytes.append(Data(count: layer.surplus))
            bytes.append(layer.hasShortFooter ? footer.dropLast() : footer)
            return
        }
        bytes = footer
        let count = (layer.size + layer.blockSize - 1) / layer.blockSize + layer.spareEntries
        var end = layer.tableOffset + (count * 4 + 511) / 512 * 512
        var header = VHDFields.dynamicHeader(of: layer, entryCount: count)
        var strings: [(place: Int, text: Data)] = []
        if let parent, layer.kind == .differencing {
            header.set(parent.identity, at: 40)
            header.set(random.chance(2) ? 0 : 700_000_000 + random.below(1 << 20), 4, at: 56)
            let path = layer.parentFolder.replacing("/", with: "\\") + parent.name
            let name = layer.namesPath ? "C:\\Disks\\" + path : parent.name
            header.set(name.utf16.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }, at: 64)
            for (number, locator) in layer.locators.entries(path: path).enumerated() {
                let isEarly = layer.tableOffset >= 8192 && number == 0
                let place = isEarly ? 4096 : end
                if !isEarly { end += (locator.text.count + 511) / 512 * 512 }
                let entry = 576 + 24 * number
                header.set(Array(locator.code.utf8), at: entry)
                // Sectors by the specification; Windows writes bytes.
                header.set(random.chance(2) ? 1 : 4096 << (4 * number), 4, at: entry + 4)
                header.set(locator.text.count, 4, at: entry + 8)
                header.set(place, 8, at: entry + 16)
                strings.append((place, Data(locator.text)))
            }
        }
        header.set(VHDFields.checksum(header, at: 36), 4, at: 36)
        let table = appendBlocks(of: content, entryCount: count, from: &end, &random)
        bytes.append(Data(count: end + layer.footerGap - bytes.count))
        bytes.replaceSubrange(512..<1536, with: header)
        bytes.replaceSubrange(layer.tableOffset..<layer.tableOffset + table.count, with: table)
        for (place, text) in strings { bytes.set(text, at: place) }
        bytes.append(footer)
    }

    /// Appends bitmaps and data, and gives the BAT.
    private mutating func appendBlocks(
        of content: VHDContent, entryCount: Int, from end: inout Int, _ random: inout SeededGenerator
    ) -> Data {
        let layer = content.layer
        var table = Data(repeating: 0xFF, count: (entryCount * 4 + 511) / 512 * 512)
        for place in entryCount * 4..<table.count { table[place] = layer.tablePadding }
        let bitmapSize = max(512, (layer.blockSize / 4096 + 511) / 512 * 512)
        let sectors = layer.blockSize / 512
        var blocks = content.blocks.sorted()
        if layer.placement == .shuffled { blocks.shuffle(using: &random) }
        for block in blocks {
            switch layer.placement {
            case .gaps: end += 512 * random.below(9)
            case .aligned: end = (end + bitmapSize + 4095) / 4096 * 4096 - bitmapSize
            case .tight, .shuffled: break
            }
            bytes.append(Data(count: end + bitmapSize + layer.blockSize - bytes.count))
            places[block] = end
            table.set(end / 512, 4, at: block * 4)
            for index in 0..<sectors {
                guard let stored = content.sectors[block * sectors + index] else { continue }
                if stored.isSet { bytes[end + index / 8] |= 0x80 >> UInt8(index % 8) }
                let place = end + bitmapSize + index * 512
                bytes.set(stored.bytes, at: place)
            }
            if layer.bitmaps == .full {
                bytes.replaceSubrange(end..<end + bitmapSize, with: Data(repeating: 0xFF, count: bitmapSize))
            }
            end = bytes.count
        }
        return table
    }
}

/// The two structures that have a checksum.
enum VHDFields {
    static func footer(of layer: VHDLayer, identity: [UInt8]) -> Data {
        var footer = Data(count: 512)
        footer.set(Array("conectix".utf8), at: 0)
        footer.set(2, 4, at: 8)
        footer.set(0x10000, 4, at: 12)
        footer.set(layer.kind == .fixed ? -1 : 512, 8, at: 16)
        footer.set(700_000_000, 4, at: 24)
        footer.set(Array(layer.creator.rawValue.utf8), at: 28)
        footer.set(0xA0000, 4, at: 32)
        footer.set(Array("Wi2k".utf8), at: 36)
        footer.set(layer.originalSize ?? layer.size, 8, at: 40)
        footer.set(layer.size, 8, at: 48)
        footer.set(layer.cylinders.cylinders, 2, at: 56)
        footer.set(layer.cylinders.heads, 1, at: 58)
        footer.set(layer.cylinders.sectors, 1, at: 59)
        footer.set(layer.kind.rawValue, 4, at: 60)
        footer.set(identity, at: 68)
        footer.set(layer.isSaved ? 1 : 0, 1, at: 84)
        footer.set(checksum(footer, at: 64), 4, at: 64)
        return footer
    }

    /// All but the parent and the checksum.
    static func dynamicHeader(of layer: VHDLayer, entryCount: Int) -> Data {
        var header = Data(count: 1024)
        header.set(Array("cxsparse".utf8), at: 0)
        header.set(layer.hasShortNextOffset ? 0xFFFF_FFFF : -1, 8, at: 8)
        header.set(layer.tableOffset, 8, at: 16)
        header.set(0x10000, 4, at: 24)
        header.set(entryCount, 4, at: 28)
        header.set(layer.blockSize, 4, at: 32)
        return header
    }

    /// The complement of the sum of all bytes but the four of the field itself.
    static func checksum(_ structure: Data, at field: Int) -> Int {
        let sum = structure.enumerated().reduce(0) {
            (field..<field + 4).contains($1.offset) ? $0 : $0 + Int($1.element)
        }
        return Int(~UInt32(truncatingIfNeeded: sum))
    }
}

extension VHDLayer.Locators {
    /// Platform codes and their data, for a parent at a Windows path that is relative to the image's folder.
    func entries(path: String) -> [(code: String, text: [UInt8])] {
        let relative = ("W2ru", (".\\" + path).utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })
        let absolute = ("W2ku", ("C:\\Disks\\" + path).utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] })
        switch self {
        case .none: return []
        case .relative: return [relative]
        case .absolute: return [absolute]
        case .both: return [absolute, relative]
        case .plain: return [("Wi2r", Array((".\\" + path).utf8))]
        case .url: return [("MacX", Array("file:///Disks/\(path.replacing("\\", with: "/"))".utf8))]
        }
    }
}

extension Data {
    /// Big-endian, as everything in the format.
    mutating func set(_ value: Int, _ width: Int, at offset: Int) {
        for index in 0..<width {
            self[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * (width - 1 - index)))
        }
    }

    mutating func set(_ bytes: some Collection<UInt8>, at offset: Int) {
        replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    mutating func set(_ bytes: Data, at offset: Int) {
        replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    /// Cut off, or followed by zeros.
    func resized(_ count: Int) -> Data { prefix(count) + Data(count: Swift.max(0, count - self.count)) }
}
