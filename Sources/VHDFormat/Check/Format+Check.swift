public import ReimageCore

extension VHDFormat {
    /// Holds the footers, the header, the table and the blocks against each other.
    ///
    /// Of a dynamic image the sectors are read that its bitmaps call unwritten. The parent of a differencing one is
    /// opened under the context's policy. Memory is bounded whatever the image; a file with very many small blocks is
    /// walked several times. The context's options count as for opening.
    /// - Throws: `.damaged` or `.unsupported` where no footer is sound, or it is not known which counts; `.unreadable`
    ///   where the file cannot be read.
    public func check(
        _ source: ImageSource, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary {
        try withoutActuallyEscaping(report) { (report) throws(ImageError) in
            do throws(ImageError) {
                return try check(source, context, FindingLog(report))
            } catch {
                throw error.inFile(source.name)
            }
        }
    }

    /// Repairs the image in place.
    ///
    /// `.leaks` gives back room that nothing uses, and leaves an image alone that is damaged. `.all` also puts right a
    /// footer by its copy, parts blocks that lie on each other, and sets bits of sectors that hold data. Entries that
    /// point nowhere, and what the file lacks of a block, become zeros; they could not be read before, and each loss is
    /// reported. A header whose checksum is wrong is believed only with `ignore-checksums`. Guest bytes that could be
    /// read stay as they are, and the image opens at any moment.
    /// - Throws: as ``check(_:_:report:)``, and `.refused` where the image is too damaged to be repaired in place.
    public func repair(
        _ target: UpdateTarget, _ level: RepairLevel, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary {
        try withoutActuallyEscaping(report) { (report) throws(ImageError) in
            do throws(ImageError) {
                let log = FindingLog(report)
                let repairer = Repairer(
                    store: target.store, options: try ReaderOptions(context.options), log: log,
                    cancellation: context.cancellation)
                let before = try repairer.run(level)
                var summary = try check(target.source, context, log)
                summary.corruptionsFixed = before.corruptions - min(before.corruptions, summary.corruptions)
                summary.leaksFixed = before.leaks - min(before.leaks, summary.leaks)
                return summary
            } catch {
                throw error.inFile(target.store.name)
            }
        }
    }

    private func check(
        _ source: ImageSource, _ context: OpenContext, _ log: FindingLog
    ) throws(ImageError) -> CheckSummary {
        var checker = try Checker(
            try source.randomAccess(for: name), try ReaderOptions(context.options), log: log,
            cancellation: context.cancellation)
        try checker.run()
        if checker.image.kind == .differencing, let sparse = checker.image.sparse {
            try ParentExaminer(
                image: checker.image, sparse: sparse, source: source, context: context, log: log
            ).run()
        }
        return log.summary
    }
}
