public import ArgumentParser
internal import Reimage
public import ReimageCore
internal import ReimagePipeline

extension FormatName: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
}

extension ByteSize: ExpressibleByArgument {
    public init?(argument: String) {
        guard let size = try? Self.parse(argument) else { return nil }
        self = size
    }
}

extension Conversion.Resuming: ExpressibleByArgument {}

/// What every verb that opens images takes.
struct OpeningOptions: ParsableArguments {
    @Option(
        name: .long,
        help: ArgumentHelp(
            "Files in DIR may be referred to by an image (backing files, data files); 'any' allows all.",
            discussion: "By default an image may refer to files in its own directory and below it.",
            valueName: "DIR|any"))
    var allowReferences: [String] = []

    @Option(
        name: .long,
        help: ArgumentHelp(
            "Files that an image refers to may lie in DIR too, which is looked in last.", valueName: "DIR"))
    var parentDir: [String] = []

    @Option(name: .long, help: ArgumentHelp("How many images may lie below one another.", valueName: "N"))
    var maxDepth = 10

    @Option(
        name: .long,
        help: ArgumentHelp("The most memory a decompressor may take (.xz and .zst sources).", valueName: "SIZE"),
        transform: parseSize)
    var memoryLimit = ByteSize(128 << 20)

    @Option(
        help: ArgumentHelp(
            "Which of a VHD's two sizes counts (default: as its creator does).", valueName: "current|chs"))
    var vhdSize: VHDSize?

    @Option(
        help: ArgumentHelp(
            "Which copy of a VHD's footer counts where they differ (default: head).", valueName: "head|tail"))
    var vhdFooter: VHDFooter?

    @Flag(help: "Take structures whose checksum is wrong, and say so.")
    var ignoreChecksums = false

    @Flag(help: "Take the parent of a differencing VHD though its unique id is another, and say so.")
    var ignoreParentId = false

    @Flag(
        help: ArgumentHelp(
            "Read what is left of a damaged archive (rimg): what cannot be proved is zeros.",
            discussion: "It is listed, and the exit status is 4 where there is any."))
    var partial = false

    enum VHDSize: String, ExpressibleByArgument, CaseIterable { case current, chs }
    enum VHDFooter: String, ExpressibleByArgument, CaseIterable { case head, tail }

    /// The options of formats' readers; see ``OpenContext/options``.
    var readerOptions: [String: String] {
        var options: [String: String] = [:]
        options["vhd-size"] = vhdSize?.rawValue
        options["vhd-footer"] = vhdFooter?.rawValue
        if ignoreChecksums { options["ignore-checksums"] = "on" }
        if ignoreParentId { options["ignore-parent-id"] = "on" }
        return options
    }

    func validate() throws {
        guard (0...200).contains(maxDepth) else { throw ValidationError("--max-depth takes 0 to 200.") }
    }

    /// Opens images as these options say.
    ///
    /// - Parameter isQuiet: leaves out what the user should know though the work goes on.
    func opener(isQuiet: Bool = false) -> ImageOpener {
        let allowsAny = allowReferences.contains("any")
        var opener = ImageOpener(
            references: ReferencePolicy(
                directories: allowReferences.filter { $0 != "any" }, allowsAny: allowsAny, maximumDepth: maxDepth),
            decoderMemoryLimit: memoryLimit.count, cancellation: Signals.cancellation,
            note: { if !isQuiet { Console.note($0) } })
        opener.options = readerOptions
        opener.readsPartially = partial
        opener.parentDirectories = parentDir
        return opener
    }
}

/// What every verb that reads whole disks takes.
struct WorkOptions: ParsableArguments {
    @Option(
        name: [.customShort("j"), .long],
        help: ArgumentHelp("How many threads work (default: two a core).", valueName: "N"))
    var threads: Int?

    @Flag(name: [.short, .long], help: "Say nothing but results and errors.")
    var quiet = false

    @Flag(name: .customShort("p"), help: "Show progress even where standard error is no terminal.")
    var showsProgress = false

    @Option(help: ArgumentHelp("How progress is shown: auto, bar, json (lines on standard error) or none."))
    var progress = ProgressStyle.auto

    func validate() throws {
        guard threads.map({ (1...256).contains($0) }) ?? true else { throw ValidationError("-j takes 1 to 256.") }
    }

    /// Runs `body` while the progress is shown.
    func run<Value>(bytesPerSecond: UInt64? = nil, _ body: (JobOptions) throws -> Value) rethrows -> Value {
        let options = JobOptions(
            threadCount: threads, cancellation: Signals.cancellation, bytesPerSecond: bytesPerSecond)
        let reporter = ProgressReporter(options.progress, style: style)
        defer { reporter.stop() }
        return try body(options)
    }

    private var style: ProgressStyle {
        guard progress == .auto else { return progress }
        return showsProgress || (Console.isTerminal && !quiet) ? .bar : .none
    }
}

/// What every verb that reports takes.
struct ReportOptions: ParsableArguments {
    @Flag(help: "Print JSON; the same as --output=json.")
    var json = false

    @Option(help: ArgumentHelp("human or json.", valueName: "FORMAT"))
    var output = OutputStyle.human

    enum OutputStyle: String, ExpressibleByArgument, CaseIterable { case human, json }

    var isJSON: Bool { json || output == .json }
}

/// A size, with the reason where it is none.
@Sendable func parseSize(_ text: String) throws -> ByteSize {
    do { return try ByteSize.parse(text) } catch { throw ValidationError(error.description) }
}
