internal import ArgumentParser
internal import Reimage
internal import ReimageCore
internal import ReimageDisks
internal import ReimagePipeline
internal import ReimageSystem

/// One restore from the opening of its disks to their closing.
struct RestoreSession {
    private let preparation: RestorePreparation
    private let command: Restore
    private let sinks: [DeviceSink]

    /// Opens every disk exclusively; none is changed where one of them cannot be had.
    init(_ preparation: RestorePreparation, _ command: Restore) throws(ImageError) {
        self.preparation = preparation
        self.command = command
        sinks = try preparation.targets.map { (target) throws(ImageError) in
            try DeviceSink(path: target.path, expecting: target.device.expectation)
        }
    }

    /// Does the work; what goes wrong with a disk is in the outcome.
    func run(_ records: RestoreRecords) throws -> RestoreOutcome {
        let started = ImageStamp.now().seconds
        let plans = Monitor(preparation.targets.map(\.plan))
        let saved = sinks.map(Self.outlyingTables)
        let summary = try command.work.run { options in
            let targets = sinks.enumerated().map { index, sink in
                let plan = preparation.targets[index].plan
                return RestoreTarget(
                    sink, overlay: plan.map { DiskOverlay($0) } ?? DiskOverlay(), byteCount: plan?.contentByteCount,
                    journal: records.journals[index], saved: saved[index],
                    progress: preparation.resumed?.contents.progress)
            }
            var job = RestoreJob(preparation.content, to: targets, options: options)
            job.verifies = !command.skipsVerification
            job.isDelta = command.delta
            job.makesDigest = command.records.receipt != nil
            job.checkpoint = command.records.checkpoint.count
            job.planner = { (disk, index) throws(ImageError) in
                let plan = try preparation.plan(disk, for: preparation.targets[index])
                plans.update { $0[index] = plan }
                return DiskOverlay(plan)
            }
            return try job.run()
        }
        var notes: [Note] = []
        for (sink, result) in zip(sinks, summary.results) where result.error == nil {
            if let note = sink.rereadPartitions() { notes.append(note) }
        }
        let outcome = RestoreOutcome(
            preparation: preparation, summary: summary, plans: plans.withLock { $0 },
            discarded: sinks.map(\.discardedByteCount), notes: notes, started: started, ended: ImageStamp.now().seconds,
            isQuiet: command.work.quiet, isJSON: command.report.isJSON)
        if let receipt = records.receipt { try outcome.write(to: receipt) }
        return outcome
    }
}

extension RestoreSession {
    /// Where the old disk has tables apart from its ends; what cannot be read there is no table.
    fileprivate static func outlyingTables(_ sink: DeviceSink) -> [HostRange] {
        let table = try? PartitionTable.read(sink, sectorSize: sink.sectorSize)
        return table?.outlyingRanges(onDisk: sink.byteCount) ?? []
    }
}

/// What a restore has come to.
struct RestoreOutcome {
    let preparation: RestorePreparation
    let summary: RestoreSummary
    /// What was put right in the image, for each disk.
    let plans: [FixUpPlan?]
    /// The bytes that were discarded, for each disk.
    let discarded: [UInt64]
    let notes: [Note]
    /// Seconds since 1970.
    let started: Int64
    let ended: Int64
    let isQuiet: Bool
    let isJSON: Bool

    /// Tells people or scripts, and ends with the status of the disk that fared worst.
    func tell() throws {
        // Of a stream the warnings could not be given before it was written.
        let late = zip(plans, preparation.targets).filter { $1.plan == nil }.flatMap { $0.0?.warnings ?? [] }
        if !isQuiet { for note in notes + late { Console.note(note) } }
        if summary.unreadableByteCount > 0 {
            Console.note(
                Note(
                    "\(preparation.imagePath): \(summary.unreadableByteCount) bytes could not be read when it was made; "
                        + "they are zeros on the disk."))
        }
        if isJSON { Console.result(try jsonText(json())) } else { for line in lines { Console.result(line) } }
        if !isQuiet && !isJSON {
            for (result, plan) in zip(summary.results, plans) where result.error == nil {
                for advice in plan?.advice ?? [] { Console.message("reimage: \(advice)") }
            }
        }
        let errors = summary.results.compactMap(\.error)
        guard let worst = errors.max(by: { Self.weight($0.code) < Self.weight($1.code) }) else { return }
        if errors.count == 1 && summary.results.count == 1 { throw worst }
        for result in summary.results { if let error = result.error { Console.error(error.inFile(result.name)) } }
        throw ExitCode(ExitStatus(worst.code).rawValue)
    }

    /// The further a failure leaves a disk from what it should be, the more it weighs.
    private static func weight(_ code: ImageError.Code) -> Int {
        switch code {
        case .mismatch: 5
        case .targetFailed: 4
        case .damaged, .unreadable: 3
        case .interrupted, .cancelled: 1
        default: 2
        }
    }

    /// A row for each disk, and one for each thing that was put right in it.
    private var lines: [String] {
        let width = summary.results.map(\.name.count).max() ?? 0
        return summary.results.indices.flatMap { index in
            let (result, discarded) = (summary.results[index], discarded[index])
            let name = result.name + String(repeating: " ", count: width - result.name.count)
            let counts = [
                (result.counts.written, "written"),
                (result.counts.zeroed - min(result.counts.zeroed, discarded), "zeroed"), (discarded, "discarded"),
                (result.counts.kept, "kept"), (result.counts.resumed, "there already"),
            ]
            let words = counts.filter { $0.0 > 0 }.map { "\(humanSize($0.0)) \($0.1)" }.joined(separator: ", ")
            let changes = result.error == nil ? plans[index]?.changes ?? [] : []
            return ["\(name)  \(Self.status(of: result))  \(words)"] + changes.map { "  \($0.message.printable)" }
        }
    }

    private static func status(of result: RestoreResult) -> String {
        switch (result.error?.code, result.verification) {
        case (nil, .passed): "restored and verified"
        case (nil, _): "restored, not verified"
        case (.mismatch, _): "DIFFERS"
        case (.interrupted, _), (.cancelled, _): "INTERRUPTED"
        default: "FAILED"
        }
    }
}
