internal import FoundationEssentials
internal import ReimageCore

/// An object on its way to JSON; fields without a value are left out.
struct JSONFields: Encodable {
    private var fields: [(String, any Encodable)] = []

    mutating func add(_ name: String, _ value: (any Encodable)?) {
        if let value { fields.append((name, value)) }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: FieldKey.self)
        for (name, value) in fields { try container.encode(value, forKey: FieldKey(stringValue: name)) }
    }
}

/// The JSON text of `value`.
///
/// Keys are sorted, so that the same answer is the same text.
func jsonText(_ value: some Encodable, pretty: Bool = true) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    if pretty { encoder.outputFormatting.insert(.prettyPrinted) }
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}
