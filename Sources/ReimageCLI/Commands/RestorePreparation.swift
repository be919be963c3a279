internal import ArgumentParser
internal import Reimage
internal import ReimageCore
internal import ReimageDisks
internal import ReimagePipeline
internal import ReimageSystem

/// What a restore is going to do, once every rule was asked: the image, the disks, and what goes with them.
struct RestorePreparation {
    /// A disk that is going to be overwritten.
    struct Target {
        /// The path as it was given.
        let path: String
        let report: DeviceReport
        var journalPath: String?
        /// What is put right in the image for it; `nil` for a stream, whose table is known only at its end.
        var plan: FixUpPlan?
        var device: Device { report.device }
    }

    let imagePath: String
    let image: OpenedImage
    let content: DiskContent
    private(set) var targets: [Target]
    private let fixUps: FixUpFlags
    private let snapshot: String?
    /// The journal that is gone on with, and what stands in it.
    let resumed: (store: UpdatableFile, contents: RestoreJournal.Contents)?
    private let records: RecordOptions

    /// The image's length, where it is known.
    var byteCount: UInt64? {
        switch content {
        case .random(let disk): disk.byteCount
        case .stream(let stream): stream.byteCount
        }
    }

    /// Opens the image, looks at the disks, and asks the rules.
    /// - Throws: `.refused` with every reason.
    init(_ command: Restore) throws {
        records = command.records
        fixUps = command.fixUps
        snapshot = command.snapshot
        imagePath = command.files[0]
        let paths = Array(command.files.dropFirst())
        for path in paths { try Self.checkIsDevice(path) }
        let inventory = try DeviceInventory()
        let devices = try paths.map { path throws(ImageError) in try inventory.device(at: path) }
        if let twice = devices.indices.first(where: { devices[..<$0].map(\.number).contains(devices[$0].number) }) {
            throw ImageError(.refused, "is named twice", file: paths[twice], advice: "Name each disk once.")
        }
        let opener = command.opening.opener(isQuiet: command.work.quiet)
        image = try opener.open(
            imagePath, format: command.sourceFormat, snapshot: command.snapshot.map(Convert.snapshotName))
        do throws(ImageError) { content = try image.image.content() } catch { throw error.inFile(imagePath) }
        if case .stream = content, command.delta || command.records.resume != nil {
            throw ImageError(
                .unsupported,
                "\(command.delta ? "--delta" : "--resume") needs to read the image at any place, and this one comes in order",
                file: imagePath, advice: "Save it to a file first: reimage convert \(imagePath) disk.raw")
        }
        resumed = try command.records.resume.map(Self.openResumed)
        let stamp = ImageStamp.now()
        targets = try zip(paths, devices).map { path, device in
            var target = Target(path: path, report: DeviceReport(device, in: inventory, triesClaim: true))
            target.journalPath =
                try command.records.resume ?? command.records.journalPath(for: device, ofMany: paths.count > 1, stamp)
            return target
        }
        let isWholeDisk = try Self.isWholeDisk(content, sectorSize: fixUps.imageSectorSize)
        for target in targets { try refuse(target, isWholeDisk, inventory, command) }
        try refuseOtherSource()
        if case .random(let disk) = content {
            for index in targets.indices { targets[index].plan = try plan(disk, for: targets[index]) }
        }
    }

    /// Whether the image is that of a disk with partitions; a stream may be one.
    private static func isWholeDisk(_ content: DiskContent, sectorSize: ByteSize?) throws(ImageError) -> Bool {
        guard case .random(let disk) = content else { return true }
        return try PartitionTable.isOn(disk, sectorSize: sectorSize.map { Int($0.count) } ?? disk.sectorSize)
    }

    /// What must be put right in `disk`, the image, for `target`.
    func plan(_ disk: any BlockDevice, for target: Target) throws(ImageError) -> FixUpPlan {
        do throws(ImageError) {
            return try FixUps.plan(
                disk: disk, imageSectorSize: fixUps.imageSectorSize.map { Int($0.count) } ?? disk.sectorSize,
                targetByteCount: target.device.byteCount, targetSectorSize: target.device.logicalSector,
                options: fixUps.options(for: target.path))
        } catch { throw error.inFile(error.code == .refused ? target.path : imagePath) }
    }

    private static func checkIsDevice(_ path: String) throws(ImageError) {
        let kind = try FileKind(path: path, orThrow: .targetFailed)
        if let refusal = DeviceRules.refusal(forPath: path, kind: kind) { throw ImageError([refusal], path: path) }
    }

    private static func openResumed(_ path: String) throws(ImageError) -> (
        store: UpdatableFile, contents: RestoreJournal.Contents
    ) {
        let store: UpdatableFile
        do throws(ImageError) { store = try UpdatableFile(path: path) } catch { throw error.missingJournal }
        let contents = try RestoreJournal.Contents(store)
        guard !contents.isFinished else {
            throw ImageError(
                .refused, "the restore that it tells of is complete", file: path,
                advice: "Start a new one, without --resume.")
        }
        return (store, contents)
    }

