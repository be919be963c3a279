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
        name: .customShort("o"),
        help: ArgumentHelp("Options of the target's format; 'help' lists them.", valueName: "K=V,…"))
    var options: [String] = []

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
            "The run of zeros that becomes a hole, rounded down to a power of two; 0 allocates all.", valueName: "SIZE"),
        transform: parseSize)
    var sparseSize = ByteSize(4096)

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

    @OptionGroup var peer: PeerOptions
    @OptionGroup var opening: OpeningOptions
    @OptionGroup var work: WorkOptions

    func validate() throws {
        if options.contains("help") { return }
        guard files.count == 2 else {
            throw ValidationError(
                files.count < 2
                    ? "convert takes a source and a target."
                    : "convert takes one source and one target; joining several images is not supported.")
        }
        guard sparseSize.count == 0 || (512...(1 << 20)).contains(sparseSize.count) else {
            throw ValidationError("-S takes 0, or 512 to 1M.")
        }
        guard !targetIsZero || noCreate else { throw ValidationError("--target-is-zero goes with -n.") }
        guard !(force && noCreate) else {
            throw ValidationError("--force replaces the target and -n keeps it; choose one.")
        }
        guard rateLimit?.count != 0 else { throw ValidationError("-r takes a rate above 0.") }
    }

    func run() throws {
        let format = try targetFormat ?? Self.format(ofFileName: files.last ?? "")
        if options.contains("help") { return try printWriterOptions(format) }
        try peer.refuseWhatIsMissing(in: format)
        var opener = opening.opener(isQuiet: work.quiet)
        opener.cache = peer.sourceCache
        let source = try opener.open(files[0], format: sourceFormat, snapshot: snapshot.map(Self.snapshotName))
        let summary = try work.run(bytesPerSecond: rateLimit?.count) { job in
            try Conversion(
                to: files[1], format: format, writerOptions: try WriterOptionText.parse(options),
                sparseGrain: sparseGrain, placing: placing, verifies: verify, checksSpace: !skipsSpaceCheck,
                cache: peer.targetCache, options: job
            ).run(source)
        }
        report(summary)
    }

    private func report(_ summary: CopySummary) {
        if summary.unreadableByteCount > 0 {
            Console.note(
                Note("\(files[0]): \(summary.unreadableByteCount) bytes could not be read and are zeros in the target.")
            )
        }
        guard let digest = summary.digest else { return }
        Console.result("\(digest)")
        if !work.quiet { Console.message("reimage: verified: \(files[1]) reads back as it was copied.") }
    }

    private var sparseGrain: Int {
        let size = Int(sparseSize.count)
        return size == 0 ? 0 : 1 << (Int.bitWidth - 1 - size.leadingZeroBitCount)
    }

    private var placing: Conversion.Placing {
        if noCreate { return .overwrite(isZero: targetIsZero) }
        return force ? .replace : .create
    }

    /// The format that a file's name says, else raw.
    private static func format(ofFileName name: String) throws -> FormatName {
        guard let dot = name.lastIndex(of: "."), !name[dot...].contains("/") else { return .raw }
        let known = try? FormatRegistry.standard.format(named: FormatName(String(name[name.index(after: dot)...])))
        return known?.name ?? .raw
    }

    /// `snapshot.id=1` and `snapshot.name=x`, as qemu-img takes them, mean what follows.
    private static func snapshotName(_ text: String) -> String {
        for prefix in ["snapshot.id=", "snapshot.name="] where text.hasPrefix(prefix) {
            return String(text.dropFirst(prefix.count))
        }
        return text
    }

    private func printWriterOptions(_ name: FormatName) throws {
        let format = try FormatRegistry.standard.format(named: name)
        guard let options = format.writerOptions else {
            throw ImageError(.unsupported, "images of format \(name) cannot be written")
        }
        Console.result("Options for \(format.name):")
        for option in options { Console.result("  \(option.name)=\(option.values)  \(option.summary)") }
    }
}
