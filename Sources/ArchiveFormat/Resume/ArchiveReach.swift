internal import ReimageCore

/// How far the records of an archive without an end lead, by their headers.
struct ArchiveReach {
    /// The disk's bytes that records tell of.
    private(set) var told: UInt64 = 0
    /// The disk's bytes before the last LEAF record that counts: from there the archive can be gone on with.
    private(set) var committed: UInt64 = 0

    /// - Throws: `.unreadable` on an I/O error.
    init(_ store: any ByteStore, _ header: FileHeader) throws(ImageError) {
        var chain = RecordChain(store, tag: header.tag)
        let most = header.diskByteCount ?? UInt64(Int64.max)
        while let link = try chain.next() {
            guard let claim = RecordClaim(link.record), claim.count > 0, claim.chunkLog2 == header.chunkLog2 else {
                continue
            }
            let (end, overflow) = claim.first.addingReportingOverflow(claim.count)
            guard !overflow, end <= most >> UInt64(header.chunkLog2) + 1 else { continue }
            told = max(told, min(end << UInt64(header.chunkLog2), most))
            if link.isCountedLeaf { committed = told }
        }
    }

    /// What `info` tells of it.
    var fields: [InfoField] {
        [InfoField("told-size", .number(told)), InfoField("committed-size", .number(committed))]
    }

    /// The sentence for a disk of `byteCount` bytes.
    func remark(of byteCount: UInt64?) -> String {
        let whole = byteCount.map { " of \(humanSize($0))" } ?? ""
        let next =
            committed == 0
            ? "nothing of it can be gone on with" : "convert --resume goes on behind \(humanSize(committed))"
        return "The archive is incomplete: its records tell of \(humanSize(told))\(whole) of the disk; \(next)."
    }
}
