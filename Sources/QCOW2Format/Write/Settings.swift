internal import ReimageCore

/// What the image to be written is to be, from the options as the user gave them.
struct WriterSettings: Sendable {
    /// How much of the disk is backed by space from the start.
    enum Preallocation: String, CaseIterable {
        case off, metadata, falloc, full
    }

    private(set) var version: UInt32 = 3
    private(set) var clusterBits: UInt64 = 16
    private(set) var compressionType = CompressionType.zlib
    private(set) var hasSubclusters = false
    private(set) var refcountOrder = 4
    private(set) var hasLazyRefcounts = false
    private(set) var preallocation = Preallocation.off
    private(set) var backingName: String?
    private(set) var backingFormat: String?
    /// The path of the data file as the user gave it, and the name that the image keeps of it.
    private(set) var dataFile: (path: String, name: String)?
    private(set) var dataFileIsRaw = false
    /// The level of compression; `nil` stores clusters as they are.
    private(set) var level: Int?
    /// Whether clusters may stay compressed as the source has them: not where a level was asked for.
    private(set) var adopts = false
    /// How zeros are stored that need not be; `nil` stores nothing for them.
    private(set) var zeroStorage: ZeroMode?

    /// The options, as `-o help` lists them.
    static let options = [
        WriterOption("compat", values: "0.10|1.1", summary: "version of the format (1.1)"),
        WriterOption("cluster_size", values: "512…2M", summary: "bytes of a cluster, a power of two (64k)"),
        WriterOption("compression_type", values: "zlib|zstd", summary: "how -c compresses (zlib)"),
        WriterOption("extended_l2", values: "on|off", summary: "32 subclusters in a cluster, from 16k on (off)"),
        WriterOption("refcount_bits", values: "1|2|4|8|16|32|64", summary: "width of a refcount (16)"),
        WriterOption("lazy_refcounts", values: "on|off", summary: "let programs put off refcount updates (off)"),
        WriterOption(
            "preallocation", values: Preallocation.allCases.map(\.rawValue).joined(separator: "|"),
            summary: "nothing, tables, reserved space, or zeros written out (off)"),
        WriterOption("backing_file", values: "FILE", summary: "the disk below; the same as -b"),
        WriterOption("backing_fmt", values: "FORMAT", summary: "its format; the same as -F"),
        WriterOption("data_file", values: "FILE", summary: "a second file for the guest's data"),
        WriterOption("data_file_raw", values: "on|off", summary: "keep the data file a raw disk of its own (off)"),
    ]

    /// - Throws: `.invalidArgument` for an option, a value or a combination that is none.
    init(_ plan: WritePlan) throws(ImageError) {
        let values = try OptionValues(plan.options, known: Self.options, of: "qcow2")
        if let name = ["backing_file", "backing_fmt"].first(where: { plan.options[$0] != nil }) {
            throw .option("\(name) is not taken as an option of the writer: the plan names what lies below", nil)
        }
        if let compat = values["compat"] {
            guard let version = ["0.10": 2, "v2": 2, "1.1": 3, "v3": 3][compat] else {
                throw .option("'\(compat)' is no value of the option compat", "Known values: 0.10, 1.1.")
            }
            self.version = UInt32(version)
        }
        if let size = try values.size("cluster_size") {
            guard size >= 512, size <= 2 << 20, size & (size - 1) == 0 else {
                throw .option("cluster_size=\(size) is no power of two from 512 to 2M", nil)
            }
            clusterBits = UInt64(size.trailingZeroBitCount)
        }
        if let bits = values["refcount_bits"] {
            guard let width = Int(bits), [1, 2, 4, 8, 16, 32, 64].contains(width) else {
                throw .option(
                    "'\(bits)' is no value of the option refcount_bits", "Known values: 1, 2, 4, 8, 16, 32, 64.")
            }
            refcountOrder = width.trailingZeroBitCount
        }
        hasSubclusters = try values.flag("extended_l2") ?? false
        hasLazyRefcounts = try values.flag("lazy_refcounts") ?? false
        dataFileIsRaw = try values.flag("data_file_raw") ?? false
        preallocation = try values.choice("preallocation") ?? .off
        try readCompression(values, plan)
        try readFiles(values, plan)
        try checkCombinations(plan)
        zeroStorage = Self.zeroStorage(preallocation, dataFileIsRaw: dataFileIsRaw, grain: plan.sparseGrain)
    }

