internal import ReimageCore

/// Repairs one image in place.
///
/// The order keeps the image readable at any moment, with its content as it was: one footer is put right by the other,
/// what moves is copied and synced before the table points to the copy, and space is given back last.
struct Repairer {
    let store: any UpdatableStore
    let options: ReaderOptions
    let log: FindingLog
    let cancellation: Cancellation

    /// Checks, and repairs.
    /// - Returns: what there was before.
    func run(_ level: RepairLevel) throws(ImageError) -> CheckSummary {
        var remarks = 0
        let before = FindingLog { if $0.kind == .remark { remarks += 1 } }
        var checker = try survey(before)
        guard !before.summary.isClean || (level == .all && remarks > 0) else { return before.summary }
        if level == .all {
            try FooterRepair(store: store, image: checker.image, facts: checker.facts, log: log).run()
            checker = try survey()
            if let sparse = checker.image.sparse { try repairBlocks(checker, sparse) }
            let isDoubtful = checker.facts.hasDoubtfulTable
            checker = try survey()
            try showHidden(checker)
            // Where a pointer was lost, what nothing uses may be what it pointed to.
            guard !isDoubtful else { return before.summary }
            checker = try survey()
        }
        if before.summary.leaks > 0 { try giveBack(checker) }
        return before.summary
    }

    private func survey(_ log: FindingLog = FindingLog()) throws(ImageError) -> Checker {
        var checker = try Checker(store, options, log: log, cancellation: cancellation)
        try checker.run()
        return checker
    }

    private func repairBlocks(_ checker: Checker, _ sparse: CheckedImage.Sparse) throws(ImageError) {
        let (image, facts) = (checker.image, checker.facts)
        guard image.trustsHeader else {
            return log.found(
                .remark,
                "nothing but the footers was repaired: the dynamic header's checksum is wrong (--ignore-checksums "
                    + "believes its fields all the same)")
        }
        guard image.tableLiesClear else {
            return log.found(
                .remark,
                "nothing but the footers was repaired: the block allocation table at \(sparse.table.start) lies on them or "
                    + "on the dynamic header")
        }
        guard !facts.isIncomplete else { throw Self.tooMuch }
        let repair = BlockRepair(
            store: store, image: image, sparse: sparse, facts: facts, log: log, cancellation: cancellation)
        try repair.sealHeader()
        guard image.endsAtFooter else { return }
        try repair.run()
        try repair.fillPadding()
    }

    private func showHidden(_ checker: Checker) throws(ImageError) {
        let image = checker.image
        guard let sparse = image.sparse, image.trustsHeader, image.tableLiesClear else { return }
        try BlockRepair(
            store: store, image: image, sparse: sparse, facts: checker.facts, log: log, cancellation: cancellation
        ).showHidden()
    }

    static var tooMuch: ImageError {
        ImageError(
            .refused, "too much of the block allocation table is damaged to be repaired in place",
            advice: "Copy what can be read into a new image: reimage convert.")
    }

    /// Gives back space, where the check knows of every use.
    private func giveBack(_ checker: Checker) throws(ImageError) {
        let image = checker.image
        let soundness = checker.log.summary
        guard let sparse = image.sparse, image.trustsHeader, image.endsAtFooter, soundness.corruptions == 0,
            soundness.checkErrors == 0
        else {
            return log.found(
                .remark,
                "lost space was left alone: the image has damage under which it cannot be told from data; repair all "
                    + "of it (-r all)")
        }
        try SpaceRepair(
            store: store, image: image, sparse: sparse, facts: checker.facts, log: log, cancellation: cancellation
        ).run()
    }
}
