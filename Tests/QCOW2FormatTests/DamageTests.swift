import ReimageCore
import ReimageTesting
import Testing

/// Every field of small images, broken in many ways: never a crash, a hang, or bytes that are silently wrong.
@Suite struct DamageTests {
    /// A field and the values under which other bytes are right, because the image then says something else.
    struct Field: Sendable {
        var name: String
        var offset: Int
        var width: Int
        /// Whether `value` is sound by the format's own word: different bytes are then no silent loss.
        var changesMeaning: @Sendable (UInt64) -> Bool = { _ in false }
    }

    struct Sample: Sendable, CustomTestStringConvertible {
        var name: String
        var bytes: [UInt8]
        var fields: [Field]
        var resolver = FakeResolver()
        var snapshot: String?
        var testDescription: String { name }
    }

    @Test(arguments: Sample.all) func noFieldMakesBytesSilentlyWrong(sample: Sample) throws {
        let right = try contents(sample.bytes, sample.resolver, snapshot: sample.snapshot)
        #expect(right.contains { $0 != 0 })
        var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
        let started = ContinuousClock.now
        var tried = 0
        for field in sample.fields {
            let old = Self.value(sample.bytes, field)
            let mask: UInt64 = field.width == 8 ? .max : (1 << UInt64(field.width * 8)) - 1
            var values: [UInt64] = [0, 1, mask, mask >> 1, old &+ 1 & mask, old &- 1 & mask]
            values += (0..<field.width * 8).map { old ^ 1 << UInt64($0) }
            for _ in 0..<8 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                values.append((seed >> 11 ^ seed << 7) & mask)
            }
            for value in values where value != old {
                var bytes = sample.bytes
                Self.put(value, field, &bytes)
                check(
                    bytes, sample, right, "\(field.name) = 0x\(String(value, radix: 16))", field.changesMeaning(value))
                tried += 1
            }
        }
        #expect(tried > 500)
        #expect(ContinuousClock.now - started < .seconds(120))
    }

    /// Either an error that says what and where, or the right bytes.
    private func check(
        _ bytes: [UInt8], _ sample: Sample, _ right: [UInt8], _ what: String, _ mayDiffer: Bool
    ) {
        let started = ContinuousClock.now
        do throws(ImageError) {
            let image = try open(bytes, sample.resolver, snapshot: sample.snapshot)
            _ = try image.info()
            let disk = try device(image)
            let count = min(disk.byteCount, UInt64(right.count))
            let got = try read(disk, 0..<count)
            if !mayDiffer, got != Array(right[..<Int(count)]) {
                Issue.record("\(sample.name): \(what) gives other bytes without a word")
            }
            var position: UInt64 = 0
            for _ in 0..<200 where position < disk.byteCount {
                position += try disk.extent(at: GuestOffset(position), limit: .max).count
            }
        } catch {
            let found = error.message.count > 10 && (error.place != nil || error.code == .invalidArgument)
            #expect(found, "\(sample.name): \(what): \(error)")
        }
        #expect(ContinuousClock.now - started < .seconds(5), "\(sample.name): \(what) takes long")
    }

    @Test(arguments: Sample.all) func cutFileIsNeverSilentlyWrong(sample: Sample) throws {
        let right = try contents(sample.bytes, sample.resolver, snapshot: sample.snapshot)
        for count in stride(from: 0, to: sample.bytes.count, by: 512) {
            let bytes = Array(sample.bytes[..<count])
            do throws(ImageError) {
                let got = try contents(bytes, sample.resolver, snapshot: sample.snapshot)
                // Sound only in two cases: nothing the guest sees was cut off, or the rest of the last cluster of the
                // file was, which writers leave out and every reader fills with zeros.
                let filled = zip(got, right).allSatisfy { $0 == $1 || $0 == 0 }
                let cluster = Int(sample.bytes[23]) < 30 ? 1 << Int(sample.bytes[23]) : 512
                let lost = zip(got, right).count { $0 != $1 }
                #expect(got.count == right.count && filled && lost < cluster, "\(sample.name) cut to \(count)")
                if count % cluster == 0 { #expect(lost == 0, "\(sample.name) cut to \(count)") }
            } catch {
                #expect(error.message.count > 10)
            }
        }
    }

    static func value(_ bytes: [UInt8], _ field: Field) -> UInt64 {
        bytes[field.offset..<field.offset + field.width].reduce(0) { $0 << 8 | UInt64($1) }
    }

    static func put(_ value: UInt64, _ field: Field, _ bytes: inout [UInt8]) {
        for index in 0..<field.width {
            bytes[field.offset + index] = UInt8(truncatingIfNeeded: value >> UInt64((field.width - 1 - index) * 8))
        }
    }
}
