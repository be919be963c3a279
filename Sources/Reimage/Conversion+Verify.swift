internal import ReimageCodecs
internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem

extension Conversion {
    /// Reads the target back, and compares it with what was copied.
    ///
    /// An image may round its disk's length up; what it added must read as zeros. A file that was written over keeps
    /// what lies behind the disk.
    /// - Throws: `.mismatch` where it reads back as anything else.
    func verify(_ summary: CopySummary, _ place: Place) throws(ImageError) {
        guard let path = place.path, let written = summary.digest else { return }
        // The files below are those that the user named just now, and whatever they were allowed to refer to.
        var opener = ImageOpener(
            registry: registry, references: ReferencePolicy(allowsAny: true, maximumDepth: references.maximumDepth + 1),
            cache: .direct, cancellation: options.cancellation)
        opener.options = readerOptions
        opener.parentDirectories = parentDirectories
        if let data = place.data { opener.substitutes[data.finalPath] = data.partialPath }
        let disk = try opener.open(path, format: format).disk(for: "verifying")
        guard disk.byteCount > summary.byteCount else { return try compare(.random(disk), with: written) }
        try compare(.random(DiskPrefix(disk, byteCount: summary.byteCount)), with: written)
        if case .overwrite = placing { return }
        guard let place = try disk.firstNonZero(from: GuestOffset(summary.byteCount)) else { return }
        throw ImageError(
            .mismatch, "the disk should read as zeros behind the \(summary.byteCount) bytes that were written",
            at: .guest(place), file: target, advice: Self.mediumAdvice)
    }

    private func compare(_ content: DiskContent, with written: ContentDigest) throws(ImageError) {
        let found = try content.digest(options, phase: .verify)
        guard found == written else {
            throw ImageError(
                .mismatch, "reads back as \(found), but \(written) was written", file: target,
                advice: Self.mediumAdvice)
        }
    }

    private static var mediumAdvice: String {
        "The medium, its cable or the memory is failing; do not rely on this target."
    }
}
