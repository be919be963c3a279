internal import ReimageCore

/// What a CHNK, RUN, LEAF or ROOT record says of the whole archive, before it can be checked against anything.
struct RecordClaim: Hashable, Sendable {
    /// The slots it tells of; empty for ROOT.
    var first: UInt64 = 0
    var count: UInt64 = 0
    /// The bytes of its last slot, where it tells; else the whole slot is meant.
    var lastByteCount: UInt64?
    var diskSize: UInt64
    var chunkLog2: Int?
    var leafLog2: Int?
    var logicalSector: UInt32?

    /// The claim of `record`; `nil` for a type that makes none.
    init?(_ record: PlacedRecord) {
        let claim: RecordClaim? = record.bytes.withBytes { bytes in
            switch record.header.type {
            case .chunk: try? ChunkRecord.claim(in: bytes)
            case .run: try? RunRecord.claim(in: bytes)
            case .leaf: try? LeafRecord.claim(in: bytes)
            case .root: try? RootRecord.claim(in: bytes)
            default: nil
            }
        }
        guard let claim, record.bytes.count == record.header.type.headerByteCount else { return nil }
        self = claim
    }

    init(
        first: UInt64 = 0, count: UInt64 = 0, lastByteCount: UInt64? = nil, diskSize: UInt64, chunkLog2: UInt8? = nil,
        leafLog2: UInt8? = nil, logicalSector: UInt32? = nil
    ) {
        self.first = first
        self.count = count
        self.lastByteCount = lastByteCount
        self.diskSize = diskSize
        self.chunkLog2 = chunkLog2.map { Int($0) }
        self.leafLog2 = leafLog2.map { Int($0) }
        self.logicalSector = logicalSector
    }
}
