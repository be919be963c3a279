internal import ReimageCodecs
internal import ReimageCore

/// What the archive to be written is to be, from the plan and the options as the user gave them.
///
/// - Source: archive specification 1.0, section 6.
struct WriterSettings: Sendable {
    /// A set of choices by what the archive is for.
    enum Profile: String, CaseIterable { case store, fast, balanced, mount, tight, small, max }

    /// How chunks are tried to be made smaller.
    enum Coding: Hashable, Sendable {
        case store
        case deflate(level: Int)
        case zstd(level: Int)
        case lzma2([LZMA2Filter])

        var codec: ChunkMethod.Codec {
            switch self {
            case .store: .store
            case .deflate: .deflate
            case .zstd: .zstd
            case .lzma2: .lzma2
            }
        }
    }

    static let options = [
        WriterOption(
            "profile", values: Profile.allCases.map(\.rawValue).joined(separator: "|"),
            summary: "chunk size, codec and effort by what the archive is for (balanced)"),
        WriterOption("chunk_size", values: "64k…64M", summary: "bytes of a chunk, a power of two (by the profile)"),
        WriterOption(
            "dedup", values: "on|off", summary: "store equal chunks once; off can be restored into a pipe (on)"),
        WriterOption(
            "hole_info", values: "on|off", summary: "tell what the source had no data for from its zeros (on)"),
        WriterOption("seed", values: "TEXT", summary: "makes the number of a deterministic archive another (none)"),
    ]

    /// The entries of the table of chunks, where there is one.
    static let defaultWindow: UInt32 = 1 << 16

    var chunkLog2: Int
    /// `nil` takes the default for the chunk size.
    var leafLog2: Int?
    var coding: Coding
    /// Whether the start of each chunk is tried first.
    var probes: Bool
    /// Whether chunks may stay as the source has them: not where a profile or a level was asked for.
    var adopts: Bool
    var dedupWindow: UInt32
    /// Whether holes of the source stay apart from its zeros.
    var keepsHoles: Bool
    var metadata: Metadata
    var stamp: ImageStamp
    var seed: [UInt8]
    var writer: String
    /// The header of the archive that this one is made of, whose facts of the source it keeps.
    var origin: FileHeader?

    /// - Throws: `.invalidArgument` for an option or a value that is none, `.unsupported` for what no archive can be.
    init(_ plan: WritePlan) throws(ImageError) {
        let values = try OptionValues(plan.options, known: Self.options, of: ArchiveFormat.formatName)
        guard plan.backing == nil else {
            throw ImageError(.unsupported, "a rimg archive holds a whole disk, and has no image below it")
        }
        let profile: Profile = try values.choice("profile") ?? .balanced
        (chunkLog2, coding) = Self.choices(of: profile)
        if let size = try values.size("chunk_size") {
            let log2 = size.trailingZeroBitCount
            guard size != 0, size == 1 << UInt64(log2), Geometry.chunkLog2s.contains(log2) else {
                throw ImageError(.invalidArgument, "chunk_size=\(size) is no power of two from 64k to 64M")
            }
            chunkLog2 = log2
        }
        if let compression = plan.compression { coding = try Self.coding(compression, instead: coding) }
        probes = Self.probes(coding, of: profile)
        let mayAdopt = values["profile"] == nil && plan.compression?.level == nil
        adopts = mayAdopt && !plan.recompresses
        dedupWindow = try values.flag("dedup") ?? true ? Self.defaultWindow : 0
        keepsHoles = try values.flag("hole_info") ?? true
        seed = Array((values["seed"] ?? "").utf8)
        stamp = plan.stamp
        var members: [String: JSONValue] = ["format": .text("raw")]
        var options = plan.options.filter { $0.key != "seed" }
        options["codec"] = plan.compression?.codec?.name
        options["level"] = plan.compression?.level.map(String.init)
        // Whoever goes on with the archive must choose the same, or its chunks would be of two kinds.
        if mayAdopt, plan.recompresses { options["recompress"] = "on" }
        if !options.isEmpty { members["options"] = .object(options.mapValues { .text($0) }) }
        if !stamp.isDeterministic {
            members["tool"] = .text("reimage")
            members["source"] = plan.origin.map(Self.source)
        }
        metadata = Metadata(members)
        writer = "reimage zstd \(ZstdEncoder.libraryVersion) lzma \(LZMA2Encoder.libraryVersion)"
    }

    /// What a slot is all of whose bytes are of `kind`; none of them is data.
    func kind(readingAsZero kind: Extent.Kind) -> SlotKind {
        switch kind {
        case .data, .zero: .zero
        case .hole: keepsHoles ? .unallocated : .zero
        case .unreadable: .unreadable
        }
    }

    /// What is kept of the disk that was captured.
    private static func source(_ origin: DiskOrigin) -> JSONValue {
        var members: [String: JSONValue] = ["path": .text(origin.path), "size": .integer(origin.byteCount)]
        members["model"] = origin.model.map { .text($0) }
        members["serial"] = origin.serial.map { .text($0) }
        return .object(members)
    }

