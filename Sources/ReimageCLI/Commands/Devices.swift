internal import ArgumentParser
internal import ReimageCore
internal import ReimageDisks
internal import ReimageSystem

/// `reimage devices`.
struct Devices: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "Lists the machine's disks: what they are, what they hold, what uses them.",
        discussion: """
            Nothing is written. The contents are found by reading the disks, which mostly takes root.

            EXAMPLES
              reimage devices
              reimage devices /dev/sdb          all that is known of one, and whether it may be overwritten
              reimage devices --json
            """)

    @Argument(help: ArgumentHelp("Only these, each in detail.", valueName: "DEVICE"))
    var devices: [String] = []

    @Flag(help: "List also loop devices without a file, empty card readers and memory disks.")
    var all = false

    @OptionGroup var report: ReportOptions

    func run() throws {
        let inventory = try DeviceInventory()
        let wanted = try devices.map { path throws(ImageError) in try inventory.device(at: path) }
        let reports = (devices.isEmpty ? inventory.listed(all: all) : wanted).map { device in
            DeviceReport(device, in: inventory, triesClaim: !devices.isEmpty)
        }
        if report.isJSON {
            Console.result(try jsonText(reports.map { $0.json() }))
        } else if devices.isEmpty {
            DeviceTable(reports).print()
        } else {
            for (index, report) in reports.enumerated() {
                if index > 0 { Console.result("") }
                report.print()
            }
        }
        noteProblems(reports)
    }

    /// Says what could not be read: in one line where it is all for want of permission.
    private func noteProblems(_ reports: [DeviceReport]) {
        let problems = reports.flatMap(\.survey.problems)
        let forbidden = problems.filter(\.isForbidden)
        if !forbidden.isEmpty {
            let names = forbidden.compactMap(\.file).joined(separator: ", ")
            Console.note(
                Note("the contents of \(names) cannot be read with this user's permissions; root mostly has them."))
        }
        for problem in problems where !problem.isForbidden { Console.note(Note(problem.description)) }
    }
}

/// A device with what was read of it, as people and scripts see it.
struct DeviceReport {
    let device: Device
    let survey: DeviceSurvey
    /// What the kernel says of each partition, by its name.
    let kernelPartitions: [String: Device]
    /// What came of trying to hold the device; `nil` where that was not tried.
    let claim: DeviceClaim?

    /// Looks at `device`.
    ///
    /// - Parameter triesClaim: opens it exclusively for a moment, to see whether a process holds it.
    init(_ device: Device, in inventory: DeviceInventory, triesClaim: Bool) {
        self.device = device
        let kernel = inventory.partitions(of: device)
        kernelPartitions = Dictionary(kernel.map { ($0.name, $0) }) { first, _ in first }
        survey = DeviceSurvey(device, kernel: kernel, tables: PartitionTableReader())
        // What is known to be used would only answer that it is busy.
        let isWorthTrying = triesClaim && device.byteCount > 0 && device.uses.isEmpty
        claim = isWorthTrying ? HostTree.claim(device.path) : nil
    }

    /// Why the device must not be overwritten.
    var refusals: [DeviceRefusal] {
        DeviceRules.refusals(for: device, DeviceRequest(.restore, isWholeDisk: false, claim: claim))
    }
}

extension ImageError {
    /// Whether it failed for want of permission.
    fileprivate var isForbidden: Bool { systemCode == 1 || systemCode == 13 }
}
