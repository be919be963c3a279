import Foundation

/// Where a reader of others is known not to read an image as it is.
struct VHDException: Sendable {
    enum Outcome {
        /// It does not open the image, or fails while reading.
        case refuses
        /// It takes the disk to be so long, and reads it rightly otherwise.
        case size(Int)
        /// It reads other bytes, these.
        case reads(Data)
        /// It reads other bytes without a word.
        case misreads

        /// Whether the bytes are right, if not their number.
        var isRight: Bool {
            if case .size = self { true } else { false }
        }
    }

    var reader: VHDReader
    /// What in the image it is, and what the reader does.
    var reason: String
    var outcome: @Sendable (VHDBuilder.Made) -> Outcome?

    /// The first that fits decides; where none does, the reader reads what `reimage` reads.
    static let all: [VHDException] = qemu + sevenZip + libvhdi

    private static let qemu = [
        VHDException(reader: .qemu, reason: "a geometry larger than the disk is believed, and the BAT is too small") {
            $0.top.qemuSize > $0.top.coveredByteCount ? .refuses : nil
        },
        VHDException(reader: .qemu, reason: "a fixed disk goes on with its footer where the geometry is larger") {
            $0.top.kind == .fixed && $0.top.qemuSize > $0.top.size ? .misreads : nil
        },
        VHDException(reader: .qemu, reason: "blocks below 4 KiB are taken to have no bitmap") {
            $0.top.hasTinyBlocks && $0.storesBlocks ? .misreads : nil
        },
        VHDException(reader: .qemu, reason: "differencing disks are not implemented: the parent is ignored") {
            $0.top.kind == .differencing ? .reads($0.own.resized($0.top.qemuSize)) : nil
        },
        VHDException(reader: .qemu, reason: "the geometry is the size, but for a few creators") {
            $0.top.qemuSize == $0.top.byteCount ? nil : .size($0.top.qemuSize)
        },
    ]

    private static let sevenZip = [
        VHDException(reader: .sevenZip, reason: "footers of 511 bytes are not looked for") {
            $0.top.hasShortFooter ? .refuses : nil
        },
        VHDException(reader: .sevenZip, reason: "a fixed disk is taken to end at its footer, wherever it begins") {
            let surplus = $0.top.surplus
            return surplus > 0 ? .reads($0.view.disk.dropFirst(surplus) + Data(count: surplus)) : nil
        },
        VHDException(reader: .sevenZip, reason: "a BAT of more entries than needed is refused") {
            $0.top.spareEntries > 0 ? .refuses : nil
        },
        VHDException(reader: .sevenZip, reason: "data under a clear bit is a data error") {
            $0.hidesData ? .refuses : nil
        },
        VHDException(reader: .sevenZip, reason: "backslashes are part of the name: no parent in another folder") {
            $0.top.parentFolder != "" ? .refuses : nil
        },
        VHDException(reader: .sevenZip, reason: "a Windows path is not taken apart: no such parent") {
            $0.recipe.layers.contains(where: \.namesOnlyPath) ? .refuses : nil
        },
        VHDException(reader: .sevenZip, reason: "nothing is read past the end of a shorter parent") {
            $0.view.pastParent.isEmpty ? nil : .refuses
        },
        VHDException(reader: .sevenZip, reason: "the current size counts for every creator") {
            $0.top.size == $0.top.byteCount ? nil : .size($0.top.size)
        },
    ]

    private static let libvhdi = [
        VHDException(reader: .libvhdi, reason: "footers of 511 bytes are not looked for") {
            $0.top.hasShortFooter ? .refuses : nil
        },
        VHDException(reader: .libvhdi, reason: "the original size is read from a file that is not so long") {
            $0.top.kind == .fixed && $0.top.originalSize ?? 0 > $0.top.size ? .refuses : nil
        },
        VHDException(reader: .libvhdi, reason: "blocks below 4 KiB are refused") {
            $0.recipe.layers.contains(where: \.hasTinyBlocks) ? .refuses : nil
        },
        VHDException(reader: .libvhdi, reason: "nothing is read past the end of a shorter parent") {
            let end = ($0.top.originalSize ?? $0.top.size) / 512
            return $0.spreadView.pastParent.contains { $0 < end } ? .refuses : nil
        },
        VHDException(reader: .libvhdi, reason: "a bit that is set counts for the rest of its byte, too") {
            let isSpread = $0.spreadView.disk != $0.view.disk
            return isSpread ? .reads($0.spreadView.disk.resized($0.top.originalSize ?? $0.top.size)) : nil
        },
        VHDException(reader: .libvhdi, reason: "the original size counts, not the current one") {
            let size = $0.top.originalSize ?? $0.top.size
            return size == $0.top.byteCount ? nil : .size(size)
        },
    ]

    static func first(_ reader: VHDReader, _ made: VHDBuilder.Made) -> Found? {
        for exception in all where exception.reader == reader {
            if let outcome = exception.outcome(made) {
                return Found(reader: reader, reason: exception.reason, outcome: outcome)
            }
        }
        return nil
    }

    struct Found {
        var reader: VHDReader
        var reason: String
        var outcome: Outcome
    }
}

extension VHDBuilder.Made {
    fileprivate var top: VHDLayer { recipe.top }
    fileprivate var storesBlocks: Bool { own.contains { $0 != 0 } }
}

extension VHDLayer {
    /// The disk's length as qemu 7.2 takes it.
    var qemuSize: Int {
        let isMaximal = geometrySize == 65535 * 16 * 255 * 512
        return isMaximal || [.qemuForced, .windows, .xen].contains(creator) ? size : geometrySize
    }

    var hasTinyBlocks: Bool { kind != .fixed && blockSize < 4096 }

    /// Whether only a Windows path leads to the parent.
    var namesOnlyPath: Bool { kind == .differencing && namesPath && locators != .relative && locators != .both }

    /// Where the blocks end that the BAT has entries for.
    var coveredByteCount: Int {
        if kind == .fixed { return .max }
        return ((size + blockSize - 1) / blockSize + spareEntries) * blockSize
    }
}
