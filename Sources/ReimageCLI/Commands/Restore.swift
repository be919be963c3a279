internal import ArgumentParser
internal import Reimage
internal import ReimageCore
internal import ReimageDisks
internal import ReimagePipeline
internal import ReimageSystem

/// `reimage restore`.
struct Restore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Puts an image on one or more disks, and proves it by reading them back.",
        discussion: """
            Everything on the disks is replaced. A disk in use is refused, and one is only overwritten once it was \
            confirmed: on a terminal by typing the end of its serial number, in a script with --confirm. The old tables \
            are kept in a journal, with which --undo puts them back. The new tables are written last, so a disk that is \
            not complete is not taken for one. Where the disk has another size or other sectors than the image, the \
            partition table is put right, and every change is reported. '-' is standard input.

            EXAMPLES
              reimage restore vm.qcow2 /dev/sdb
              reimage restore --dry-run vm.qcow2 /dev/sdb         what would be destroyed and written, and how long
              reimage restore --confirm S3Z9NB0K disk.rimg /dev/sdb
              reimage restore stick.img.xz /dev/sdb /dev/sdc /dev/sdd
              reimage restore --grow-last --new-ids vm.qcow2 /dev/sdb
              reimage restore --delta disk.rimg /dev/sdb          write only what differs
              reimage restore --resume FILE disk.rimg /dev/sdb    go on after an interruption
              reimage restore --undo FILE                         the old tables, as the journal kept them
            """)

    @Argument(help: ArgumentHelp("The image to read, and the disks to write.", valueName: "IMAGE DEVICE"))
    var files: [String] = []

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The image's format; found out otherwise.", valueName: "FORMAT"))
    var sourceFormat: FormatName?

    @Option(
        name: [.customShort("l"), .long],
        help: ArgumentHelp("The internal snapshot to read instead of the active state.", valueName: "NAME|ID"))
    var snapshot: String?

    @Flag(help: "Read the disks first, and write only what differs.")
    var delta = false

    @Flag(name: .customLong("no-verify"), help: "Do not read the disks back.")
    var skipsVerification = false

    @Flag(help: "Say what would be destroyed, written and proved, and how long it takes; write nothing.")
    var dryRun = false

    @Flag(help: "Let a whole disk's image go onto a partition.")
    var allowPartition = false

    @OptionGroup var fixUps: FixUpFlags
    @OptionGroup var consent: ConsentOptions
    @OptionGroup var records: RecordOptions
    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions
    @OptionGroup var work: WorkOptions

    func validate() throws {
        if records.undo != nil {
            guard files.count <= 1, records.resume == nil else {
                throw ValidationError("--undo takes a journal, and the disk if it has another name now.")
            }
            return
        }
        guard files.count >= 2 else { throw ValidationError("restore takes an image and at least one device.") }
        guard records.resume == nil || files.count == 2 else {
            throw ValidationError("--resume goes on with one device; run it once for each.")
        }
        guard records.resume == nil || !records.skipsJournal else {
            throw ValidationError("--resume needs its journal; leave --no-journal away.")
        }
    }

    func run() throws {
        if let journal = records.undo { return try RestoreUndo(journal: journal, command: self).run() }
        let preparation = try RestorePreparation(self)
        if dryRun { return try RestorePlanReport(preparation, self).print() }
        if !work.quiet {
            for note in preparation.targets.flatMap({ $0.plan?.warnings ?? [] }) { Console.note(note) }
        }
        try preparation.confirm(consent)
        // The disks are held before anything is made that only makes sense once they are.
        let session = try RestoreSession(preparation, self)
        try session.run(try preparation.openRecords()).tell()
    }
}

/// How the user shows which disks are meant.
struct ConsentOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The end of a disk's serial number or stable id, or its size where it has no serial; once for each disk.",
            valueName: "SERIAL|ID"))
    var confirm: [String] = []

    @Flag(help: "Do not ask; enough only for removable media and loop devices.")
    var yes = false
}

/// What is written down besides the disks.
struct RecordOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Write what was done, as JSON, into a new file.", valueName: "FILE"))
    var receipt: String?

    @Option(
        help: ArgumentHelp(
            "Where the old tables and the progress are kept (default: beside the receipt, else in the state folder).",
            valueName: "FILE"))
    var journal: String?

    @Flag(name: .customLong("no-journal"), help: "Keep nothing; then there is no way back and no going on.")
    var skipsJournal = false

    @Option(help: ArgumentHelp("Go on with the interrupted restore that this journal tells of.", valueName: "JOURNAL"))
    var resume: String?

    @Option(help: ArgumentHelp("Put back the tables that this journal kept.", valueName: "JOURNAL"))
    var undo: String?

    @Option(help: .hidden, transform: parseSize)
    var checkpoint = ByteSize(256 << 20)

    func validate() throws {
        guard journal == nil || (!skipsJournal && resume == nil) else {
            throw ValidationError("--journal names a new journal; it does not go with --no-journal or --resume.")
        }
    }
}
