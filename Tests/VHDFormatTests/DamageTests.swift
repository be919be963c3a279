import ReimageCore
import ReimageTesting
import Testing

@testable import VHDFormat

/// Every field of small images, broken in many ways: never a crash, a hang, or bytes that are silently wrong.
@Suite struct DamageTests {
    @Test(arguments: try DamageSample.all()) func noFieldMakesBytesSilentlyWrong(sample: DamageSample) throws {
        let right = try contents(sample.bytes, sample.resolver)
        #expect(right.contains { $0 != 0 })
        var random = SeededGenerator(seed: 7)
        let started = ContinuousClock.now
        var tried = 0
        for field in sample.fields {
            let old = field.value(in: sample.bytes)
            let mask: UInt64 = field.width == 8 ? .max : (1 << UInt64(field.width * 8)) - 1
            var values: [UInt64] = [0, 1, mask, mask >> 1, old &+ 1 & mask, old &- 1 & mask]
            values += (0..<field.width * 8).map { old ^ 1 << UInt64($0) }
            for _ in 0..<2 { values.append(random.next() & mask) }
            for value in values where value != old {
                let what = "\(field.name) = 0x\(String(value, radix: 16))"
                check(sample, field.put(value, sample.bytes), right, what, field.changesMeaning(value))
                tried += 1
            }
        }
        #expect(tried > 500)
        #expect(ContinuousClock.now - started < .seconds(120))
    }

    /// Either an error that says what and where, or the right bytes.
    private func check(
        _ sample: DamageSample, _ bytes: [UInt8], _ right: [UInt8], _ what: String, _ mayDiffer: Bool
    ) {
        let started = ContinuousClock.now
        let store = CountingStore(MemoryStore(bytes, name: "damaged.vhd"))
        do throws(ImageError) {
            let image = try VHDFormat().open(ImageSource(store: store), OpenContext(references: sample.resolver))
            _ = try image.info()
            let disk = try device(image)
            let count = Int(min(disk.byteCount, UInt64(right.count)))
            let got = try disk.bytes(at: .zero, count: count)
            if !mayDiffer, got != Array(right[..<count]) {
                Issue.record("\(sample.name): \(what) gives other bytes without a word")
            }
            var position: UInt64 = 0
            for _ in 0..<200 where position < disk.byteCount {
                position += try disk.extent(at: GuestOffset(position), limit: .max).count
            }
        } catch {
            let hasPlace = error.place != nil || error.code == .unreadable || error.code == .refused
            #expect(error.message.count > 10 && hasPlace, "\(sample.name): \(what): \(error)")
        }
        #expect(store.counts.longestRead <= 1 << 20, "\(sample.name): \(what)")
        #expect(ContinuousClock.now - started < .seconds(5), "\(sample.name): \(what) takes long")
    }

    @Test(arguments: try DamageSample.all()) func cutFileIsNeverSilentlyWrong(sample: DamageSample) throws {
        let right = try contents(sample.bytes, sample.resolver)
        var read = 0
        for count in stride(from: 0, to: sample.bytes.count, by: 256) {
            do throws(ImageError) {
                let got = try contents(Array(sample.bytes[..<count]), sample.resolver)
                #expect(got == right, "\(sample.name) cut to \(count)")
                read += 1
            } catch {
                #expect(error.message.count > 10)
            }
        }
        // Only the footer at the end can be spared, and a fixed image has no other.
        #expect(sample.name == "fixed" ? read == 0 : read > 0)
    }

    /// The places that errors name, field by field.
    @Test func errorsNameTheirPlace() throws {
        let sample = try DamageSample.dynamic()
        let header = VHDBuilder.headerPlace
        let cases: [(String, UInt64, ImageError.Code, Int)] = [
            ("both footers: kind", 9, .unsupported, 60), ("both footers: version", 0x2_0000, .unsupported, 12),
            ("both footers: data offset", 1 << 40, .damaged, 16), ("both footers: data offset", .max, .damaged, 16),
            ("both footers: data offset", 1536, .damaged, 1536), ("both footers: current size", 7, .damaged, 48),
            ("header: cookie", 0, .damaged, header), ("header: table offset", 1 << 50, .damaged, 1 << 50),
            ("header: table offset", 600, .damaged, header + 16), ("header: entries", 1, .damaged, header + 28),
            ("header: version", 0, .unsupported, header + 24), ("header: block size", 1, .damaged, header + 32),
            ("entry 0", 1, .damaged, VHDBuilder.tablePlace), ("entry 3", 1 << 20, .damaged, VHDBuilder.tablePlace + 12),
        ]
        for (name, value, code, place) in cases {
            let field = try #require(sample.fields.first { $0.name == name }, "\(name)")
            let error = #expect(throws: ImageError.self, "\(name)") {
                try contents(field.put(value, sample.bytes), sample.resolver)
            }
            #expect(error?.code == code, "\(name): \(String(describing: error))")
            #expect(error?.place == .host(HostOffset(UInt64(place))), "\(name): \(String(describing: error))")
        }
    }
}
