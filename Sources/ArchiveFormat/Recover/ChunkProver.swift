internal import ReimageCodecs
internal import ReimageCore

/// Gets the stored form of chunks, proved by decoding it; where it is damaged, from other disks that hold the same bytes.
/// One a thread.
final class ChunkProver {
    private let disk: RecoveredDisk
    private let cursor: ArchiveCursor
    private let others: [(disk: any BlockDevice, cursor: any DiskCursor)]
    private let encoder: ArchiveEncoder
    private let settings: WriterSettings
    private var chunk = AlignedBuffer(byteCount: 0)

    /// A chunk, as it is to be stored.
    struct Found {
        var payload: [UInt8]
        var facts: ChunkFacts
        var isWhole: Bool
        var isHealed = false
    }

    init(_ disk: RecoveredDisk, _ others: [any BlockDevice], _ settings: WriterSettings) throws(ImageError) {
        self.disk = disk
        self.settings = settings
        cursor = ArchiveCursor(disk)
        var readers: [(disk: any BlockDevice, cursor: any DiskCursor)] = []
        for other in others { readers.append((other, try other.makeCursor())) }
        self.others = readers
        encoder = try ArchiveEncoder(settings, disk.rules.geometry, isSizeLate: false)
    }

    private var geometry: Geometry { disk.rules.geometry }

    /// The chunk of `entry`, which slot `slot` has.
    func prove(_ slot: UInt64, _ entry: IndexEntry) throws(ImageError) -> Found {
        let method = try ChunkMethod(codec: entry.codec, filter: entry.filter, at: entry.place)
        let payload = try? disk.store.bytes(
            at: entry.place + UInt64(ChunkRecord.headerByteCount), count: Int(entry.storedByteCount))
        var first = [UInt8](repeating: 0, count: 1)
        do throws(ImageError) {
            try first.withMutableBytes { (byte) throws(ImageError) in
                try cursor.read(into: &byte, at: GuestOffset(slot << UInt64(geometry.chunkLog2)))
            }
            if let payload {
                let check = payload.withBytes { XXH3.hash64($0) }
                return Found(
                    payload: payload, facts: ChunkFacts(method: method, payloadCheck: check, hash: entry.hash),
                    isWhole: true)
            }
        } catch {
            guard error.code == .damaged || error.code == .unreadable else { throw error }
        }
        if let healed = try heal(slot, entry) { return healed }
        return damaged(entry, method, payload)
    }

    /// The same chunk from another disk, proved by its hash and encoded anew.
    private func heal(_ slot: UInt64, _ entry: IndexEntry) throws(ImageError) -> Found? {
        let start = slot << UInt64(geometry.chunkLog2)
        let count = Int(geometry.byteCount(ofSlot: slot))
        if chunk.byteCount == 0, !others.isEmpty { chunk = AlignedBuffer(byteCount: Int(geometry.chunkSize)) }
        for other in others {
            let left = other.disk.byteCount - min(start, other.disk.byteCount)
            let there = Int(min(UInt64(count), left))
            chunk.withMutableBytes(there..<count) { $0.zero() }
            let isRead = Result { () throws(ImageError) in
                try chunk.withMutableBytes(0..<there) { (bytes) throws(ImageError) in
                    if bytes.byteCount > 0 { try other.cursor.read(into: &bytes, at: GuestOffset(start)) }
                }
            }
            guard case .success = isRead, chunk.withBytes(0..<count, { geometry.node(ofChunk: $0) }) == entry.hash
            else {
                continue
            }
            return try encode(count)
        }
        return nil
    }

    private func encode(_ count: Int) throws(ImageError) -> Found {
        var output = AlignedBuffer(byteCount: Int(geometry.chunkSize))
        var encoding = Encoding.plain
        let stored = try output.fill(0..<output.byteCount) { (span) throws(ImageError) in
            encoding = try chunk.withBytes(0..<count) { (bytes) throws(ImageError) in
                try encoder.encode(bytes, into: &span)
            }
        }
        guard encoding != .zero else {
            let zeros = [UInt8](repeating: 0, count: count)
            let check = zeros.withBytes { XXH3.hash64($0) }
            let hash = DigestTree.zeroNodes[geometry.chunkHeight]
            return Found(
                payload: zeros, facts: ChunkFacts(method: ChunkMethod(.store), payloadCheck: check, hash: hash),
                isWhole: true, isHealed: true)
        }
        let facts = try encoder.facts.withBytes { (bytes) throws(ImageError) in try ChunkFacts(decoding: bytes) }
        let payload =
            encoding == .plain
            ? try chunk.withBytes(0..<count) { (bytes) throws(ImageError) in try bytes.bytes(0..<count) }
            : try output.withBytes(0..<stored) { (bytes) throws(ImageError) in try bytes.bytes(0..<stored) }
        return Found(payload: payload, facts: facts, isWhole: true, isHealed: true)
    }

    /// The chunk as it is. Its checksum must go on to say that it is damaged.
    private func damaged(_ entry: IndexEntry, _ method: ChunkMethod, _ payload: [UInt8]?) -> Found {
        let payload = payload ?? [UInt8](repeating: 0, count: Int(entry.storedByteCount))
        let found = payload.withBytes { XXH3.hash64($0) }
        var reader = RecordReader(disk.store, tag: disk.rules.tag)
        let claimed = ((try? reader.record(at: entry.place)) ?? nil)?.header.payloadCheck
        let check = claimed.map { $0 == found ? ~found : $0 } ?? ~found
        return Found(
            payload: payload, facts: ChunkFacts(method: method, payloadCheck: check, hash: entry.hash), isWhole: false)
    }
}
