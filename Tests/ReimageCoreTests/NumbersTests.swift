import ReimageCore
import Testing

@Suite struct OffsetTests {
    @Test func adding() {
        #expect(HostOffset(5).adding(6) == HostOffset(11))
        #expect(HostOffset(.max).adding(0) == HostOffset(.max))
        #expect(HostOffset(.max).adding(1) == nil)
        #expect(HostOffset(1).adding(.max) == nil)
        var offset = GuestOffset(7)
        offset += 3
        #expect(offset - GuestOffset(4) == 6)
        #expect(GuestOffset(1) < GuestOffset(2) && "\(offset)" == "10")
    }

    @Test func ranges() {
        let range = GuestRange(from: GuestOffset(10), to: GuestOffset(15))
        #expect(range == GuestRange(start: GuestOffset(10), count: 5))
        #expect(range.end == GuestOffset(15) && !range.isEmpty && "\(range)" == "10+5")
        #expect(GuestRange(start: .zero, count: 0).isEmpty)
    }

    @Test(arguments: [0, 1, 511, 512, 513, 4095, 1_000_000, UInt64.max - 1, .max], [1, 512, 4096, 1000] as [UInt64])
    func rounding(value: UInt64, unit: UInt64) {
        let down = value.roundedDown(to: unit)
        #expect(down <= value && value - down < unit && down.isMultiple(of: unit))
        let parts = value.dividedRoundingUp(by: unit)
        #expect(parts == value / unit + (value % unit == 0 ? 0 : 1))
        if let up = value.roundedUp(to: unit) {
            #expect(up >= value && up - value < unit && up.isMultiple(of: unit))
        } else {
            #expect(parts.multipliedReportingOverflow(by: unit).overflow)
        }
    }
}

@Suite struct FieldCodingTests {
    private let bytes: [UInt8] = [0x01, 0x82, 0x03, 0x84, 0x05, 0x86, 0x07, 0x88, 0x09]

    @Test func values() throws {
        try bytes.withBytes { (span) throws(ImageError) in
            let big16: UInt16 = try span.big(at: 1)
            let little16: UInt16 = try span.little(at: 1)
            let big32: UInt32 = try span.big(at: 3)
            let little64: UInt64 = try span.little(at: 1)
            let signed: Int16 = try span.big(at: 1)
            #expect(big16 == 0x8203 && little16 == 0x0382 && big32 == 0x8405_8607)
            #expect(little64 == 0x0988_0786_0584_0382 && signed == Int16(bitPattern: 0x8203))
            #expect(try span.big(UInt8.self, at: 8) == 9)
        }
    }

    @Test(arguments: [-1, -8, 2, 8, 9, 10, Int.min, Int.max])
    func outside(offset: Int) {
        let error = #expect(throws: ImageError.self) {
            try bytes.withBytes { (span) throws(ImageError) in _ = try span.big(UInt64.self, at: offset) }
        }
        #expect(error?.code == .damaged)
        #expect(throws: ImageError.self) {
            try bytes.withBytes { (span) throws(ImageError) in _ = try span.little(UInt64.self, at: offset) }
        }
    }

    @Test func textAndBytes() throws {
        let name = Array("näme".utf8) + [0xFF]
        try name.withBytes { (span) throws(ImageError) in
            #expect(try span.text(0..<5) == "näme")
            #expect(try span.text(4..<6) == "e\u{FFFD}")
            #expect(try span.bytes(6..<6) == [])
        }
        #expect(throws: ImageError.self) {
            try name.withBytes { (span) throws(ImageError) in _ = try span.text(3..<7) }
        }
        #expect(throws: ImageError.self) {
            try name.withBytes { (span) throws(ImageError) in _ = try span.bytes(7..<7) }
        }
    }

    @Test func storing() throws {
        var target = [UInt8](repeating: 0, count: 11)
        target.withMutableBytes { span in
            span.storeBig(UInt32(0x0102_0304), at: 1)
            span.storeLittle(UInt32(0x0102_0304), at: 6)
        }
        #expect(target == [0, 1, 2, 3, 4, 0, 4, 3, 2, 1, 0])
    }
}

@Suite struct TableRangeTests {
    @Test func inside() throws {
        let table = try TableRange("L1 table", offset: 100, count: 50, stride: 8, within: 500)
        #expect(table.byteCount == 400 && table.entry(0) == HostOffset(100) && table.entry(49) == HostOffset(492))
        #expect(try TableRange("empty", offset: 500, count: 0, stride: 8, within: 500).byteCount == 0)
    }

    @Test(
        arguments: [
            (101, 50, 500), (100, 51, 500), (501, 0, 500), (.max, 1, 500), (0, .max, .max), (8, .max / 8, .max),
            (.max - 7, 1, .max - 1), (0, 1 << 61, .max), (0, (1 << 61) + 1, .max), (0, 1, 0), (1 << 63, 1, 1 << 63),
        ] as [(UInt64, UInt64, UInt64)])
    func outside(offset: UInt64, count: UInt64, size: UInt64) {
        let error = #expect(throws: ImageError.self) {
            try TableRange("L1 table", offset: offset, count: count, stride: 8, within: size)
        }
        #expect(error?.code == .damaged && error?.place == .host(HostOffset(offset)))
        #expect(error?.message.contains("L1 table") == true)
    }
}

@Suite struct ZeroTestTests {
    @Test func againstTheNaiveTest() {
        var buffer = AlignedBuffer(byteCount: 1024)
        for count in 0...600 {
            for start in [0, 1, 3, 7, 8, 31, 63, 64, 100] {
                let range = start..<start + count
                // Ones all around: a test that looks outside sees them.
                buffer.withMutableBytes { span in
                    for index in 0..<1024 { span.storeBytes(of: 0xFF, toByteOffset: index, as: UInt8.self) }
                    span.zero(range)
                }
                #expect(buffer.withBytes(range) { $0.isZero }, "\(count) zeros at \(start)")
                guard count > 0 else { continue }
                for place in Set([0, count / 2, count - 1, count * 7 / 9]) {
                    buffer.withMutableBytes(range) { $0.storeBytes(of: 1, toByteOffset: place, as: UInt8.self) }
                    #expect(!buffer.withBytes(range) { $0.isZero }, "a one at \(place) of \(count) from \(start)")
                    buffer.withMutableBytes(range) { $0.storeBytes(of: 0, toByteOffset: place, as: UInt8.self) }
                }
            }
        }
    }
}
