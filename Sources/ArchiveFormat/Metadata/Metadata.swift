internal import ReimageCore

/// What a META record says of the disk: where it came from, and what made the archive.
///
/// - Source: archive specification 1.0, section 4.3, "META".
struct Metadata: Hashable, Sendable {
    /// The members; those that 1.0 does not know are kept, and mean nothing.
    var members: [String: JSONValue]

    /// The metadata of `members`, one of which is `format`: what the slots hold.
    init(_ members: [String: JSONValue] = ["format": .text("raw")]) { self.members = members }

    /// The metadata in the payload of a META record.
    /// - Throws: `.damaged` where it is no canonical JSON object, or too long or deep.
    init(decoding payload: [UInt8]) throws(ImageError) {
        guard UInt64(payload.count) <= RecordType.metadata.mostPayload ?? 0 else {
            throw .damaged("metadata of \(payload.count) bytes is too long")
        }
        guard case .object(let members) = try CanonicalJSON.decode(payload) else {
            throw .damaged("the metadata is no JSON object")
        }
        self.members = members
    }

    /// The payload's bytes.
    /// - Throws: `.invalidArgument` where they are more than a META record holds.
    func payloadBytes() throws(ImageError) -> [UInt8] {
        let bytes = JSONValue.object(members).canonical
        guard UInt64(bytes.count) <= RecordType.metadata.mostPayload ?? 0 else {
            throw ImageError(.invalidArgument, "metadata of \(bytes.count) bytes is too long for an archive")
        }
        return bytes
    }
}

extension JSONValue {
    /// The value as `info` shows it; negative numbers and nothing at all become text.
    var info: InfoValue {
        switch self {
        case .null: .text("null")
        case .flag(let flag): .flag(flag)
        case .number(let number): UInt64(exactly: number).map { .number($0) } ?? .text(String(number))
        case .text(let text): .text(text)
        case .list(let values): .list(values.map(\.info))
        case .object(let members):
            .fields(members.sorted { $0.key < $1.key }.map { InfoField($0.key, $0.value.info) })
        }
    }
}
