internal import ArgumentParser
internal import Reimage
internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem

/// `reimage compare`.
struct Compare: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Tells whether two images hold the same disk.",
        discussion: """
            Where one disk is longer, they are equal if the rest of it is zeros, unless -s is given. Exit status: 0 \
            same, 1 different, 2 could not compare.

            Archives (rimg) are compared by the digests that they keep, and only what these do not settle is read: of \
            two archives little more than what differs. --json then says so with "from-index", and lists every run of \
            64 KiB blocks that differs.

            EXAMPLES
              reimage compare vm.qcow2 disk.raw
              reimage compare -f qcow2 -F raw -s vm.qcow2 disk.raw
            """)

    @Argument(help: "One image.")
    var first: String

    @Argument(help: "The other image.")
    var second: String

    @Option(name: .customShort("f"), help: ArgumentHelp("The first image's format.", valueName: "FORMAT"))
    var firstFormat: FormatName?

    @Option(name: .customShort("F"), help: ArgumentHelp("The second image's format.", valueName: "FORMAT"))
    var secondFormat: FormatName?

    @Flag(name: [.customShort("s"), .long], help: "Different lengths count, and data stored in one image alone.")
    var strict = false

    @Flag(help: "Read archives too, instead of believing the digests that they keep.")
    var read = false

    @Option(name: .customShort("T"), help: .hidden)
    var cache: PeerOptions.CacheName?

    @Flag(name: .customShort("U"), help: .hidden)
    var forceShare = false

    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions
    @OptionGroup var work: WorkOptions

    func run() throws {
        do {
            let sizes = try compare()
            try tell(sizes)
        } catch let error as ImageError {
            Console.error(error)
            Signals.finish()
            throw ExitCode(ExitStatus.couldNotCompare.rawValue)
        }
    }

    private struct Outcome {
        var comparison: Comparison
        var sizes: (UInt64, UInt64)
        /// What differs, where it was found by digests.
        var differences: BlockDifferences?
    }

    private func compare() throws -> Outcome {
        var opener = opening.opener(isQuiet: work.quiet)
        opener.cache = cache?.policy ?? .cached
        let left = try opener.open(first, format: firstFormat).disk(for: "compare")
        let right = try opener.open(second, format: secondFormat).disk(for: "compare")
        if !strict, !read, NodeCompareJob(left, right) != nil {
            let found = try work.run { options in try NodeCompareJob(left, right, options: options)?.run() }
            let note = Note("compared by the digests that the archive keeps; --read compares the bytes themselves.")
            if !work.quiet, !report.isJSON { Console.note(note) }
            return Outcome(
                comparison: found?.first.map { .differs(at: $0) } ?? .identical,
                sizes: (left.byteCount, right.byteCount), differences: found)
        }
        let comparison = try work.run { options in
            try CompareJob(left, right, isStrict: strict, options: options).run()
        }
        return Outcome(comparison: comparison, sizes: (left.byteCount, right.byteCount))
    }

    private func tell(_ outcome: Outcome) throws {
        if report.isJSON {
            Console.result(try jsonText(fields(outcome)))
        } else {
            if outcome.sizes.0 != outcome.sizes.1, outcome.comparison != .sizesDiffer, !work.quiet {
                Console.message(
                    "Warning: Image size mismatch! (\(outcome.sizes.0) and \(outcome.sizes.1) bytes)")
            }
            if !work.quiet || outcome.comparison != .identical { say(outcome) }
        }
        if outcome.comparison != .identical { throw ExitCode(ExitStatus.failure.rawValue) }
    }

    private func say(_ outcome: Outcome) {
        switch outcome.comparison {
        case .identical: Console.result("Images are identical.")
        case .differs(let offset): Console.result("Content mismatch at offset \(offset)!")
        case .sizesDiffer:
            Console.result("Strict mode: Image size mismatch! (\(outcome.sizes.0) and \(outcome.sizes.1) bytes)")
        case .allocationDiffers(let offset):
            Console.result("Strict mode: Offset \(offset) holds data in one image only!")
        }
    }

    private static func fields(_ run: GuestRange) -> JSONFields {
        var fields = JSONFields()
        fields.add("start", run.start.value)
        fields.add("length", run.count)
        return fields
    }

    private func fields(_ outcome: Outcome) -> JSONFields {
        var fields = JSONFields()
        fields.add("identical", outcome.comparison == .identical)
        fields.add("sizes", [outcome.sizes.0, outcome.sizes.1])
        if let differences = outcome.differences {
            fields.add("compared-by", "digest")
            fields.add("from-index", true)
            fields.add("differing-blocks", differences.runs.map(Self.fields))
            if differences.isCut { fields.add("differing-blocks-cut", true) }
        }
        switch outcome.comparison {
        case .identical: break
        case .differs(let offset):
            fields.add("difference", "content")
            fields.add("offset", offset.value)
        case .sizesDiffer: fields.add("difference", "size")
        case .allocationDiffers(let offset):
            fields.add("difference", "allocation")
            fields.add("offset", offset.value)
        }
        return fields
    }
}