    private func refuse(_ target: Target, _ isWholeDisk: Bool, _ inventory: DeviceInventory, _ command: Restore) throws
    {
        var files: [DeviceRequest.File] = []
        if case .random(let disk) = content {
            files += disk.stores.map { inventory.file(.source, at: $0.name) }
        } else if imagePath != ImageOpener.standardInput {
            files.append(inventory.file(.source, at: imagePath))
        }
        for other in targets { if let path = other.journalPath { files.append(inventory.file(.journal, at: path)) } }
        if let path = records.receipt { files.append(inventory.file(.receipt, at: path)) }
        // Whether a smaller disk holds what is in use is for the plan to say, which names what is in the way.
        var needed = byteCount
        if case .random = content, fixUps.mode != .none { needed = nil }
        let request = DeviceRequest(
            .restore, isWholeDisk: isWholeDisk, allowsPartition: command.allowPartition, neededByteCount: needed,
            files: files, claim: target.report.claim)
        var refusals = DeviceRules.refusals(for: target.device, request)
        if let facts = resumed?.contents.facts, let other = facts.refusal(for: target.device) { refusals.append(other) }
        guard refusals.isEmpty else { throw ImageError(refusals, path: target.path) }
    }

    private func refuseOtherSource() throws(ImageError) {
        guard let resumed, let refusal = resumed.contents.facts.refusal(forSource: sourceFacts) else { return }
        throw ImageError([refusal], path: imagePath)
    }

    /// What must be the same for a restore to be gone on with.
    private var options: String { "\(fixUps.text), snapshot \(snapshot ?? "none")" }

    private var sourceFacts: RestoreJournal.Facts {
        var facts = RestoreJournal.Facts()
        if case .random(let disk) = content { facts.add(disk, format: image.image.format, options: options) }
        return facts
    }

    /// The facts for the journal of `target`.
    func facts(of target: Target) -> RestoreJournal.Facts {
        var facts = RestoreJournal.Facts(target.device)
        for (name, value) in sourceFacts.values { facts[name] = value }
        facts["image"] = imagePath
        facts["tool"] = Root.configuration.version
        return facts
    }

    /// Makes the receipt and the journals, before anything is written; what exists is not written over.
    func openRecords() throws(ImageError) -> RestoreRecords {
        let receipt = try records.receipt.map { (path) throws(ImageError) -> PartialFile in
            do throws(ImageError) { return try PartialFile(for: path, existing: .refuse, cache: .cached) } catch {
                var error = error
                if error.code == .refused { error.advice = "Name a new file with --receipt." }
                throw error
            }
        }
        if let resumed {
            return RestoreRecords(
                receipt: receipt, journals: [try RestoreJournal(resumed.store, after: resumed.contents)])
        }
        var journals: [RestoreJournal?] = []
        for target in targets {
            guard let path = target.journalPath else {
                journals.append(nil)
                continue
            }
            do throws(ImageError) {
                if records.journal == nil, records.receipt == nil { try makeFolder(RecordOptions.stateFolder) }
                journals.append(try RestoreJournal(UpdatableFile(creating: path), facts(of: target)))
            } catch {
                var error = error
                error.advice = [error.advice, "--journal FILE puts the journal elsewhere."].compactMap { $0 }.joined(
                    separator: " ")
                throw error
            }
        }
        return RestoreRecords(receipt: receipt, journals: journals)
    }
}

extension ImageError {
    /// The error of a journal that cannot be opened, with what to do.
    var missingJournal: ImageError {
        var error = self
        error.code = .unreadable
        error.advice =
            "Name the journal that the restore told of; without --journal it lies in \(RecordOptions.stateFolder)."
        return error
    }
}

/// The files that are written besides the disks.
struct RestoreRecords {
    var receipt: PartialFile?
    /// One for each disk.
    var journals: [RestoreJournal?]
}

extension RecordOptions {
    /// The folder for what lives longer than a process.
    static var stateFolder: String {
        let environment = ProcessEnvironment.self
        if let state = environment["XDG_STATE_HOME"], state.hasPrefix("/") { return state + "/reimage" }
        if isRoot { return "/var/lib/reimage" }
        return (environment["HOME"] ?? ".") + "/.local/state/reimage"
    }

    /// Where the journal of `device` goes; `nil` where none is wanted.
    func journalPath(for device: Device, ofMany isMany: Bool, _ stamp: ImageStamp) throws -> String? {
        guard !skipsJournal else { return nil }
        let name = String(device.name.map { $0 == "!" ? "-" : $0 })
        if let journal { return isMany ? "\(journal).\(name)" : journal }
        if let receipt { return isMany ? "\(receipt).\(name).journal" : "\(receipt).journal" }
        // Two restores may begin in one second.
        let mark = (stamp.uniqueID ?? []).prefix(3).map { String($0, radix: 16) }.joined(separator: "-")
        return "\(Self.stateFolder)/restore-\(name)-\(stamp.seconds)-\(mark).journal"
    }
}
