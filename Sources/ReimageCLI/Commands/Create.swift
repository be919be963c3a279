internal import ArgumentParser
internal import Reimage
internal import ReimageCore
internal import ReimagePipeline

/// `reimage create`.
struct Create: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Makes a new, empty disk image.",
        discussion: """
            With -b the disk reads as the image below until it is written to, and is as large if no size is given.

            EXAMPLES
              reimage create -f qcow2 vm.qcow2 20G
              reimage create -f qcow2 -o preallocation=metadata,cluster_size=128k vm.qcow2 20G
              reimage create -f qcow2 -b base.qcow2 -F qcow2 overlay.qcow2
              reimage create -f vhd -b base.vhd -F vhd child.vhd
              reimage create disk.raw 8G
            """)

    @Argument(help: "The file to make.")
    var file: String?

    @Argument(help: ArgumentHelp("The size of the disk.", valueName: "SIZE"), transform: parseSize)
    var size: ByteSize?

    @Option(
        name: [.customShort("f"), .customShort("O"), .long],
        help: ArgumentHelp("The format; by the file's name otherwise, else raw.", valueName: "FORMAT"))
    var format: FormatName?

    @Flag(help: "Replace an existing file.")
    var force = false

    @Flag(name: [.short, .long], help: "Say nothing but errors.")
    var quiet = false

    @Flag(name: .customLong("no-space-check"), help: "Reserve space even where the file system may be too small.")
    var skipsSpaceCheck = false

    @OptionGroup var layout: TargetOptions
    @OptionGroup var opening: OpeningOptions

    func validate() throws {
        guard !layout.asksForHelp else { return }
        guard file != nil else { throw ValidationError("create takes a file and a size.") }
        guard try size != nil || layout.namesBacking() else {
            throw ValidationError("create takes a size, or -b with an image to be as large as.")
        }
    }

    func run() throws {
        let file = file ?? ""
        let named = format ?? TargetOptions.format(ofFileName: file)
        let format = try FormatRegistry.standard.format(named: named).name
        if layout.asksForHelp { return try TargetOptions.printHelp(for: format) }
        var conversion = Conversion(
            to: file, format: format, writerOptions: try layout.writerOptions(for: format),
            placing: force ? .replace : .create,
            checksSpace: !skipsSpaceCheck, options: JobOptions(cancellation: Signals.cancellation))
        let opener = opening.opener(isQuiet: quiet)
        conversion.backing = try layout.reference(in: format)
        conversion.references = opener.references
        conversion.readerOptions = opener.options
        conversion.parentDirectories = opener.parentDirectories
        conversion.stamp = try layout.stamp()
        conversion.note = opener.note
        let byteCount = try conversion.create(byteCount: size?.count)
        if !quiet { Console.result("\(file): \(format), a disk of \(humanSize(byteCount)) (\(byteCount) bytes).") }
    }
}
