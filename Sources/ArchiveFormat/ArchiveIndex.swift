internal import ReimageCodecs
internal import ReimageCore

/// A whole archive as its end describes it: geometry, index of leaf ranges, and digest, all proved.
///
/// - Source: archive specification 1.0, section 8, "Open".
struct ArchiveIndex: Sendable {
    let rules: RecordRules
    let header: FileHeader
    let footer: Footer
    let root: RootIndex
    /// Why the file header at the start could not be used, if it could not.
    let headerDamage: ImageError?

    /// The digest of the disk, as the archive claims it.
    var digest: ContentDigest { ContentDigest(hash: footer.digest) }

    var geometry: Geometry { rules.geometry }

    /// The archive in `store`; `header` is what its first bytes gave.
    /// - Throws: `.damaged` where its end is missing or wrong, or belongs to another archive.
    init(_ store: any ByteStore, header: Result<FileHeader, ImageError>) throws(ImageError) {
        let end = try Self.end(store, header)
        let footer = end.footer
        var headerDamage: ImageError?
        switch header {
        case .success(let first): try Self.compare(first, footer.header, at: end.tail.footer)
        case .failure(let error): headerDamage = error
        }
        let rules = try RecordRules(
            footer.header, diskByteCount: footer.diskByteCount, byteCount: end.tail.archiveByteCount)
        guard footer.counts.sum == rules.geometry.slots else {
            throw .damaged("the FOOT record counts more or fewer slots than there are", at: end.tail.footer)
        }
        let most = UInt64(RootRecord.headerByteCount) + (RecordType.root.mostPayload ?? 0)
        guard footer.rootByteCount <= most else {
            throw .damaged("a ROOT record of \(footer.rootByteCount) bytes is too long", at: footer.root)
        }
        let bytes = try end.bytes(store, at: footer.root, count: Int(footer.rootByteCount))
        let record = try bytes.withBytes { (bytes) throws(ImageError) in
            let header = try RecordHeader(decoding: bytes, at: footer.root, tag: rules.tag)
            let record = try RootRecord(decoding: bytes, of: header, rules)
            try header.check(payload: bytes.extracting(RootRecord.headerByteCount..<bytes.byteCount))
            return record
        }
        guard record.merkleRoot == footer.merkleRoot, record.digest == footer.digest else {
            throw .damaged("the FOOT and the ROOT record tell two digests", at: end.tail.footer)
        }
        root = try RootIndex(
            record, payload: Array(bytes[RootRecord.headerByteCount...]), at: footer.root, rules)
        self.rules = rules
        self.header = footer.header
        self.footer = footer
        self.headerDamage = headerDamage
    }

    /// The end of the archive; found by a walk over its records where more zeros follow it than are looked past.
    private static func end(
        _ store: any ByteStore, _ header: Result<FileHeader, ImageError>
    ) throws(ImageError) -> ArchiveEnd {
        if let window = try ArchiveEnd.Window.last(of: store) { return try ArchiveEnd(window) }
        guard case .success(let first) = header,
            let length = try RecordChain.archiveByteCount(store, tag: first.tag)
        else { throw .damaged("there is no tail", at: HostOffset(store.byteCount)) }
        return try ArchiveEnd(ArchiveEnd.Window(store, before: length))
    }

    /// The header at the start and its copy may differ in the disk's size alone.
    private static func compare(
        _ first: FileHeader, _ copy: FileHeader, at place: HostOffset
    ) throws(ImageError) {
        guard first.uniqueID == copy.uniqueID else {
            throw .damaged("the file header and the end of the file belong to two archives", at: place)
        }
        var expected = first
        if first.diskByteCount == nil { expected.diskByteCount = copy.diskByteCount }
        guard expected == copy else { throw .damaged("the file header and its copy differ", at: place) }
    }
}
