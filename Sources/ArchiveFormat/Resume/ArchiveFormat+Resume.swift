internal import ReimageCodecs
public import ReimageCore

extension ArchiveFormat {
    /// Takes up an archive whose making was interrupted, behind the last LEAF record that counts.
    public func resume(
        _ partial: any ByteStore, _ plan: WritePlan, cancellation: Cancellation
    ) throws(ImageError) -> ResumePoint? {
        let settings = try WriterSettings(plan)
        guard let byteCount = plan.byteCount else {
            throw ImageError(
                .unsupported, "an archive of a disk whose length is not known beforehand cannot be gone on with")
        }
        guard let found = try PartialArchive(partial, cancellation: cancellation) else { return nil }
        let writer = try ArchiveWriter(settings, byteCount: byteCount, resuming: found)
        let geometry = found.replay.index.geometry
        let start = min(found.replay.index.slot << UInt64(geometry.chunkLog2), geometry.byteCount)
        return ResumePoint(
            writer: writer, start: GuestOffset(start), storedByteCount: found.replay.position.value,
            proofs: found.replay.index.proofs, samples: found.samples
        ) { writer.noteSourceChange() }
    }
}

extension IndexBuilder {
    /// What the disk held in each leaf range that was closed.
    var proofs: [SourceProof] {
        root.map { entry in
            let start = entry.first << UInt64(geometry.leafLog2 + geometry.chunkLog2)
            let end = min(
                (entry.first + entry.count) << UInt64(geometry.leafLog2 + geometry.chunkLog2), geometry.byteCount)
            return SourceProof(
                GuestRange(start: GuestOffset(start), count: end - start),
                node: entry.kind == .data ? entry.node.bytes : nil, height: geometry.leafHeight)
        }
    }
}

extension FileHeader {
    /// In what the header of an archive that was begun differs from `other`, the one that would be written now: what
    /// would keep the two from being one archive.
    func differences(from other: FileHeader) -> [String] {
        var found: [String] = []
        func compare<Value: Equatable>(_ mine: Value, _ its: Value, _ what: String) {
            if mine != its { found.append("\(what) \(mine) (now \(its))") }
        }
        compare(diskByteCount ?? 0, other.diskByteCount ?? 0, "disk size")
        compare(logicalSector, other.logicalSector, "sector size")
        compare(1 << chunkLog2, 1 << other.chunkLog2, "chunk size")
        compare(1 << leafLog2, 1 << other.leafLog2, "leaf range")
        compare(ChunkMethod.names(ofCodecs: codecs), ChunkMethod.names(ofCodecs: other.codecs), "codecs")
        compare(filters, other.filters, "filters")
        compare(dedupWindow, other.dedupWindow, "deduplication window")
        compare(flags.contains(.deterministic), other.flags.contains(.deterministic), "deterministic")
        compare(writer, other.writer, "writer")
        if flags != other.flags, found.isEmpty { compare(flags.rawValue, other.flags.rawValue, "flags") }
        if found.isEmpty, flags.contains(.deterministic) {
            compare(created, other.created, "time")
            if created == other.created, uniqueID != other.uniqueID { found.append("another seed") }
        }
        return found
    }
}
