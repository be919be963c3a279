internal import ArgumentParser
internal import Reimage
internal import ReimageCodecs
internal import ReimageCore
internal import ReimagePipeline

/// `reimage digest`.
struct Digest: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "digest",
        abstract: "Prints the content digest of a disk: equal for every format that holds the same bytes.",
        discussion: """
            Holes are not read. With several images each line names its image. Of an archive (rimg) the index tells the \
            digest, and no data is read; --read proves it. --json says so with "from-index".

            EXAMPLES
              reimage digest vm.qcow2
              reimage digest vm.qcow2 disk.raw
              reimage digest -l before-upgrade vm.qcow2
            """)

    @Argument(help: "The images; '-' is standard input.")
    var images: [String]

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The images' format; found out otherwise.", valueName: "FORMAT"))
    var format: FormatName?

    @Option(
        name: [.customShort("l"), .long], help: ArgumentHelp("The internal snapshot to read.", valueName: "NAME|ID"))
    var snapshot: String?

    @Flag(help: "Read an archive's data, instead of believing its index.")
    var read = false

    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions
    @OptionGroup var work: WorkOptions

    func run() throws {
        var rows: [JSONFields] = []
        for image in images {
            let found = try digest(of: image)
            let text = found.isPartial ? partialDigest(found.digest) : found.digest.description
            if report.isJSON {
                var row = JSONFields()
                row.add("filename", image)
                row.add(found.isPartial ? "partial-digest" : "digest", text)
                // What was read proves itself; an index is believed.
                if found.isFromIndex { row.add("from-index", true) }
                rows.append(row)
            } else {
                Console.result(images.count == 1 ? text : "\(text)  \(image.printable)")
            }
        }
        if report.isJSON { Console.result(try jsonText(rows)) }
    }

    private struct Found {
        var digest: ContentDigest
        var isPartial = false
        var isFromIndex = false
    }

    private func digest(of image: String) throws -> Found {
        let opened = try opening.opener(isQuiet: work.quiet).open(image, format: format, snapshot: snapshot)
        return try work.run { options in
            do throws(ImageError) {
                let content = try opened.image.content()
                if !read, case .random(let disk as any DigestedDisk) = content, disk.isWhole {
                    if !work.quiet, !report.isJSON {
                        Console.note(Note("\(image): the digest is what the archive's index tells; --read proves it."))
                    }
                    return Found(digest: disk.contentDigest, isFromIndex: true)
                }
                return Found(digest: try content.digest(options), isPartial: opened.image.isPartial)
            } catch {
                throw error.inFile(image)
            }
        }
    }
}
