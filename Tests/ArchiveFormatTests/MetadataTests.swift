import ReimageCore
import ReimageTesting
import Testing

@testable import ArchiveFormat

@Suite struct MetadataTests {
    /// Texts that are their own canonical form.
    @Test(arguments: [
        #"{}"#, #"{"format":"raw"}"#, #"{"a":[],"b":{},"c":[1,-2,"x",null,true,false]}"#,
        #"{"\n\"\\":"\b\f\t\r\u0001\u001f/é€𝄞"}"#, #"{"a":9007199254740991,"b":-9007199254740991}"#,
        // RFC 8785, 3.2.3: the order is that of UTF-16, where a surrogate comes before U+FB33.
        "{\"\\r\":1,\"1\":2,\"\u{80}\":3,\"ö\":4,\"€\":5,\"😀\":6,\"\u{fb33}\":7}",
        #"{"1":{"2":{"3":{"4":{"5":{"6":{"7":{}}}}}}}}"#,
    ])
    func canonical(_ text: String) throws {
        let metadata = try Metadata(decoding: Array(text.utf8))
        #expect(String(decoding: try metadata.payloadBytes(), as: UTF8.self) == text)
    }

    @Test(arguments: [
        "", " ", "{", "}", "[]", "1", #""a""#, #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{,}"#, #"{"a":1}x"#, #"{"a":1} "#,
        #"{ "a":1}"#, #"{"b":1,"a":2}"#, #"{"a":1,"a":2}"#, #"{"a":1.5}"#, #"{"a":1e3}"#, #"{"a":01}"#, #"{"a":-0}"#,
        #"{"a":+1}"#, #"{"a":-}"#, #"{"a":9007199254740992}"#, #"{"a":99999999999999999999}"#, #"{"a":tru}"#,
        #"{"a":"\u0041"}"#, #"{"a":"\/"}"#, #"{"a":"\u001F"}"#, #"{"a":"\ud834\udd1e"}"#, #"{"a":"\x"}"#, #"{"a":"\"#,
        #"{"a":"\u00"#, #"{"a":"b"#, "{\"a\":\"\n\"}", #"{"1":{"2":{"3":{"4":{"5":{"6":{"7":{"8":{}}}}}}}}}"#,
        #"{"a":[[[[[[[[]]]]]]]]}"#,
    ])
    func refused(_ text: String) {
        let error = #expect(throws: ImageError.self) { try Metadata(decoding: Array(text.utf8)) }
        #expect(error?.code == .damaged)
    }

    @Test func refusesWhatIsNoUTF8() {
        for byte: UInt8 in [0x80, 0xC0, 0xFF] {
            let bytes = Array(#"{"a":""#.utf8) + [byte] + Array(#""}"#.utf8)
            #expect(throws: ImageError.self) { try Metadata(decoding: bytes) }
        }
    }

    @Test func isBounded() throws {
        func metadata(_ count: Int) -> Metadata { Metadata(["a": .text(String(repeating: "b", count: count))]) }
        let largest = try metadata(65536 - 8).payloadBytes()
        #expect(largest.count == 65536)
        _ = try Metadata(decoding: largest)
        #expect(throws: ImageError.self) { try metadata(65536 - 7).payloadBytes() }
        #expect(throws: ImageError.self) { try Metadata(decoding: [UInt8](repeating: 0x20, count: 65537)) }
        // Depth is bounded before the stack is.
        #expect(throws: ImageError.self) { try Metadata(decoding: [UInt8](repeating: UInt8(ascii: "["), count: 65536)) }
    }

    @Test func largeNumbersAreText() {
        #expect(JSONValue.integer(UInt64(1) << 53) == .text("9007199254740992"))
        #expect(JSONValue.integer(UInt64.max) == .text("18446744073709551615"))
        #expect(JSONValue.integer(Int64.min) == .text("-9223372036854775808"))
        #expect(JSONValue.integer(-5) == .number(-5))
    }

    @Test func noiseNeverTraps() {
        var random = SeededGenerator(seed: 8)
        let letters = Array(#"{}[]",:\u0019-truefalsn"#.utf8)
        for _ in 0..<5000 {
            let count = Int.random(in: 0...40, using: &random)
            let bytes = (0..<count).map { _ in letters[Int.random(in: 0..<letters.count, using: &random)] }
            _ = try? Metadata(decoding: [UInt8(ascii: "{")] + bytes)
        }
    }
}
