import Foundation
import TestSupport
import Testing

/// Disks up to the longest that there are, with little in them.
@Suite struct VHDLargeTests {
    private let folder = Scratch()

    /// Among them those at which the geometry is counted in another way, or ends.
    static let sizes = [
        16_711_680, 528_482_304, 33_822_350_848, 33_822_351_360, (127 << 30) + 512, 136_899_993_600, 2040 << 30,
    ]

    /// Where the data is: at both ends, around the length that a geometry can have, and in the middle.
    private func places(_ size: Int) -> [Int] {
        [0, 512 * 4095, 136_899_993_600 - 512, 136_899_993_600, size / 2 & ~511, size - 512].filter { $0 < size }
    }

    private func sector(at place: Int) -> Data {
        Data((0..<512).map { UInt8(truncatingIfNeeded: $0 ^ place >> 9 ^ place >> 20 | 1) })
    }

    private func makeDisk(_ size: Int) throws {
        _ = FileManager.default.createFile(atPath: folder.file("in.raw"), contents: nil)
        let file = try #require(FileHandle(forWritingAtPath: folder.file("in.raw")))
        try file.truncate(atOffset: UInt64(size))
        for place in places(size) {
            try file.seek(toOffset: UInt64(place))
            try file.write(contentsOf: sector(at: place))
        }
        try file.close()
    }

    @Test(arguments: sizes, [["-o", "subformat=dynamic"], ["-o", "subformat=fixed", "--sparse"]])
    func isReadByOthers(_ size: Int, _ flags: [String]) throws {
        let reimage = try #require(Program.reimage)
        try makeDisk(size)
        try reimage.succeed(["convert", "-q", "-f", "raw", "-O", "vhd"] + flags + ["in.raw", "out.vhd"], in: folder)
        try check(size)
        try reimage.succeed(["convert", "-q", "-f", "vhd", "out.vhd", "back.raw"], in: folder)
        try reimage.succeed(["compare", "-q", "-f", "raw", "-F", "raw", "in.raw", "back.raw"], in: folder)
    }

    /// qemu writes these with the largest geometry, so that the size in bytes counts.
    @Test(arguments: [(127 << 30) + 512, 2040 << 30])
    func readsWhatQemuWrites(_ size: Int) throws {
        guard let workshop = Workshop.standard else { return }
        let reimage = try #require(Program.reimage)
        try makeDisk(size)
        let flags = ["-f", "raw", "-O", "vpc", "-o", "force_size=on"]
        try workshop.img.succeed(["convert"] + flags + ["in.raw", "out.vhd"], in: folder)
        try reimage.succeed(["convert", "-q", "-f", "vpc", "out.vhd", "back.raw"], in: folder)
        try reimage.succeed(["compare", "-q", "-f", "raw", "-F", "raw", "in.raw", "back.raw"], in: folder)
    }

    @Test func refusesWhatIsTooLong() throws {
        let reimage = try #require(Program.reimage)
        try makeDisk((2040 << 30) + 512)
        let arguments = ["convert", "-q", "-f", "raw", "-O", "vhd", "in.raw", "out.vhd"]
        let result = try reimage.run(arguments, in: folder.path)
        #expect(result.status == 63 && result.errors.contains("2190433320960"), "\(result.status) \(result.errors)")
        #expect(folder.names == ["in.raw"])
    }

    /// `out.vhd` holds the disk of `in.raw`: qemu compares all of it, the others look where the data is and beside it.
    private func check(_ size: Int) throws {
        if let workshop = Workshop.standard {
            try workshop.img.succeed(["compare", "-q", "-f", "raw", "-F", "vpc", "in.raw", "out.vhd"], in: folder)
        }
        if let sevenZip = Program(named: "7z") {
            let list = try sevenZip.succeed(["l", "-tvhd", "-slt", "out.vhd"], in: folder).text
            #expect(list.contains("\nSize = \(size)\n"), "\(list)")
        }
        guard let python = VHDReader.python else { return }
        let looks = places(size).flatMap { [$0, $0 ^ 512] }.filter { $0 < size }
        let arguments = ["-c", VHDReader.script, "out.vhd"] + looks.map(String.init)
        let lines = try python.succeed(arguments, in: folder).text.split(separator: "\n")
        let written = Set(places(size))
        let expected = looks.map { place in
            (written.contains(place) ? sector(at: place) : Data(count: 512))
                .map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        }
        #expect(lines.map(String.init) == ["\(size)"] + expected)
    }
}
