internal import ReimageCore

/// Reads JSON that is written as RFC 8785 has it, and nothing else.
///
/// What is read is written again and compared: a text that is not canonical is refused whichever way it differs, so
/// the parser itself need not look for spaces, order or spelling.
struct CanonicalJSON {
    /// How deep objects and lists may lie in each other.
    static let mostDepth = 8

    private let bytes: [UInt8]
    private var position = 0

    /// The value in `bytes`, all of them.
    /// - Throws: `.damaged` where they are not canonical JSON without fractions, or too deep.
    static func decode(_ bytes: [UInt8]) throws(ImageError) -> JSONValue {
        var parser = CanonicalJSON(bytes: bytes)
        let value = try parser.value(depth: 0)
        guard parser.position == bytes.count, value.canonical == bytes else {
            throw .damaged("the metadata is not canonical JSON")
        }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ text: StaticString) -> Bool {
        let wanted = Array(text.description.utf8)
        guard bytes[position...].starts(with: wanted) else { return false }
        position += wanted.count
        return true
    }

    private func invalid() -> ImageError { .damaged("the metadata is no JSON from byte \(position) on") }

    private mutating func value(depth: Int) throws(ImageError) -> JSONValue {
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth + 1)
        case UInt8(ascii: "["): return try list(depth: depth + 1)
        case UInt8(ascii: "\""): return .text(try text())
        case let byte? where Self.isNumeric(byte): return try number()
        default:
            if take("null") { return .null }
            if take("true") { return .flag(true) }
            if take("false") { return .flag(false) }
            throw invalid()
        }
    }

    private func check(_ depth: Int) throws(ImageError) {
        guard depth <= Self.mostDepth else {
            throw .damaged("the metadata is nested more than \(Self.mostDepth) deep")
        }
    }

    private mutating func object(depth: Int) throws(ImageError) -> JSONValue {
        try check(depth)
        var members: [String: JSONValue] = [:]
        guard take("{") else { throw invalid() }
        if take("}") { return .object(members) }
        repeat {
            let key = try text()
            guard members[key] == nil else { throw .damaged("the metadata names '\(key)' twice") }
            guard take(":") else { throw invalid() }
            members[key] = try value(depth: depth)
        } while take(",")
        guard take("}") else { throw invalid() }
        return .object(members)
    }

    private mutating func list(depth: Int) throws(ImageError) -> JSONValue {
        try check(depth)
        var values: [JSONValue] = []
        guard take("[") else { throw invalid() }
        if take("]") { return .list(values) }
        repeat { values.append(try value(depth: depth)) } while take(",")
        guard take("]") else { throw invalid() }
        return .list(values)
    }

    private static func isNumeric(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private mutating func number() throws(ImageError) -> JSONValue {
        let start = position
        while let byte = next, Self.isNumeric(byte) { position += 1 }
        let most = JSONValue.largestNumber
        guard let number = Int64(String(decoding: bytes[start..<position], as: UTF8.self)),
            (-most...most).contains(number)
        else { throw .damaged("the metadata has a number that is out of range at byte \(start)") }
        return .number(number)
    }

    private mutating func text() throws(ImageError) -> String {
        guard take("\"") else { throw invalid() }
        var found: [UInt8] = []
        while let byte = next {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: found, as: UTF8.self) else {
                    throw .damaged("the metadata has a text that is no UTF-8")
                }
                return text
            case UInt8(ascii: "\\"): found.append(try escape())
            case 0..<0x20: throw invalid()
            default: found.append(byte)
            }
        }
        throw invalid()
    }

    /// The character of an escape: canonical texts have none for characters past 31.
    private mutating func escape() throws(ImageError) -> UInt8 {
        let plain: [UInt8: UInt8] = [
            UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"), UInt8(ascii: "b"): 8,
            UInt8(ascii: "t"): 9, UInt8(ascii: "n"): 10, UInt8(ascii: "f"): 12, UInt8(ascii: "r"): 13,
        ]
        if let byte = next, let character = plain[byte] {
            position += 1
            return character
        }
        guard take("u00"), position + 2 <= bytes.count,
            let character = UInt8(String(decoding: bytes[position..<position + 2], as: UTF8.self), radix: 16)
        else { throw invalid() }
        position += 2
        return character
    }
}
