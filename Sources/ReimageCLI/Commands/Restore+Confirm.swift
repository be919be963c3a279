internal import ReimageCore
internal import ReimageDisks

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

extension RestorePreparation {
    /// Makes sure that every disk is one that is meant.
    /// - Throws: `.refused`.
    func confirm(_ consent: ConsentOptions) throws {
        try Confirmation(consent, mayAsk: imagePath != "-").check(targets.map(\.report))
    }
}

/// Asks, or looks at what was passed, whether disks are those that are meant to be overwritten.
struct Confirmation {
    private let consent: ConsentOptions
    private let mayAsk: Bool
    /// What happens to the disk, in words.
    var consequence = "Everything on it will be lost."

    /// - Parameter mayAsk: not where the image comes from the same place as the answer would.
    init(_ consent: ConsentOptions, mayAsk: Bool) {
        self.consent = consent
        self.mayAsk = mayAsk
    }

    /// - Throws: `.refused` for the first disk that nobody confirmed, and for a confirmation of a disk that is not there.
    func check(_ reports: [DeviceReport]) throws {
        for text in consent.confirm {
            let confirmsAny = reports.contains { DeviceConfirmation($0.device).refusal(for: .text(text)) == nil }
            guard confirmsAny else {
                throw ImageError(
                    .refused, "--confirm '\(text)' identifies none of the disks to be overwritten",
                    advice: reports.map { "For \($0.device.path), \(DeviceConfirmation($0.device).question)." }
                        .joined(separator: "\n"))
            }
        }
        for report in reports { try check(report) }
    }

    private func check(_ report: DeviceReport) throws {
        let confirmation = DeviceConfirmation(report.device)
        if consent.confirm.contains(where: { confirmation.refusal(for: .text($0)) == nil }) { return }
        var refusal = confirmation.refusal(for: consent.yes ? .yes : .nothing)
        if refusal != nil, consent.confirm.isEmpty, mayAsk, isatty(0) == 1, Console.isTerminal {
            refusal = confirmation.refusal(for: .text(try ask(report, confirmation)))
        }
        if let refusal { throw ImageError([refusal], path: report.device.path) }
    }

    private func ask(_ report: DeviceReport, _ confirmation: DeviceConfirmation) throws -> String {
        for line in report.summary { Console.message(line) }
        Console.write("\(consequence) To go on, \(confirmation.question): ", to: 2)
        // A thread of its own takes the signals, so that the wait for an answer must look whether one came.
        var request = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&request, 1, 100) <= 0 {
            if Signals.cancellation.isCancelled {
                Console.message("")
                throw ImageError(.cancelled, "nothing was written")
            }
        }
        return (readLine() ?? "").filter { !$0.isNewline }
    }
}

extension DeviceReport {
    /// What the disk is and holds, in a few lines.
    var summary: [String] {
        var lines = ["\(device.path): \(humanSize(device.byteCount)) (\(device.byteCount) bytes)"]
        if let model = device.fullModel { lines.append("  model:  \(model.printable)") }
        if let serial = device.serial { lines.append("  serial: \(serial.printable)") }
        if let file = device.backingFile { lines.append("  file:   \(file.printable)") }
        lines += destroyed.map { "  holds:  \($0)" }
        return lines
    }

    /// What will be lost, a line for each partition.
    var destroyed: [String] {
        let parts = survey.partitions.map { part in
            let name = part.entry.name.map { " '\($0)'" } ?? ""
            let contents = part.signatures.map(\.full).joined(separator: "; ")
            return "partition \(part.entry.number)\(name), \(humanSize(part.entry.range.count))"
                + (contents.isEmpty ? "" : ": \(contents)")
        }
        return (survey.signatures.map(\.full) + parts).map(\.printable)
    }
}
