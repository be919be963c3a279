internal import ReimageCore

/// An entry of a GPT. Places are sectors.
/// - Source: UEFI specification, 5.3.3, table 5.6.
public struct GPTEntry: Sendable, Hashable {
    private enum Offset {
        static let type = 0
        static let id = 16
        static let first = 32
        static let last = 40
        static let attributes = 48
        static let name = 56
        static let end = 128
    }

    public var type: GUID
    /// The id that no other partition has.
    public var id: GUID
    public var firstLBA: UInt64
    /// The last sector that belongs to it.
    public var lastLBA: UInt64
    public var attributes: UInt64
    /// The name, 36 units of UTF-16 with zeros behind.
    public let nameUnits: [UInt16]

    /// The entry in `bytes`, of at least 128.
    init(decoding bytes: RawSpan) throws(ImageError) {
        type = GUID(stored: try bytes.bytes(Offset.type..<Offset.id))
        id = GUID(stored: try bytes.bytes(Offset.id..<Offset.first))
        firstLBA = try bytes.little(at: Offset.first)
        lastLBA = try bytes.little(at: Offset.last)
        attributes = try bytes.little(at: Offset.attributes)
        var units: [UInt16] = []
        for place in stride(from: Offset.name, to: Offset.end, by: 2) { units.append(try bytes.little(at: place)) }
        nameUnits = units
    }

    /// The 128 bytes.
    var encoded: [UInt8] {
        var bytes = type.bytes + id.bytes + [UInt8](repeating: 0, count: Offset.end - Offset.first)
        bytes.withMutableBytes { span in
            span.storeLittle(firstLBA, at: Offset.first)
            span.storeLittle(lastLBA, at: Offset.last)
            span.storeLittle(attributes, at: Offset.attributes)
            for (index, unit) in nameUnits.enumerated() { span.storeLittle(unit, at: Offset.name + 2 * index) }
        }
        return bytes
    }

    /// The name as text; `nil` for none.
    public var name: String? {
        let text = String(decoding: nameUnits.prefix { $0 != 0 }, as: UTF16.self)
        return text.isEmpty ? nil : text
    }
}
