internal import ReimageCore

/// A record that is read for itself, where another one says that it lies: its header with the extension, and its payload,
/// both proved by their checksums.
struct LooseRecord {
    let header: RecordHeader
    /// The header's bytes, with its extension.
    let start: [UInt8]
    let payload: [UInt8]

    /// - Parameter type: a type whose header has one length.
    /// - Throws: `.damaged` with the place where there is no such record, or it passes the end of the archive;
    ///   `.unsupported` for what 1.0 has no such record for; `.unreadable`.
    init(
        _ type: RecordType, at place: HostOffset, _ rules: RecordRules, _ store: any ByteStore
    ) throws(ImageError) {
        let headerByteCount = UInt64(type.headerByteCount ?? RecordHeader.byteCount)
        try rules.check(type, at: place, from: place.value, count: headerByteCount)
        let start = try store.bytes(at: place, count: Int(headerByteCount))
        let header = try start.withBytes { (bytes) throws(ImageError) in
            try RecordHeader(decoding: bytes, at: place, tag: rules.tag)
        }
        try header.check(is: type)
        try rules.check(type, at: place, from: place.value + headerByteCount, count: header.payloadByteCount)
        let payload = try store.bytes(at: place + headerByteCount, count: Int(header.payloadByteCount))
        try payload.withBytes { (bytes) throws(ImageError) in try header.check(payload: bytes) }
        (self.header, self.start, self.payload) = (header, start, payload)
    }
}

extension RecordRules {
    fileprivate func check(
        _ type: RecordType, at place: HostOffset, from offset: UInt64, count: UInt64
    ) throws(ImageError) {
        guard holds(offset, count: count) else {
            throw .damaged("the \(type.name) record passes the end of the archive", at: place)
        }
    }
}
