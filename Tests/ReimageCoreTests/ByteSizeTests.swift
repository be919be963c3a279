internal import ReimageCore
import Testing

@Suite struct ByteSizeTests {
    private static let sizes: [(String, UInt64)] = [
        ("0", 0), ("4096", 4096), ("512b", 512), ("64k", 65_536), ("64K", 65_536), ("1M", 1_048_576),
        ("2MiB", 2_097_152), ("1.5G", 1_610_612_736), ("1T", 1_099_511_627_776), ("1E", 1_152_921_504_606_846_976),
        ("18446744073709551615", 18_446_744_073_709_551_615),
    ]

    @Test(arguments: sizes)
    func reads(_ text: String, _ expected: UInt64) throws {
        #expect(try ByteSize.parse(text) == ByteSize(expected))
    }

    @Test(arguments: ["", "k", "-1", "1x", "1kk", "0x10", "18446744073709551616", "16E", "1.5", "1 k", "12iB", "1e3"])
    func refuses(_ text: String) {
        #expect(throws: ByteSize.Problem.self) { try ByteSize.parse(text) }
    }

    @Test func saysWhyDecimalUnitsAreRefused() {
        let problem = #expect(throws: ByteSize.Problem.self) { try ByteSize.parse("10KB") }
        #expect(problem?.description.contains("1000 or 1024") == true)
        #expect(problem?.description.contains("10KiB") == true)
    }

    @Test func printsForPeople() {
        #expect(humanSize(0) == "0 B")
        #expect(humanSize(1023) == "1023 B")
        #expect(humanSize(1 << 20) == "1 MiB")
        #expect(humanSize(3 << 19) == "1.5 MiB")
        #expect(humanSize(64 << 40) == "64 TiB")
        #expect(humanSize(.max) == "15.99 EiB")
    }
}
