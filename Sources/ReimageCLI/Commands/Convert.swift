internal import ArgumentParser
internal import Reimage
internal import ReimageCore
internal import ReimagePipeline

/// `reimage convert`.
struct Convert: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Copies a disk image into a new file of any format.",
        discussion: """
            The target appears under its name only when it is complete and on the medium; an existing one is replaced \
            only with --force. '-' is standard input or output.

            EXAMPLES
              reimage convert vm.qcow2 disk.raw
              reimage convert -f qcow2 -O raw --verify vm.qcow2 disk.raw
              reimage convert -l before-upgrade vm.qcow2 old.raw
              reimage convert disk.img.xz disk.raw
              ssh host cat vm.raw.gz | reimage convert - disk.raw
              reimage convert vm.qcow2 - | zstd > vm.raw.zst
              reimage convert disk.raw vm.qcow2
              reimage convert -c disk.raw small.qcow2
              reimage convert -c --codec zstd --level 9 disk.raw smaller.qcow2
              reimage convert -b base.qcow2 -F qcow2 vm.raw overlay.qcow2
              reimage convert --profile azure vm.qcow2 vm.vhd
              reimage convert --partial damaged.rimg rest.raw
            """)

    @Argument(help: "The image to read, and the file to write.")
    var files: [String] = []

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The source's format; found out otherwise.", valueName: "FORMAT"))
    var sourceFormat: FormatName?

    @Option(
        name: [.customShort("O"), .long],
        help: ArgumentHelp("The target's format; by its file name otherwise, else raw.", valueName: "FORMAT"))
    var targetFormat: FormatName?

    @Option(
        name: [.customShort("l"), .long],
        help: ArgumentHelp("The internal snapshot to read instead of the active state.", valueName: "NAME|ID"))
    var snapshot: String?

    @Flag(help: "Replace an existing target once the new one is complete.")
    var force = false

    @Flag(help: "Read the target back past the page cache, compare it, and print the content digest.")
    var verify = false

    @Option(
        name: [.customShort("S"), .long],
        help: ArgumentHelp(
            "The run of zeros that becomes a hole, rounded down to a power of two (4k); 0 allocates all.",
            valueName: "SIZE"),
        transform: parseSize)
    var sparseSize: ByteSize?

    @Flag(name: .customShort("n"), help: "Write into the existing target file, which keeps its length.")
    var noCreate = false

    @Flag(help: "With -n: the target reads as zeros already, so that zeros need no writing.")
    var targetIsZero = false

    @Option(
        name: [.customShort("r"), .long], help: ArgumentHelp("The most data to copy in a second.", valueName: "SIZE"),
        transform: parseSize)
    var rateLimit: ByteSize?

    @Flag(name: .customLong("no-space-check"), help: "Start even where the target's file system may be too small.")
    var skipsSpaceCheck = false

    @Flag(
        name: .customLong("no-reflink"),
        help: "Copy data even where the file system (XFS, btrfs) could share the source's blocks with the target.")
    var noReflink = false

    @Flag(
        help: ArgumentHelp(
            "Compress everything anew; --level and --profile do, too.",
            discussion: """
                Without, what the source stores in chunks of the target's size and codec is checked by decoding it, and \
                copied as it is stored.
                """))
    var recompress = false

    @Option(
        help: ArgumentHelp(
            "Write the parts of the disk that could not be read to FILE, as JSON.", valueName: "FILE"))
    var unreadableList: String?

    @Option(
        help: ArgumentHelp(
            "Go on with a rimg archive whose making was interrupted: 'prove' (the default) compares all of the source that is in it, 'trust' some.",
            valueName: "prove|trust"))
    var resume: Conversion.Resuming?

    @OptionGroup var layout: TargetOptions
    @OptionGroup var compression: CompressionOptions
    @OptionGroup var peer: PeerOptions
    @OptionGroup var opening: OpeningOptions
    @OptionGroup var work: WorkOptions

    func validate() throws {
        if layout.asksForHelp { return }
        guard files.count == 2 else {
            throw ValidationError(
                files.count < 2
                    ? "convert takes a source and a target."
                    : "convert takes one source and one target; joining several images is not supported.")
        }
        guard sparseSize.map({ $0.count == 0 || (512...(1 << 20)).contains($0.count) }) ?? true else {
            throw ValidationError("-S takes 0, or 512 to 1M.")
        }
        guard !targetIsZero || noCreate else { throw ValidationError("--target-is-zero goes with -n.") }
        guard !(force && noCreate) else {
            throw ValidationError("--force replaces the target and -n keeps it; choose one.")
        }
        guard rateLimit?.count != 0 else { throw ValidationError("-r takes a rate above 0.") }
    }

    func run() throws {
        let named = targetFormat ?? TargetOptions.format(ofFileName: files.last ?? "")
        let format = try FormatRegistry.standard.format(named: named).name
        if layout.asksForHelp { return try TargetOptions.printHelp(for: format) }
        try peer.refuseWhatIsMissing()
        var opener = opening.opener(isQuiet: work.quiet)
        opener.cache = peer.sourceCache
        let source = try opener.open(files[0], format: sourceFormat, snapshot: snapshot.map(Self.snapshotName))
        let summary = try work.run(bytesPerSecond: rateLimit?.count) { job in
            var conversion = Conversion(
                to: files[1], format: format, writerOptions: try layout.writerOptions(for: format),
                sparseGrain: sparseGrain, placing: placing, verifies: verify, checksSpace: !skipsSpaceCheck,
                cache: peer.targetCache, options: job)
            conversion.compression = try compression.request(for: format)
            conversion.recompresses = recompress
            conversion.backing = try layout.reference(in: format)
            conversion.references = opener.references
            // Who says which zeros are to be holes wants them looked for.
            conversion.sharesBlocks = !noReflink && sparseSize == nil
            conversion.readerOptions = opener.options
            conversion.parentDirectories = opener.parentDirectories
            conversion.stamp = try layout.stamp()
            conversion.note = opener.note
            conversion.resuming = resume
            return try conversion.run(source)
        }
        try report(summary, isPartial: source.image.isPartial)
    }

    private func report(_ summary: CopySummary, isPartial: Bool) throws {
        defer { if !summary.unreadable.isEmpty { UnreadableReport.tell(summary.unreadable, of: files[0]) } }
        if let unreadableList { try UnreadableReport.write(summary.unreadable, of: files[0], to: unreadableList) }
        try reportDigest(summary, isPartial: isPartial)
        // The target is kept: it is what there is of the source.
        if !summary.unreadable.isEmpty { throw ExitCode(ExitStatus.sourceFailed.rawValue) }
    }

    private func reportDigest(_ summary: CopySummary, isPartial: Bool) throws {
        // A digest may be there without having been read back, for an image that keeps something made from it.
        guard verify, let digest = summary.digest else { return }
        Console.result(isPartial ? partialDigest(digest) : "\(digest)")
        if !work.quiet { Console.message("reimage: verified: \(files[1]) reads back as it was copied.") }
    }

    private var sparseGrain: Int {
        let size = Int(sparseSize?.count ?? 4096)
        return size == 0 ? 0 : 1 << (Int.bitWidth - 1 - size.leadingZeroBitCount)
    }

    private var placing: Conversion.Placing {
        if noCreate { return .overwrite(isZero: targetIsZero) }
        return force ? .replace : .create
    }

    /// `snapshot.id=1` and `snapshot.name=x`, as qemu-img takes them, mean what follows.
    static func snapshotName(_ text: String) -> String {
        for prefix in ["snapshot.id=", "snapshot.name="] where text.hasPrefix(prefix) {
            return String(text.dropFirst(prefix.count))
        }
        return text
    }
}