    private mutating func readCompression(_ values: OptionValues, _ plan: WritePlan) throws(ImageError) {
        let named: CompressionType? =
            switch values["compression_type"] {
            case nil: nil
            case "zlib": .zlib
            case "zstd": .zstd
            case .some(let other):
                throw .option("'\(other)' is no value of the option compression_type", "Known values: zlib, zstd.")
            }
        var wanted: CompressionType?
        if let codec = plan.compression?.codec {
            guard let type = [Codec("zlib"): CompressionType.zlib, .deflate: .zlib, .zstd: .zstd][codec] else {
                throw .option("qcow2 images cannot be compressed by \(codec)", "Known methods: zlib, zstd.")
            }
            wanted = type
        }
        if let named, let wanted, named != wanted {
            throw .option("compression_type=\(named.name) contradicts --codec \(wanted.name)", "Give one of them.")
        }
        compressionType = named ?? wanted ?? .zlib
        guard let compression = plan.compression else { return }
        adopts = compression.level == nil && !plan.recompresses
        level = compression.level ?? ClusterEncoder.defaultLevel(compressionType)
    }

    /// What QEMU calls a format: it opens no image whose header has another name for what lies below.
    private static func driverName(of format: FormatName) -> String { format == "vhd" ? "vpc" : format.text }

    private mutating func readFiles(_ values: OptionValues, _ plan: WritePlan) throws(ImageError) {
        if let backing = plan.backing {
            backingName = backing.name
            backingFormat = backing.format.map(Self.driverName)
        }
        if let path = values["data_file"] {
            guard !path.isEmpty else { throw .option("data_file has no name", nil) }
            dataFile = (path, try plan.nameInImage(path))
        }
    }

    private func checkCombinations(_ plan: WritePlan) throws(ImageError) {
        if version == 2 {
            let newer = [
                ("extended_l2", hasSubclusters), ("lazy_refcounts", hasLazyRefcounts), ("data_file", dataFile != nil),
                ("refcount_bits", refcountOrder != 4), ("compression_type=zstd", compressionType == .zstd),
            ]
            if let (name, _) = newer.first(where: \.1) {
                throw .option("compat=0.10 has no \(name)", "Take compat=1.1, which is the default.")
            }
        }
        if hasSubclusters, clusterBits < 14 {
            throw .option("extended_l2 needs clusters of 16k or more", "Add cluster_size=128k, for instance.")
        }
        if dataFileIsRaw, dataFile == nil { throw .option("data_file_raw needs a data_file", nil) }
        if dataFileIsRaw, backingName != nil {
            throw .option("a raw data file holds the whole disk, and leaves nothing to a backing file", nil)
        }
        if preallocation != .off, backingName != nil, !hasSubclusters {
            throw .option(
                "preallocation=\(preallocation.rawValue) would hide the backing file",
                "Leave it away, or add extended_l2=on.")
        }
        if level != nil {
            if preallocation != .off {
                throw .option("-c: compressed clusters cannot be preallocated", "Leave one of the two away.")
            }
            if dataFile != nil { throw .option("-c: an image with a data file holds no compressed clusters", nil) }
            if plan.sparseGrain == 0 { throw .option("-c stores no zeros", "Leave -S 0 away.") }
        }
    }

    /// Whether plain clusters may be blocks of the source's file: not where they are compressed or compared, nor where
    /// space was asked for.
    var sharesBlocks: Bool {
        level == nil && backingName == nil && (zeroStorage == nil || zeroStorage == .sparse)
    }

    private static func zeroStorage(_ mode: Preallocation, dataFileIsRaw: Bool, grain: Int) -> ZeroMode? {
        if grain == 0 { return .written }
        switch mode {
        case .off: return dataFileIsRaw ? .sparse : nil
        case .metadata: return .sparse
        case .falloc: return .allocated
        case .full: return .written
        }
    }
}

extension ImageError {
    fileprivate static func option(_ message: String, _ advice: String?) -> ImageError {
        ImageError(.invalidArgument, message, advice: advice)
    }
}
