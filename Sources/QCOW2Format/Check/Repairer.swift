internal import ReimageCore

/// Repairs one image in place.
///
/// The order keeps the image readable at any moment: what is new is written and synced before anything refers to it,
/// and what is replaced stays as it is until then. The dirty bit is set meanwhile, so that after an interruption no
/// writer trusts the refcounts.
struct Repairer {
    let store: any UpdatableStore
    let log: FindingLog
    /// How often parting is tried; each round is a walk of the whole image.
    private static let mostRounds = 3
    /// The pages of counts to hold at a time.
    var mostPages = ReferenceCounter.mostPages

    private let cancellation: Cancellation

    /// - Parameter cancellation: ends the work at the next read, at which the file is as after an interruption.
    init(_ store: any UpdatableStore, log: FindingLog, cancellation: Cancellation = Cancellation()) {
        self.store = store
        self.cancellation = cancellation
        self.log = log
    }

    /// Checks, repairs, and checks again.
    /// - Returns: what the second check found, and what there was before that is no more.
    func run(_ level: RepairLevel) throws(ImageError) -> CheckSummary {
        var remarks: [CheckFinding] = []
        let quiet = FindingLog { if $0.kind == .remark { remarks.append($0) } }
        let before = try survey(quiet)
        let flags = before.image.header.incompatible
        let hasStaleBitmaps = before.image.extensions.bitmaps != nil && !before.image.hasLiveBitmaps
        if quiet.summary.isClean, level == .leaks || (flags.isDisjoint(with: [.dirty, .corrupt]) && !hasStaleBitmaps) {
            for remark in remarks { log.found(.remark, remark.message, at: remark.place?.value) }
            return quiet.summary
        }
        let target = RepairStore(store, clusterSize: before.image.clusterSize, cancellation: cancellation)
        switch level {
        case .leaks: try giveBack(before, target)
        case .all: try repairAll(before, target)
        }
        return try finish(level, target, before: quiet.summary)
    }

    private func survey(_ log: FindingLog, remarksFlags: Bool = true) throws(ImageError) -> Checker {
        var checker = try Checker(store, log: log, cancellation: cancellation)
        checker.mostPages = mostPages
        try checker.run(remarksFlags: remarksFlags)
        return checker
    }

    /// Gives back what nothing refers to, where the check knows of every reference.
    private func giveBack(_ before: Checker, _ target: RepairStore) throws(ImageError) {
        let facts = before.facts
        let isDirty = before.image.header.incompatible.contains(.dirty)
        let isUnsure = facts.hasUnknownReferences || facts.hasLowRefcounts || facts.hasDamagedRefcounts
        guard !isDirty, !isUnsure, facts.overlaps.isEmpty, !facts.hasTooManyOverlaps else {
            log.found(
                .remark,
                "leaks were left alone: the image has damage under which free space cannot be told from data; "
                    + "repair all of it (-r all)")
            return
        }
        try refcounts(target, onlyRaises: false).update()
        try CopiedRepair(target: target, log: log).run(clearing: false)
    }

    private func refcounts(_ target: RepairStore, onlyRaises: Bool) -> RefcountRepair {
        RefcountRepair(target: target, log: log, mostPages: mostPages, onlyRaises: onlyRaises)
    }

    private func repairAll(_ before: Checker, _ target: RepairStore) throws(ImageError) {
        let facts = before.facts
        guard !facts.hasTooManyOverlaps else {
            throw ImageError(
                .refused, "too many clusters are used for more than one thing to be parted",
                advice: "Copy what can be read into a new image: reimage convert.")
        }
        let tables = TableRepair(target: target, log: log)
        // Flags of features that this version does not know do not survive a change.
        let known = AutoclearFeatures.bitmaps.rawValue | AutoclearFeatures.rawDataFile.rawValue
        try tables.change(Header.Field.autoclearFeatures, clearing: ~known)
        try tables.change(Header.Field.incompatibleFeatures, setting: IncompatibleFeatures.dirty.rawValue)

        try repairMappings(facts, target)
        if facts.hasIncompleteSnapshots { try tables.completeSnapshots() }
        if before.image.extensions.bitmaps != nil {
            if facts.hasDamagedBitmaps {
                try tables.dropBitmaps(because: "contradicted themselves")
            } else if !before.image.hasLiveBitmaps {
                try tables.dropBitmaps(because: "were out of step with the disk")
            }
        }

        let now = try survey(FindingLog { _ in }).facts
        let refcounts = refcounts(target, onlyRaises: now.hasUnknownReferences)
        let sharesMetadata = now.overlaps.values.contains { $0.contains(.metadata) }
        if now.hasDamagedRefcounts || sharesMetadata { try refcounts.rebuild() } else { try refcounts.update() }
        try CopiedRepair(target: target, log: log).run(clearing: true)
    }

    /// Makes entries sound and parts what shares clusters. Where an entry could not be moved before it was sound, that
    /// takes a second round.
    private func repairMappings(_ facts: CheckFacts, _ target: RepairStore) throws(ImageError) {
        var facts = facts
        for _ in 0..<Self.mostRounds {
            let mapping = MappingRepair(target: target, facts: facts, log: log)
            try mapping.fixEntries(parted: false)
            guard !facts.overlaps.isEmpty || !facts.overflows.isEmpty else { return }
            try mapping.part()
            try mapping.fixEntries(parted: true)
            facts = try survey(FindingLog { _ in }).facts
            // What only metadata shares is for the refcounts, which are written anew.
            if facts.overflows.isEmpty, facts.overlaps.values.allSatisfy({ $0 == .metadata }) { return }
        }
    }

    /// Checks again, and takes the flags back that are true no more.
    private func finish(
        _ level: RepairLevel, _ target: RepairStore, before: CheckSummary
    ) throws(ImageError) -> CheckSummary {
        let after = try survey(log, remarksFlags: level == .leaks)
        var summary = log.summary
        summary.corruptionsFixed = before.corruptions - min(before.corruptions, summary.corruptions)
        summary.leaksFixed = before.leaks - min(before.leaks, summary.leaks)
        guard level == .all else { return summary }
        let facts = after.facts
        if summary.corruptions == 0, summary.checkErrors == 0 {
            let flags: IncompatibleFeatures = [.dirty, .corrupt]
            try TableRepair(target: target, log: log)
                .change(Header.Field.incompatibleFeatures, clearing: flags.rawValue)
        } else if !facts.hasLowRefcounts, !facts.hasDamagedRefcounts {
            try TableRepair(target: target, log: log)
                .change(Header.Field.incompatibleFeatures, clearing: IncompatibleFeatures.dirty.rawValue)
        }
        try Checker(store, log: log, cancellation: cancellation).remark()
        return summary
    }
}
