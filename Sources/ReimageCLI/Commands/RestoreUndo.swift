internal import ReimageCore
internal import ReimageDisks
internal import ReimageSystem

/// `reimage restore --undo`: puts back the ends and tables that a restore's journal kept.
struct RestoreUndo {
    let journal: String
    let command: Restore

    func run() throws {
        let store: FileStore
        do throws(ImageError) { store = try FileStore(path: journal) } catch { throw error.missingJournal }
        let contents = try RestoreJournal.Contents(store)
        guard let path = command.files.first ?? contents.facts.devicePath else {
            throw ImageError(.damaged, "does not tell which disk it belongs to", file: journal)
        }
        let kind = try FileKind(path: path, orThrow: .targetFailed)
        if let refusal = DeviceRules.refusal(forPath: path, kind: kind) { throw ImageError([refusal], path: path) }
        let inventory = try DeviceInventory()
        let report = DeviceReport(try inventory.device(at: path), in: inventory, triesClaim: true)
        let request = DeviceRequest(
            .restore, isWholeDisk: false, files: [inventory.file(.journal, at: journal)], claim: report.claim)
        var refusals = DeviceRules.refusals(for: report.device, request)
        if let other = contents.facts.refusal(for: report.device) { refusals.append(other) }
        guard refusals.isEmpty else { throw ImageError(refusals, path: path) }
        if command.dryRun {
            return Console.result("\(path): its old ends and tables would be put back from \(journal)")
        }
        var confirmation = Confirmation(command.consent, mayAsk: true)
        confirmation.consequence = "The tables that it had before the restore will be put back."
        try confirmation.check([report])
        let sink = try DeviceSink(path: path, expecting: report.device.expectation)
        let count = try contents.undo(onto: sink, from: store)
        if let note = sink.rereadPartitions(), !command.work.quiet { Console.note(note) }
        if command.report.isJSON {
            var fields = JSONFields()
            fields.add("device", report.device.identityJSON)
            fields.add("journal", journal)
            fields.add("restored-bytes", count)
            return Console.result(try jsonText(fields))
        }
        Console.result("\(path)  put back and verified  \(humanSize(count))")
        guard !command.work.quiet else { return }
        Console.message("reimage: what lay between its ends is as the restore left it.")
    }
}
