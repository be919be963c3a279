internal import ArgumentParser
internal import Reimage
internal import ReimageCore
internal import ReimageDisks
internal import ReimagePipeline
internal import ReimageSystem

/// `reimage capture`.
struct Capture: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "capture",
        abstract: "Copies a disk of this machine into an image of any format.",
        discussion: """
            The disk is only read, past every cache, and held so that nobody mounts it meanwhile. One that is in use is \
            refused, unless --live says that an image as after a crash will do. A sector that cannot be read is tried \
            again; then the capture stops, or goes on with zeros in its place (--on-read-error zero). What was lost is \
            kept in a rimg archive, else in a map file of ddrescue beside the image, and the exit status is 1.

            EXAMPLES
              reimage capture /dev/sdb backup.rimg
              reimage capture --verify /dev/sdb vm.qcow2
              reimage capture --on-read-error zero --retries 1 /dev/sdb rescue.rimg
              reimage capture --live /dev/nvme0n1 /mnt/usb/system.rimg
              reimage capture --resume /dev/sdb backup.rimg       go on after an interruption
            """)

    enum OnReadError: String, ExpressibleByArgument, CaseIterable {
        case stop, zero

        var choice: CaptureOptions.OnReadError { self == .stop ? .stop : .zero }
    }

    @Argument(help: "The disk or partition to read.")
    var device: String

    @Argument(help: "The image to write; '-' is standard output.")
    var image: String

    @Option(
        name: [.customShort("O"), .long],
        help: ArgumentHelp("The image's format; by its file name otherwise, else raw.", valueName: "FORMAT"))
    var targetFormat: FormatName?

    @Flag(help: "Read the disk although it is in use: the image is as after a crash.")
    var live = false

    @Option(help: ArgumentHelp("What to do about a sector that cannot be read.", valueName: "stop|zero"))
    var onReadError = OnReadError.stop

    @Option(
        help: ArgumentHelp(
            "How often such a sector is tried again; in large dead areas only samples are.", valueName: "N"))
    var retries = 3

    @Option(
        help: ArgumentHelp(
            "Where to write the map of what was read, in any case (default: IMAGE.map, where something was lost and the "
                + "format cannot keep it).", valueName: "FILE"))
    var map: String?

    @Flag(help: "Replace an existing image once the new one is complete.")
    var force = false

    @Flag(
        help:
            "Go on with a rimg archive whose making was interrupted; all of the disk that is in it is read again and compared."
    )
    var resume = false

    @Flag(help: "Read the image back past the page cache, compare it, and print the content digest.")
    var verify = false

    @Flag(name: .customLong("no-space-check"), help: "Start even where the image's file system may be too small.")
    var skipsSpaceCheck = false

    @Option(
        name: [.customShort("r"), .long], help: ArgumentHelp("The most data to copy in a second.", valueName: "SIZE"),
        transform: parseSize)
    var rateLimit: ByteSize?

    @Option(
        name: .customShort("o"),
        help: ArgumentHelp("Options of the image's format; 'convert -O FORMAT -o help' lists them.", valueName: "K=V,…")
    )
    var options: [String] = []

    @OptionGroup var compression: CompressionOptions
    @OptionGroup var report: ReportOptions
    @OptionGroup var work: WorkOptions

    func validate() throws {
        guard !(report.isJSON && image == Conversion.standardOutput) else {
            throw ValidationError("--json and the image both want standard output; write the image to a file.")
        }
        guard (0...1000).contains(retries) else { throw ValidationError("--retries takes 0 to 1000.") }
        guard rateLimit?.count != 0 else { throw ValidationError("-r takes a rate above 0.") }
    }

    func run() throws {
        let named = targetFormat ?? TargetOptions.format(ofFileName: image)
        let format = try FormatRegistry.standard.format(named: named).name
        let mapPath = map ?? (image == Conversion.standardOutput || format == "rimg" ? nil : image + ".map")
        try refuseExistingMap(mapPath)
        let files = [image, mapPath].compactMap { $0 }.filter { $0 != Conversion.standardOutput }
        let capture = try DeviceCapture(
            device, live: live, files: files.map { (.image, $0) },
            options: CaptureOptions(onReadError: onReadError.choice, retries: retries),
            cancellation: Signals.cancellation,
            inventory: try DeviceInventory())
        if !work.quiet { for note in capture.notes { Console.note(note) } }
        let summary = try work.run(bytesPerSecond: rateLimit?.count) { job in
            var conversion = Conversion(
                to: image, format: format, writerOptions: try WriterOptionText.parse(options),
                placing: force ? .replace : .create, verifies: verify, checksSpace: !skipsSpaceCheck, options: job)
            conversion.compression = try compression.request(for: format)
            conversion.stamp = try SourceDate.stamp()
            conversion.origin = capture.origin
            conversion.resuming = resume ? .prove : nil
            conversion.note = { if !work.quiet { Console.note($0) } }
            return try conversion.run(capture.disk, name: capture.device.path)
        }
        let writtenMap = try writeMap(of: capture.disk, mapPath)
        try CaptureReport(
            device: capture.device, disk: capture.disk, image: image, format: format, mapPath: writtenMap,
            summary: summary, isVerified: verify, isQuiet: work.quiet
        ).tell(asJSON: report.isJSON)
    }

    /// A map belongs to its image: another image's is not replaced by the way.
    private func refuseExistingMap(_ path: String?) throws {
        guard let path, !force, try FileKind(path: path, orThrow: .targetFailed) != nil else { return }
        throw ImageError(
            .refused, "exists, and is where the map of the image would be", file: path,
            advice: "Choose another name with --map, or pass --force to replace it.")
    }

    /// Writes the map where it is wanted or needed, and gives its path.
    private func writeMap(of disk: CaptureDisk, _ path: String?) throws(ImageError) -> String? {
        let lost = disk.lost
        guard let path, map != nil || !lost.isEmpty else { return nil }
        let text = RescueMap.text(byteCount: disk.byteCount, lost: lost)
        let file = try PartialFile(for: path, existing: force ? .replace : .refuse)
        do throws(ImageError) {
            try Array(text.utf8).withBytes { (bytes) throws(ImageError) in try file.sink.write(bytes, at: .zero) }
            try file.sink.sync()
            try file.commit()
        } catch {
            file.discard()
            throw error.inFile(path)
        }
        return path
    }
}
