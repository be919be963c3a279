import Foundation

extension VHDDamage {
    static let all: [VHDDamage] = footers + fields + headerFields + blocks + fixed + differencing

    private static let footers: [VHDDamage] = [
        VHDDamage(name: "nothing", outcome: .read()) { _ in },
        VHDDamage(name: "the first checksum is wrong", outcome: .read(noting: "start")) { image in
            image.changeHead(.stale) { $0[100] ^= 1 }
        },
        VHDDamage(name: "the last checksum is wrong", outcome: .read(noting: "end")) { image in
            image.changeTail(.stale) { $0[100] ^= 1 }
        },
        VHDDamage(
            name: "both checksums are wrong", outcome: .refused(4, saying: "checksum", at: 0),
            remedy: ["--ignore-checksums"]
        ) { image in
            image.changeFooters(.stale) { $0[100] ^= 1 }
        },
        VHDDamage(
            name: "the header's checksum is wrong", outcome: .refused(4, saying: "checksum", at: 512),
            remedy: ["--ignore-checksums"]
        ) { image in
            image.changeHeader(.stale) { $0[1000] ^= 1 }
        },
        VHDDamage(name: "the start is wiped", outcome: .read(noting: "start")) { image in
            image.changeHead(.stale) { $0 = Data(count: 512) }
        },
        VHDDamage(name: "the end is wiped", outcome: .read(noting: "end")) { image in
            image.changeTail(.stale) { $0 = Data(count: 512) }
        },
        VHDDamage(name: "the last footer is cut off", outcome: .read(noting: "end")) { $0.bytes.removeLast(512) },
        VHDDamage(name: "both footers are gone", outcome: .refused(4, saying: "footer")) { image in
            image.changeFooters(.stale) { $0 = Data(count: 512) }
        },
        VHDDamage(name: "a byte behind the end", outcome: .read(noting: "behind the footer")) { $0.bytes.append(7) },
        VHDDamage(name: "a sector behind the end", outcome: .read(noting: "behind the footer")) {
            $0.bytes.append(Data(count: 512))
        },
        VHDDamage(name: "the last footer is another one", outcome: .read(noting: "differ")) { image in
            image.changeTail { $0.set(512 << 10, 8, at: 48) }
        },
        VHDDamage(
            name: "the first footer is another one", outcome: .refused(4, saying: "too small", at: 540),
            remedy: ["--vhd-footer", "tail"]
        ) { image in
            image.changeHead { $0.set(9 << 20, 8, at: 48) }
        },
    ]

    private static let fields: [VHDDamage] =
        [0, 1, 5, 6].map { footerField("type \($0)", at: 60, 4, $0, .refused(63, saying: "type", at: 60)) }
        + [0, 511, 1000, 1 << 40, (2040 << 30) + 512].map {
            footerField("a size of \($0)", at: 48, 8, $0, .refused(4, saying: "a disk of"))
        }
        + [0, 256, 1 << 30, -1, 1 << 62].map {
            footerField("the header at \($0)", at: 16, 8, $0, .refused(4, saying: "header", at: 16))
        }
        + [
            footerField("version 2", at: 12, 4, 0x20000, .refused(63, saying: "version", at: 12)),
            footerField("a fixed disk by both footers", at: 60, 4, 2, .refused(4, saying: "fixed disk", at: 0)),
            VHDDamage(name: "a fixed disk by the first footer", outcome: .refused(4, saying: "kinds")) { image in
                image.changeHead { $0.set(2, 4, at: 60) }
            },
        ]

    private static let headerFields: [VHDDamage] =
        [1 << 30, -512, 1 << 62].map {
            headerField("the BAT at \($0)", at: 16, 8, $0, .refused(4, saying: "block allocation table"))
        }
        + [0, 15].map {
            headerField("\($0) entries", at: 28, 4, $0, .refused(4, saying: "block allocation table", at: 540))
        }
        + [0, 1, 256, 3 << 20, 1 << 31, (1 << 32) - 1].map {
            headerField("blocks of \($0)", at: 32, 4, $0, .refused(4, saying: "block", at: 544))
        }
        + [
            headerField("header version 2", at: 24, 4, 0x20000, .refused(63, saying: "version", at: 536)),
            headerField("no dynamic header", at: 0, 1, 0, .refused(4, saying: "header", at: 512)),
        ]

    private static func footerField(
        _ name: String, at place: Int, _ width: Int, _ value: Int, _ outcome: Outcome
    ) -> VHDDamage {
        VHDDamage(name: name, outcome: outcome) { image in
            image.changeFooters { $0.set(value, width, at: place) }
        }
    }

