internal import ReimageCodecs
internal import ReimageCore

extension ArchiveIndex {
    /// What the archive says of itself.
    /// - Throws: `.unreadable` on an I/O error; what is damaged is remarked on.
    func info(_ store: any ByteStore, remarks: [String]) throws(ImageError) -> ImageInfo {
        var remarks = remarks
        var fields = header.infoFields
        // What was left of a damaged archive has a digest, but not that of a disk.
        let isComplete = footer.flags.contains(.complete)
        let claim = isComplete ? digest.description : digest.hash.description
        fields += [
            InfoField(isComplete ? "digest" : "partial-digest", .text(claim)),
            InfoField("codecs", .list(ChunkMethod.names(ofCodecs: footer.codecs).map { .text($0) })),
            InfoField("stored-chunks", .number(footer.counts.chunks)),
            InfoField("duplicate-slots", .number(footer.counts.duplicates)),
            InfoField("zero-slots", .number(footer.counts.zeros)),
            InfoField("unallocated-slots", .number(footer.counts.unallocated)),
            InfoField("unreadable-slots", .number(footer.counts.unreadable)),
            InfoField("data-size", .number(footer.rawBytes)),
            InfoField("stored-size", .number(footer.storedBytes)),
        ]
        fields += shares
        let tally = try MethodTally(self, store)
        if tally.chunks > 0 { fields.append(InfoField("compression", tally.info)) }
        remarks += tally.remarks(ofChunks: footer.counts.chunks)
        switch Result(catching: { () throws(ImageError) in try ErrorsList(self, store) }) {
        case .success(let errors):
            fields += errors.fields
            remarks += errors.remarks
        case .failure(let error): remarks.append("The list of unreadable ranges cannot be read: \(error.message).")
        }
        switch Result(catching: { () throws(ImageError) in try metadata(store) }) {
        case .success(let metadata): fields.append(InfoField("metadata", JSONValue.object(metadata.members).info))
        case .failure(let error): remarks.append("The archive's metadata cannot be read: \(error.message).")
        }
        return ImageInfo(
            virtualSize: geometry.byteCount, clusterSize: geometry.chunkSize, uniqueID: header.uniqueID,
            specific: fields, remarks: remarks)
    }

    /// How much of the disk's slots is zeros, how much of those with data was stored before, and how short the rest got.
    private var shares: [InfoField] {
        let counts = footer.counts
        return [
            InfoField("zero-percent", .percent(counts.zeros + counts.unallocated, of: geometry.slots)),
            InfoField("duplicate-percent", .percent(counts.duplicates, of: counts.chunks + counts.duplicates)),
            InfoField("stored-percent", .percent(footer.storedBytes, of: footer.rawBytes)),
        ]
    }

    /// What the user should know of a whole archive.
    var remarks: [String] {
        var remarks: [String] = []
        if headerDamage != nil {
            remarks.append("The archive's file header is damaged; the copy at its end is used.")
        }
        return remarks + footer.flags.remarks
    }

    /// The metadata of the last META record.
    func metadata(_ store: any ByteStore) throws(ImageError) -> Metadata {
        try Metadata(decoding: LooseRecord(.metadata, at: footer.metadata, rules, store).payload)
    }
}

extension Footer.Flags {
    /// What the user should know of an archive by what became of it.
    var remarks: [String] {
        var remarks: [String] = []
        if !contains(.complete) { remarks.append("The archive was repaired, and not all that it held was found.") }
        if contains(.sourceErrors) {
            remarks.append("The source could not be read everywhere when the archive was made; it has zeros there.")
        }
        if contains(.sourceChanged) { remarks.append("The source changed while the archive was made.") }
        return remarks
    }
}

extension FileHeader {
    /// What the header alone tells.
    var infoFields: [InfoField] {
        var fields = [
            InfoField("version", .text("1.\(minor)")),
            InfoField("leaf-slots", .number(1 << UInt64(leafLog2))),
            InfoField("logical-sector-size", .number(UInt64(logicalSector))),
        ]
        if physicalSector != 0 { fields.append(InfoField("physical-sector-size", .number(UInt64(physicalSector)))) }
        if !writer.isEmpty { fields.append(InfoField("writer", .text(writer))) }
        if let created = UInt64(exactly: created), created != 0 {
            fields.append(InfoField("created-nanoseconds", .number(created)))
        }
        fields.append(InfoField("deterministic", .flag(flags.contains(.deterministic))))
        return fields
    }
}

extension ChunkMethod {
    /// The names of the codecs whose bits are set.
    static func names(ofCodecs bits: UInt32) -> [String] {
        (0..<UInt8(UInt32.bitWidth)).filter { bits >> UInt32($0) & 1 == 1 }.map(name(ofCodec:))
    }

    /// The name of the codec of this number, which may be one of a later version.
    static func name(ofCodec number: UInt8) -> String {
        Codec(rawValue: number).map { "\($0)" } ?? "codec-\(number)"
    }
}
