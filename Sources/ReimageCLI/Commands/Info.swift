internal import ArgumentParser
internal import Reimage
internal import ReimageCore

/// `reimage info`.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Shows what an image says of itself, without following its references.",
        discussion: """
            EXAMPLES
              reimage info vm.qcow2
              reimage info --json vm.qcow2
            """)

    @Argument(help: "The image.")
    var image: String

    @Option(
        name: [.customShort("f"), .long],
        help: ArgumentHelp("The image's format; found out otherwise.", valueName: "FORMAT"))
    var format: FormatName?

    @Flag(name: .customShort("U"), help: .hidden)
    var forceShare = false

    @OptionGroup var report: ReportOptions
    @OptionGroup var opening: OpeningOptions

    func run() throws {
        var request = InfoRequest(image)
        request.format = format
        request.isJSON = report.isJSON
        // What the format would say in passing is part of the description here.
        request.opener = opening.opener(isQuiet: true)
        try request.run()
    }
}

/// An image's description as people and scripts read it.
struct InfoText {
    let name: String
    let format: FormatName
    let info: ImageInfo
    let isGuess: Bool
    /// The bytes of the medium that the file takes, where that is known.
    var storedSize: UInt64?

    /// The fields of `qemu-img info --output=json` by their names, and more.
    func json() -> JSONFields {
        var fields = JSONFields()
        fields.add("filename", name)
        fields.add("format", format.text)
        fields.add("virtual-size", info.virtualSize)
        fields.add("actual-size", storedSize)
        fields.add("cluster-size", info.clusterSize)
        fields.add("dirty-flag", info.isDirty)
        if info.isEncrypted { fields.add("encrypted", true) }
        if isGuess { fields.add("format-guessed", true) }
        if let backing = info.backing {
            fields.add("backing-filename", backing.name)
            fields.add("full-backing-filename", fullName(backing.name))
            fields.add("backing-filename-format", backing.format?.text)
        }
        if !info.snapshots.isEmpty { fields.add("snapshots", info.snapshots.map(json)) }
        if !info.specific.isEmpty {
            var specific = JSONFields()
            specific.add("type", format.text)
            specific.add("data", InfoValue.fields(info.specific))
            fields.add("format-specific", specific)
        }
        if !info.remarks.isEmpty { fields.add("remarks", info.remarks) }
        return fields
    }

    private func json(_ snapshot: ImageInfo.Snapshot) -> JSONFields {
        var fields = JSONFields()
        fields.add("id", snapshot.id)
        fields.add("name", snapshot.name)
        fields.add("vm-state-size", snapshot.vmStateSize)
        fields.add("date-sec", snapshot.dateSeconds)
        fields.add("date-nsec", snapshot.dateNanoseconds)
        fields.add("vm-clock-sec", snapshot.vmClockNanoseconds / 1_000_000_000)
        fields.add("vm-clock-nsec", snapshot.vmClockNanoseconds % 1_000_000_000)
        fields.add("virtual-size", snapshot.byteCount)
        fields.add("icount", snapshot.instructionCount)
        return fields
    }

    private func fullName(_ backing: String) -> String {
        guard !backing.hasPrefix("/"), let slash = name.lastIndex(of: "/") else { return backing }
        return name[...slash] + backing
    }

    /// Prints the description for people.
    func print() {
        line("image", name)
        line("file format", isGuess ? "\(format) (a guess: no known format was found)" : format.text)
        line("virtual size", info.virtualSize.map(size) ?? "unknown until it is read to its end")
        line("disk size", storedSize.map(humanSize) ?? "unknown")
        if let cluster = info.clusterSize { line("cluster size", String(cluster)) }
        if info.isEncrypted { line("encrypted", "yes") }
        if info.isDirty { line("cleanly shut down", "no") }
        if let backing = info.backing {
            line(backing.role, backing.name)
            line("backing format", backing.format?.text ?? "not declared")
        }
        if !info.snapshots.isEmpty {
            line("snapshots", "")
            for snapshot in info.snapshots {
                let vm = snapshot.vmStateSize > 0 ? ", machine state \(humanSize(snapshot.vmStateSize))" : ""
                let disk = snapshot.byteCount.map { ", disk \(humanSize($0))" } ?? ""
                Console.result("    \(snapshot.id.printable)  \(snapshot.name.printable)\(disk)\(vm)")
            }
        }
        if !info.specific.isEmpty { line("format specific", "") }
        for field in info.specific { print(field) }
        for remark in info.remarks { line("remark", remark) }
    }

    /// Prints a field of the format's own; a list of things with fields takes a line for each.
    private func print(_ field: InfoField) {
        guard case .list(let values) = field.value, case .fields = values.first else {
            Console.result("    \(field.name): \(text(field.value))")
            return
        }
        Console.result("    \(field.name):")
        for value in values { Console.result("        \(text(value))") }
    }

    private func line(_ label: String, _ value: String) {
        Console.result(value.isEmpty ? "\(label):" : "\(label): \(value.printable)")
    }

    private func size(_ count: UInt64) -> String { "\(humanSize(count)) (\(count) bytes)" }

    private func percent(_ hundredths: UInt64) -> String {
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest)"
    }

    private func text(_ value: InfoValue) -> String {
        switch value {
        case .text(let text): text.printable
        case .number(let number): String(number)
        case .hundredths(let count): percent(count)
        case .flag(let flag): String(flag)
        case .list(let values): values.isEmpty ? "none" : values.map(text).joined(separator: "; ")
        case .fields(let fields): fields.map { "\($0.name) \(text($0.value))" }.joined(separator: ", ")
        }
    }
}