    private static func headerField(
        _ name: String, at place: Int, _ width: Int, _ value: Int, _ outcome: Outcome
    ) -> VHDDamage {
        VHDDamage(name: name, outcome: outcome) { image in
            image.changeHeader { $0.set(value, width, at: place) }
        }
    }

    private static let blocks: [VHDDamage] =
        [0, 1, 2, 3, 1 << 20, (1 << 32) - 2].map { sector in
            VHDDamage(name: "a block at sector \(sector)", outcome: .refused(4, saying: "block")) {
                $0.moveBlock(toSector: sector)
            }
        }
        + [
            VHDDamage(name: "a block in the last footer", outcome: .refused(4, saying: "block")) { image in
                image.moveBlock(toSector: image.bytes.count / 512 - 1)
            },
            VHDDamage(name: "cut within the last block", outcome: .refused(4, saying: "block")) { image in
                image.bytes.removeLast(512 + 20_000)
            },
            VHDDamage(name: "cut within the last block's bitmap", outcome: .refused(4, saying: "block")) { image in
                image.bytes.removeLast(512 + (64 << 10) + 100)
            },
            VHDDamage(name: "cut within the header", outcome: .refused(4, saying: "outside the file", at: 16)) {
                $0.bytes = $0.bytes.prefix(900)
            },
            VHDDamage(name: "cut within the BAT", outcome: .refused(4, saying: "passes the end", at: 1536)) {
                $0.bytes = $0.bytes.prefix(1560)
            },
            VHDDamage(name: "empty", outcome: .refused(4, saying: "no VHD footer", at: 0)) { $0.bytes = Data() },
        ]

    private static let fixed: [VHDDamage] = [
        VHDDamage(name: "nothing", kind: .fixed, outcome: .read()) { _ in },
        VHDDamage(
            name: "the checksum is wrong", kind: .fixed, outcome: .refused(4, saying: "checksum"),
            remedy: ["--ignore-checksums"]
        ) { image in
            image.changeTail(.stale) { $0[100] ^= 1 }
        },
        VHDDamage(name: "no footer", kind: .fixed, outcome: .refused(4, saying: "footer")) {
            $0.bytes.removeLast(512)
        },
        VHDDamage(name: "data is missing", kind: .fixed, outcome: .refused(4, saying: "is stored in")) {
            $0.bytes.removeFirst(512)
        },
        VHDDamage(name: "data is one byte short", kind: .fixed, outcome: .refused(4, saying: "is stored in")) {
            $0.bytes.removeFirst(1)
        },
        VHDDamage(name: "a byte behind the end", kind: .fixed, outcome: .read(noting: "behind")) {
            $0.bytes.append(7)
        },
        VHDDamage(name: "dynamic by its footer", kind: .fixed, outcome: .refused(4, saying: "dynamic header")) {
            image in
            image.changeTail { $0.set(3, 4, at: 60) }
        },
    ]

    private static let differencing: [VHDDamage] = [
        VHDDamage(name: "nothing", kind: .differencing, outcome: .read()) { _ in },
        VHDDamage(
            name: "of another parent", kind: .differencing, outcome: .refused(3, saying: "layer0.vhd"),
            remedy: ["--ignore-parent-id"]
        ) { image in
            image.changeHeader { $0[45] ^= 1 }
        },
        VHDDamage(name: "no name of a parent", kind: .differencing, outcome: .refused(4, saying: "parent")) { image in
            image.changeHeader {
                $0.set(Data(count: 512), at: 64)
                $0.set(Data(count: 192), at: 576)
            }
        },
        VHDDamage(name: "a name of lone surrogates", kind: .differencing, outcome: .refused(4, saying: "parent")) {
            image in
            image.changeHeader {
                $0.set(Data(repeating: 0xD8, count: 512), at: 64)
                $0.set(Data(count: 192), at: 576)
            }
        },
        VHDDamage(name: "locators past the end", kind: .differencing, outcome: .read(noting: "left out")) { image in
            image.changeHeader {
                $0.set(1 << 50, 8, at: 592)
                $0.set(-1, 8, at: 616)
            }
        },
        VHDDamage(name: "locators of huge length", kind: .differencing, outcome: .read(noting: "left out")) { image in
            image.changeHeader {
                $0.set(-1, 4, at: 584)
                $0.set(1 << 31, 4, at: 608)
            }
        },
    ]
}
