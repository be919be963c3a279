public import ReimageCore

extension QCOW2Format {
    /// Counts every reference to every cluster, and holds the counts, flags and places against what the file says.
    ///
    /// Compressed data is not decoded, and no other file is opened: the data of an image with a data file is not
    /// looked at. Memory is bounded whatever the image; a file with very many clusters is walked several times.
    /// - Throws: `.damaged` or `.unsupported` where the header, the place of the L1 table or the snapshot table cannot
    ///   be; `.unreadable` where the file cannot be read.
    public func check(
        _ source: ImageSource, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary {
        try withoutActuallyEscaping(report) { (report) throws(ImageError) in
            do throws(ImageError) {
                let log = FindingLog(report)
                var checker = try Checker(
                    try source.randomAccess(for: name), log: log, cancellation: context.cancellation)
                try checker.run()
                return log.summary
            } catch {
                throw error.inFile(source.name)
            }
        }
    }

    /// Repairs the image in place.
    ///
    /// `.leaks` gives back clusters that nothing refers to, and leaves an image alone whose damage could hide
    /// references. `.all` makes the refcounts and flags right, clears or zeroes entries that cannot be (their guest
    /// bytes could not be read before; each loss is reported), and parts structures that share clusters. Guest bytes
    /// that could be read stay as they are. The image opens at any moment; after an interruption the dirty bit tells
    /// that the repair must be run again.
    /// - Throws: as ``check(_:_:report:)``, and `.refused` where the image is too damaged to be repaired in place.
    public func repair(
        _ target: UpdateTarget, _ level: RepairLevel, _ context: OpenContext, report: (CheckFinding) -> Void
    ) throws(ImageError) -> CheckSummary {
        try withoutActuallyEscaping(report) { (report) throws(ImageError) in
            do throws(ImageError) {
                return try Repairer(target.store, log: FindingLog(report), cancellation: context.cancellation)
                    .run(level)
            } catch {
                throw error.inFile(target.store.name)
            }
        }
    }
}
