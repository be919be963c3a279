internal import ReimageCore
internal import ReimageDisks
internal import ReimageSystem

/// The list of devices for people, no wider than 80 columns: what does not fit is cut, and the detailed view of one
/// device shows it whole.
struct DeviceTable {
    private static let width = 80
    private static let heads = ["Device", "Size", "Type", "Model or label", "Use"]
    private let rows: [[String]]

    init(_ reports: [DeviceReport]) {
        rows = reports.flatMap { report in [Self.row(report)] + report.survey.partitions.map { Self.row($0, report) } }
    }

    func print() {
        for line in lines() { Console.result(line) }
    }

    /// The list, line by line.
    func lines() -> [String] {
        let all = [Self.heads] + rows
        var widths = (0..<5).map { column in all.map { $0[column].count }.max() ?? 0 }
        // Path and size are never cut. Model and use share what is left; each may have what the other does not need.
        let rest = max(Self.width - widths[0] - widths[1] - widths[2] - 8, 20)
        let half = rest / 2
        widths[3] = min(widths[3], max(half, rest - widths[4]))
        widths[4] = rest - widths[3]
        return all.map { row in
            let cells = zip(row, widths).map { Self.padded(Self.cut($0, to: $1), to: $1) }
            return cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed().reduce(into: "") {
                $0.append($1)
            }
        }
    }

    private static func row(_ report: DeviceReport) -> [String] {
        let device = report.device
        let model = device.fullModel ?? device.label ?? device.backingFile
        let contents = report.survey.signatures.map(\.short).joined(separator: "; ")
        let title = [model, contents.isEmpty ? nil : contents].compactMap { $0 }.joined(separator: ": ")
        var use = device.isSystemDisk ? ["system disk"] : []
        let isShownBelow = !device.partitions.isEmpty
        if isShownBelow && use.isEmpty && !device.uses.isEmpty { use.append("in use") }
        if !isShownBelow { use += shortUses(device.uses) }
        if device.isReadOnly { use.append("read-only") }
        if device.isRemovable { use.append("removable") }
        if device.uses.isEmpty { use.insert(device.byteCount == 0 ? "empty" : "free", at: 0) }
        let size = device.byteCount == 0 ? "-" : humanSize(device.byteCount)
        let type = device.bus == .virtual ? device.kind.rawValue : device.bus.rawValue
        return [device.path, size, type, title.printable, use.joined(separator: ", ").printable]
    }

    private static func row(_ partition: DeviceSurvey.Partition, _ report: DeviceReport) -> [String] {
        let kernel = partition.kernelName.flatMap { report.kernelPartitions[$0] }
        let types = partition.signatures.map(\.kind.rawValue).joined(separator: ", ")
        let label = partition.signatures.compactMap(\.label).first ?? partition.entry.name ?? ""
        return [
            "  " + (kernel?.path ?? "partition \(partition.entry.number)"), humanSize(partition.entry.range.count),
            types.isEmpty ? "-" : types, label.printable,
            shortUses(kernel?.uses ?? []).joined(separator: ", ").printable,
        ]
    }

    /// The uses in a word each: mount points, `swap`, and what is built on the device.
    private static func shortUses(_ uses: [DeviceUse]) -> [String] {
        let words = uses.flatMap { use -> [String] in
            switch use.kind {
            case .mounted(let places, _): places
            case .open(let fileSystem): ["open \(fileSystem)"]
            case .swap: ["swap"]
            case .held(let holder): [holder.what]
            }
        }
        return words.reduce(into: []) { unique, word in if !unique.contains(word) { unique.append(word) } }
    }

    private static func padded(_ text: String, to width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    private static func cut(_ text: String, to width: Int) -> String {
        text.count <= width ? text : text.prefix(max(width - 1, 0)) + "…"
    }
}

extension ContentSignature {
    /// The kind, and the label where there is one.
    var short: String { [kind.rawValue, label.map { "'\($0)'" }].compactMap { $0 }.joined(separator: " ") }

    /// All that is known, in a line.
    var full: String {
        let shown = [version.map { "version \($0)" }, uuid.map { "UUID \($0)" }].compactMap { $0 }
        return ([short] + shown).joined(separator: ", ")
    }
}

extension DeviceReport {
    /// Prints all that people may want to know of one device.
    func print() {
        line("device", device.path)
        line("kind", "\(device.kind.rawValue), \(device.bus.rawValue)")
        for path in device.stablePaths { line("stable id", path) }
        line("size", device.byteCount == 0 ? "no medium" : size(device.byteCount))
        line("model", device.fullModel)
        line("serial", device.serial)
        line("world-wide name", device.worldWideName)
        line("name", device.label)
        line("file", device.backingFile)
        if let place = device.place {
            line("partition", "\(place.number) of /dev/\(place.disk), from byte \(place.start)")
        }
        line("sectors", "\(device.logicalSector) bytes logical, \(device.physicalSector) physical")
        let marks = [
            (device.isRemovable, "removable"), (device.isReadOnly, "read-only"), (device.isRotational, "rotational"),
            (device.isZoned, "zoned"),
        ]
        line("medium", marks.filter(\.0).map(\.1).joined(separator: ", "))
        line("discard", discardText)
        for signature in survey.signatures { line("contents", signature.full) }
        line("partition table", survey.tableKind)
        if !survey.partitions.isEmpty { Console.result("partitions:") }
        for partition in survey.partitions { Console.result("    " + text(partition).printable) }
        for use in device.uses { line("used by", use.description) }
        if case .unknown(let reason) = claim { line("held by a process", "not known: \(reason)") }
        for refusal in refusals { line("not to be overwritten", "\(refusal.message). \(refusal.advice)") }
        if refusals.isEmpty { line("to confirm overwriting", DeviceConfirmation(device).question) }
    }

    private var discardText: String {
        let discard = device.discard
        guard discard.maximumByteCount > 0 else { return "no" }
        let zeroes = discard.zeroesData ? "reads as zeros then" : "not promised to read as zeros"
        return "in units of \(max(discard.granularity, 512)) bytes, \(zeroes)"
    }

    private func text(_ partition: DeviceSurvey.Partition) -> String {
        let kernel = partition.kernelName.flatMap { kernelPartitions[$0] }
        let entry = partition.entry
        let name = kernel.map { $0.path } ?? "partition \(entry.number)"
        let table = [entry.type, entry.name.map { "'\($0)'" }].compactMap { $0 }
        let uses = (kernel?.uses ?? []).map(\.description)
        let facts = ["\(humanSize(entry.range.count)) from byte \(entry.range.start)"] + table
        return (["\(name):"] + [(facts + partition.signatures.map(\.full) + uses).joined(separator: "; ")])
            .joined(separator: " ")
    }

    private func line(_ label: String, _ value: String?) {
        guard let value, !value.isEmpty else { return }
        Console.result("\(label): \(value.printable)")
    }

    private func size(_ count: UInt64) -> String { "\(humanSize(count)) (\(count) bytes)" }
}
