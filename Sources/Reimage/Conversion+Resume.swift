internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem

extension Conversion {
    /// How a conversion that was interrupted is gone on with.
    public enum Resuming: String, Sendable, Hashable, CaseIterable {
        /// Everything that is in the image already is read from the source again, and compared.
        case prove
        /// Only some of it is; a change is accepted, and noted in the image.
        case trust
    }

    /// An image that was taken up: the writer as it was, and where it goes on.
    struct Taken {
        var writer: any ImageWriter
        var start: GuestOffset
        /// The source before that, where all of it was proved.
        var prefix: ProvenPrefix?
    }

    /// Takes up what an interrupted conversion left in the partial file; `nil` where that is nothing, and the file is
    /// emptied.
    ///
    /// - Throws: before the file was changed: `.refused` where it was begun with other options, `.mismatch` where the
    ///   source is not what it was.
    func takeUp(_ content: DiskContent, _ place: Place) throws(ImageError) -> Taken? {
        guard let resuming else { return nil }
        guard let partial = place.partial else {
            throw ImageError(
                .unsupported, "only a new file can be gone on with", file: target, advice: "Leave --resume away.")
        }
        do throws(ImageError) {
            guard case .random(let disk) = content else {
                throw ImageError(
                    .unsupported, "what comes from a pipe has passed, and cannot be gone on with",
                    advice: "Leave --resume away to start anew.")
            }
            guard let point = try resumePoint(of: partial, disk, place.sink.traits) else {
                note(Note("\(target): there is no interrupted image to go on with, so it starts anew."))
                try partial.sink.setByteCount(0)
                return nil
            }
            var taken = Taken(writer: point.writer, start: point.start)
            let job = ProofJob(disk, options: options)
            switch resuming {
            case .prove: taken.prefix = try job.prove(point.proofs, before: point.start)
            case .trust:
                if let change = try job.firstChange(in: point.samples) {
                    note(Note("\(target): the source changed at byte \(change) of the disk since the image was begun."))
                    point.acceptChange()
                }
            }
            try partial.sink.setByteCount(point.storedByteCount)
            note(
                Note("\(target): goes on behind \(humanSize(point.start.value)) of \(humanSize(disk.byteCount))."))
            return taken
        } catch {
            partial.keep()
            guard error.code == .cancelled else { throw error.inFile(target) }
            throw ImageError(
                .interrupted, "interrupted; what it was to go on from is as it was", file: target,
                advice: "Go on with the same command.")
        }
    }

    private func resumePoint(
        of partial: PartialFile, _ disk: any BlockDevice, _ sink: StoreTraits
    ) throws(ImageError) -> ResumePoint? {
        guard case .store(let store) = try openFile(path: partial.partialPath) else { return nil }
        let plan = writePlan(WritePlan(byteCount: disk.byteCount, sink: sink), over: nil)
        return try registry.writableFormat(named: format).resume(store, plan, cancellation: options.cancellation)
    }

    /// The error to tell where a conversion ended early, and can be gone on with behind `checkpoint`: then its partial file
    /// is kept. `nil` where it cannot.
    func interruption(
        _ error: ImageError, _ content: DiskContent, behind checkpoint: GuestOffset, _ place: Place
    ) -> ImageError? {
        let causes: [ImageError.Code] = [.cancelled, .targetFailed, .unreadable, .damaged, .exhausted]
        guard case .random(let disk) = content, let partial = place.partial, checkpoint > .zero,
            causes.contains(error.code)
        else { return nil }
        // What can be brought to the medium is; the rest is found out by whoever goes on.
        try? partial.sink.sync()
        partial.keep()
        let cause = error.code == .cancelled ? "interrupted" : (error.file.map { "\($0): " } ?? "") + error.message
        let share = "\(humanSize(checkpoint.value)) of \(humanSize(disk.byteCount))"
        return ImageError(
            .interrupted, "\(cause); \(share) are kept in \(partial.partialPath)", at: error.place, file: target,
            advice: (error.advice.map { "\($0) " } ?? "") + "Go on with the same command and --resume.",
            systemCode: error.systemCode)
    }
}
