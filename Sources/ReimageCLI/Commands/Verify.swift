internal import ArgumentParser
internal import Reimage
internal import ReimageCodecs
internal import ReimageCore
internal import ReimagePipeline

/// `reimage verify`.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Proves that an image is whole, and prints its content digest.",
        discussion: """
            An archive (rimg) proves itself: every byte of its disk by a hash, every structure by a checksum. An image of \
            another format is checked and read to its end. Exit status: 0 whole, 4 damaged, 6 another digest than asked for.

            EXAMPLES
              reimage verify disk.rimg
              reimage verify --stored disk.rimg          the stored checksums only, as fast as the file is read
              reimage verify --deep disk.rimg            and the index is made anew and compared
              reimage verify --digest rdd1:… disk.qcow2
            """)

    @Argument(help: "The image; '-' is standard input.")
    var image: String

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The image's format; found out otherwise.", valueName: "FORMAT"))
    var format: FormatName?

    @Flag(help: "Check the checksums of what is stored, and decode nothing.")
    var stored = false

    @Flag(help: "Prove all content, make the index anew from the records, and compare it with the one in the file.")
    var deep = false

    @Option(help: ArgumentHelp("The digest that the disk must have.", valueName: "rdd1:…"))
    var digest: String?

    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions
    @OptionGroup var work: WorkOptions

    func validate() throws {
        guard !(stored && deep) else { throw ValidationError("--stored and --deep are two depths; choose one.") }
        guard !opening.partial else { throw ValidationError("--partial is not for verify, which always looks at all.") }
        guard digest.map({ ContentDigest($0) != nil }) ?? true else {
            throw ValidationError("--digest takes rdd1: and 64 hexadecimal digits.")
        }
    }

    func run() throws {
        let depth: VerifyDepth = stored ? .stored : deep ? .deep : .full
        var findings = FindingReport(printsLines: !report.isJSON && !work.quiet)
        let (name, summary) = try work.run { options in
            try Verification(depth, options: options).run(image, format: format, opening.opener(isQuiet: work.quiet)) {
                findings.take($0)
            }
        }
        let found = try summary.digest.map { (bytes) throws(ImageError) in
            ContentDigest(hash: try bytes.withBytes { (span) throws(ImageError) in try Hash256(span) })
        }
        if report.isJSON {
            Console.result(try jsonText(json(name, depth, summary, found, findings)))
        } else {
            findings.finish()
            tell(summary, found)
        }
        if !summary.isClean { throw ExitCode(ExitStatus.sourceFailed.rawValue) }
        if let digest, let expected = ContentDigest(digest), summary.isPartial || expected != found {
            throw ImageError(
                .mismatch,
                "has the digest \(found.map { Self.text($0, summary) } ?? "of nothing"), and should have \(expected)",
                file: image)
        }
    }

    private static func text(_ digest: ContentDigest, _ summary: VerifySummary) -> String {
        summary.isPartial ? partialDigest(digest) : digest.description
    }

    private func tell(_ summary: VerifySummary, _ found: ContentDigest?) {
        if !summary.lost.isEmpty {
            Console.result("\(summary.lost.byteCount) bytes of the disk are lost:")
            for line in UnreadableReport.lines(summary.lost) { Console.result(line) }
        }
        if !summary.unreadable.isEmpty, !work.quiet {
            Console.message("reimage: \(summary.unreadable.byteCount) bytes could not be read when the image was made:")
            for line in UnreadableReport.lines(summary.unreadable) { Console.message(line) }
        }
        if let found { Console.result(Self.text(found, summary)) }
        guard !work.quiet else { return }
        switch (summary.isClean, summary.lost.isEmpty) {
        case (true, _) where summary.digestIsClaim:
            Console.message(
                "reimage: \(image.printable): what is stored is whole; the digest is what the archive claims.")
        case (true, _): Console.message("reimage: \(image.printable): verified, \(summary.byteCount) bytes of disk.")
        case (false, true):
            Console.message("reimage: \(image.printable): damaged, but every byte of the disk is there; repair it.")
        case (false, false): Console.message("reimage: \(image.printable): damaged.")
        }
    }

    private func json(
        _ format: FormatName, _ depth: VerifyDepth, _ summary: VerifySummary, _ found: ContentDigest?,
        _ findings: FindingReport
    ) -> JSONFields {
        var fields = JSONFields()
        fields.add("filename", image)
        fields.add("format", format.text)
        fields.add("depth", depth.rawValue)
        fields.add("clean", summary.isClean)
        fields.add("virtual-size", summary.byteCount)
        if let found {
            fields.add(summary.isPartial ? "partial-digest" : "digest", Self.text(found, summary))
            fields.add("digest-proved", !summary.digestIsClaim)
        }
        fields.add("lost", UnreadableReport.json(summary.lost))
        fields.add("lost-bytes", summary.lost.byteCount)
        fields.add("unreadable", UnreadableReport.json(summary.unreadable))
        if summary.lost.leftOut + summary.unreadable.leftOut > 0 {
            fields.add("ranges-left-out", summary.lost.leftOut + summary.unreadable.leftOut)
        }
        fields.add("corruptions", summary.check.corruptions)
        fields.add("findings", findings.kept.map(Check.json))
        if findings.leftOut > 0 { fields.add("findings-left-out", findings.leftOut) }
        return fields
    }
}
