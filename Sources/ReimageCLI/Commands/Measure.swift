internal import ArgumentParser
internal import Reimage
internal import ReimageCore
internal import ReimagePipeline

/// `reimage measure`.
struct Measure: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "measure",
        abstract: "Tells how large an image will be, without writing it.",
        discussion: """
            The source is read, since zeros within its data take no space: the required size is exact. With \
            --extents-only it is the most that can be needed, and known at once. What -c saves is not known \
            beforehand, nor what is like the image below (-b): the size is then the most that can be needed.

            EXAMPLES
              reimage measure -O qcow2 disk.raw
              reimage measure -O qcow2 --size 100G
            """)

    @Argument(help: "The image that would be the source.")
    var image: String?

    @Option(help: ArgumentHelp("Measure an empty disk of this size instead.", valueName: "SIZE"), transform: parseSize)
    var size: ByteSize?

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The source's format; found out otherwise.", valueName: "FORMAT"))
    var sourceFormat: FormatName?

    @Option(
        name: [.customShort("O"), .long], help: ArgumentHelp("The format of the target (raw).", valueName: "FORMAT"))
    var targetFormat = FormatName.raw

    @Option(
        name: [.customShort("l"), .long],
        help: ArgumentHelp("The internal snapshot that would be read.", valueName: "NAME|ID"))
    var snapshot: String?

    @Flag(help: "Do not read the data; the result is then the most that can be needed.")
    var extentsOnly = false

    @Flag(name: .customShort("U"), help: .hidden)
    var forceShare = false

    @OptionGroup var layout: TargetOptions
    @OptionGroup var compression: CompressionOptions
    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions
    @OptionGroup var work: WorkOptions

    func validate() throws {
        guard layout.asksForHelp || (image == nil) != (size == nil) else {
            throw ValidationError("measure takes an image, or --size.")
        }
    }

    func run() throws {
        let format = try FormatRegistry.standard.writableFormat(named: targetFormat)
        if layout.asksForHelp { return try TargetOptions.printHelp(for: format.name) }
        _ = try compression.request(for: format.name)
        let options = try layout.writerOptions(for: format.name)
        let backing = try layout.reference(in: format.name)
        let content: DiskContent
        if let image {
            let opened = try opening.opener(isQuiet: work.quiet).open(
                image, format: sourceFormat, snapshot: snapshot.map(Convert.snapshotName))
            content = .random(try opened.disk(for: "measuring"))
        } else {
            content = .random(EmptyDisk(byteCount: size?.count ?? 0))
        }
        let stamp = try layout.stamp()
        let measure = try work.run { job in
            try Measurement(content, readsData: !extentsOnly, isOverBacking: backing != nil, options: job) {
                (plan) throws(ImageError) in
                var plan = plan
                plan.options = options
                plan.backing = backing
                plan.stamp = stamp
                // The image below is not opened: whatever its number is, it takes as much room.
                plan.backingFacts = backing.map {
                    BackingFacts(path: $0.name, uniqueID: [UInt8](repeating: 0, count: 16))
                }
                return try format.makeWriter(plan)
            }
        }
        print(measure, isBound: compression.compress || extentsOnly || backing != nil)
    }

    private func print(_ measure: Measurement, isBound: Bool) {
        if report.isJSON {
            var fields = JSONFields()
            fields.add("required", measure.requiredByteCount)
            fields.add("fully-allocated", measure.fullyAllocatedByteCount)
            fields.add("stored", measure.storedByteCount)
            fields.add("is-bound", isBound)
            if let text = try? jsonText(fields) { Console.result(text) }
        } else {
            Console.result("required size: \(measure.requiredByteCount)")
            Console.result("fully allocated size: \(measure.fullyAllocatedByteCount)")
        }
    }
}