    private static func choices(of profile: Profile) -> (chunkLog2: Int, coding: Coding) {
        switch profile {
        case .store: (20, .store)
        case .fast: (20, .zstd(level: 1))
        case .balanced: (20, .zstd(level: 3))
        case .mount: (18, .zstd(level: 3))
        case .tight: (20, .zstd(level: 9))
        case .small: (22, .lzma2(LZMA2Filter.allCases))
        case .max: (26, .lzma2(LZMA2Filter.allCases))
        }
    }

    /// Whether the start of each chunk is tried first. zstd's lowest levels pass over what does not shrink nearly as
    /// quickly themselves: there the trial costs every other chunk more than it saves.
    private static func probes(_ coding: Coding, of profile: Profile) -> Bool {
        switch coding {
        case .store: false
        case .zstd(let level): level > 3
        case .deflate: true
        case .lzma2: profile != .max
        }
    }

    /// What was asked for, or what the profile has where nothing was.
    private static func coding(_ request: CompressionRequest, instead: Coding) throws(ImageError) -> Coding {
        let name = request.codec?.name ?? "\(instead.codec)"
        guard let codec = ChunkMethod.Codec.allCases.first(where: { "\($0)" == name }) else {
            let known = ChunkMethod.Codec.allCases.map { "\($0)" }.joined(separator: ", ")
            throw ImageError(.unsupported, "a rimg archive has no codec '\(name)'", advice: "It has \(known).")
        }
        switch codec {
        case .zstd:
            if case .zstd(let level) = instead { return .zstd(level: request.level ?? level) }
            return .zstd(level: request.level ?? 3)
        case .deflate: return .deflate(level: request.level ?? 6)
        case .store, .lzma2:
            guard request.level == nil else {
                throw ImageError(.invalidArgument, "\(name) has no levels in a rimg archive")
            }
            return codec == .store ? .store : .lzma2(LZMA2Filter.allCases)
        }
    }

    /// What one encoder holds, in bytes.
    var encoderByteCount: Int {
        let size = 1 << chunkLog2
        let probe = probes ? ZstdEncoder.byteCount(level: 1, chunkSize: size) + size / 8 : 0
        switch coding {
        case .store: return 0
        // libdeflate's tables, for its highest levels.
        case .deflate: return probe + 2 << 20
        case .zstd(let level): return probe + ZstdEncoder.byteCount(level: level, chunkSize: size)
        case .lzma2: return probe + LZMA2Encoder.byteCount(dictionarySize: size) + LZMA2FilterChoice.byteCount
        }
    }

    /// How a disk of `byteCount` bytes is cut: leaf ranges grow until there are at most 2^18 of them. They do not where
    /// the length is not known.
    func geometry(ofDisk byteCount: UInt64?) throws(ImageError) -> Geometry {
        var leafLog2 = self.leafLog2 ?? max(4, min(12, 30 - chunkLog2))
        guard let byteCount else { return try Geometry(ofUnknownDisk: chunkLog2, leafLog2: leafLog2) }
        if self.leafLog2 != nil {
            return try Geometry(byteCount: byteCount, chunkLog2: chunkLog2, leafLog2: leafLog2)
        }
        let slots = byteCount.dividedRoundingUp(by: 1 << UInt64(chunkLog2))
        while slots >> UInt64(leafLog2) >= 1 << 18, leafLog2 < Geometry.leafLog2s.upperBound { leafLog2 += 1 }
        return try Geometry(byteCount: byteCount, chunkLog2: chunkLog2, leafLog2: leafLog2)
    }

    /// The file header of an archive with `geometry`, whose first META record has the payload `metadata`.
    func header(_ geometry: Geometry, isSizeLate: Bool, metadata: [UInt8]) -> FileHeader {
        var header = FileHeader(
            uniqueID: [UInt8](repeating: 0, count: 16), diskByteCount: isSizeLate ? nil : geometry.byteCount,
            chunkLog2: geometry.chunkLog2, leafLog2: geometry.leafLog2, writer: writer)
        if isSizeLate { header.flags.insert(.sizeLate) }
        header.codecs = 1 | 1 << UInt32(coding.codec.rawValue)
        if case .lzma2(let filters) = coding {
            for filter in filters { header.filters |= 1 << UInt32(filter.rawValue) }
        }
        header.dedupWindow = dedupWindow
        header.created = stamp.seconds.multipliedReportingOverflow(by: 1_000_000_000).partialValue
        if let origin {
            header.logicalSector = origin.logicalSector
            header.physicalSector = origin.physicalSector
            header.created = origin.created
            header.codecs |= origin.codecs
            header.filters |= origin.filters
            header.flags.formUnion(origin.flags.intersection([.freeSpaceDropped, .sparseSource]))
        }
        if var number = stamp.uniqueID, number.count == 16 {
            number[6] = number[6] & 0x0F | 0x40
            number[8] = number[8] & 0x3F | 0x80
            header.uniqueID = number
            return header
        }
        header.flags.insert(.deterministic)
        let content = SHA256Hasher.hash(metadata).bytes + seed
        let fields = Array(header.bytes()[FileHeader.Field.diskSize..<FileHeader.Field.generation + 8])
        var number = Array(SHA256Hasher.hash(Array("rimg uuid".utf8) + fields + content).bytes.prefix(16))
        number[6] = number[6] & 0x0F | 0x80
        number[8] = number[8] & 0x3F | 0x80
        header.uniqueID = number
        return header
    }
}
