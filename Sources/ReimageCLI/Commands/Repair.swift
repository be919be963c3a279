internal import ArgumentParser
internal import Reimage
internal import ReimageCodecs
internal import ReimageCore
internal import ReimagePipeline

/// `reimage repair`.
struct Repair: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Makes a damaged archive anew in another file, and heals it from other images of the same disk.",
        discussion: """
            All that is whole is copied as it is; header, index and end are written again. What is damaged is taken from \
            the images that --from names, whatever their format, where its hash proves that it is the same. What is still \
            damaged stays known by its hash and can be healed later; what nothing is known of is unreadable in the new \
            archive. Exit status: 0 all is whole now, 4 something is still missing (the new archive is kept).

            Images of other formats are repaired in place: reimage check -r all.

            EXAMPLES
              reimage repair damaged.rimg mended.rimg
              reimage repair --from older.qcow2 --from /dev/sdb damaged.rimg mended.rimg
            """)

    @Argument(help: "The damaged archive, and the new one.")
    var files: [String] = []

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The archive's format, where its start and its end are damaged: rimg.", valueName: "FORMAT"))
    var format: FormatName?

    @Option(
        name: .customLong("from"),
        help: ArgumentHelp("An image of the same disk, of any format; may be given more than once.", valueName: "OTHER")
    )
    var others: [String] = []

    @Flag(help: "Replace an existing target once the new one is complete.")
    var force = false

    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions
    @OptionGroup var work: WorkOptions

    func validate() throws {
        guard files.count == 2 else {
            throw ValidationError(
                files.count < 2
                    ? "repair takes a damaged archive and the name of a new one; reimage check -r all repairs in place."
                    : "repair takes one archive and the name of one new one.")
        }
        guard !opening.partial else {
            throw ValidationError("--partial is not for repair, which always takes what is left.")
        }
    }

    func run() throws {
        let summary = try work.run { options in
            var reconstruction = Reconstruction(of: files[0], to: files[1], options: options)
            reconstruction.others = others
            reconstruction.replaces = force
            reconstruction.stamp = try SourceDate.stamp()
            return try reconstruction.run(format: format, opening.opener(isQuiet: work.quiet))
        }
        let digest = ContentDigest(
            hash: try summary.digest.withBytes { (span) throws(ImageError) in try Hash256(span) })
        let text = summary.isPartial ? partialDigest(digest) : digest.description
        if report.isJSON {
            Console.result(try jsonText(json(summary, text)))
        } else {
            tell(summary, text)
        }
        if !summary.isWhole { throw ExitCode(ExitStatus.sourceFailed.rawValue) }
    }

    private func tell(_ summary: RebuildSummary, _ digest: String) {
        func list(_ ranges: GuestRanges, _ what: String) {
            guard !ranges.isEmpty else { return }
            Console.message("reimage: \(ranges.byteCount) bytes of the disk \(what):")
            for line in UnreadableReport.lines(ranges) { Console.message(line) }
        }
        if !work.quiet { list(summary.healed, "were healed") }
        list(summary.damaged, "are still damaged, and can be healed with --from")
        list(summary.lost, "are lost, and unreadable in the new archive")
        Console.result(digest)
        if summary.isWhole, !work.quiet { Console.message("reimage: repaired: \(files[1].printable) is whole.") }
    }

    private func json(_ summary: RebuildSummary, _ digest: String) -> JSONFields {
        var fields = JSONFields()
        fields.add("filename", files[0])
        fields.add("target", files[1])
        fields.add("whole", summary.isWhole)
        fields.add("virtual-size", summary.byteCount)
        fields.add(summary.isPartial ? "partial-digest" : "digest", digest)
        fields.add("healed", UnreadableReport.json(summary.healed))
        fields.add("damaged", UnreadableReport.json(summary.damaged))
        fields.add("lost", UnreadableReport.json(summary.lost))
        return fields
    }
}

extension RebuildSummary {
    /// Whether the new image holds all of the disk.
    fileprivate var isWhole: Bool { damaged.isEmpty && lost.isEmpty && !isPartial }
}
