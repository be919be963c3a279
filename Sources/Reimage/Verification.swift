internal import ReimageCodecs
public import ReimageCore
public import ReimagePipeline
internal import ReimageSystem

/// Verifies an image of any format: by the proofs that it holds, or, without such, by reading all of it.
public struct Verification: Sendable {
    /// How deep; formats without proofs of their own know only `full`.
    public var depth: VerifyDepth
    public var options: JobOptions

    public init(_ depth: VerifyDepth = .full, options: JobOptions = JobOptions()) {
        self.depth = depth
        self.options = options
    }

    /// Verifies the image at `path`, and hands every finding to `report`.
    /// - Throws: what keeps the image from being opened; `.unsupported` for a depth that the format does not have.
    public func run(
        _ path: String, format: FormatName?, _ opener: ImageOpener, report: (CheckFinding) -> Void
    ) throws(ImageError) -> (format: FormatName, summary: VerifySummary) {
        let (format, source, context) = try opener.openUnread(path, format: format)
        do throws(ImageError) {
            let progress = options.progress
            var request = VerifyRequest(depth, threads: options.threads)
            request.begin = { progress.begin(.verify, total: $0) }
            request.advance = { progress.add($0) }
            // What comes from a pipe is proved as it flows.
            if format.provesItself, case .store = source.bytes {
                return (format.name, try format.verify(source, request, context, report: report))
            }
            guard depth == .full else {
                throw ImageError(
                    .unsupported,
                    "--\(depth.rawValue): an image of format \(format.name) holds no checksums of its bytes",
                    advice: "Leave it away: all of the image is then read.")
            }
            return (format.name, try read(source, format, opener, context, report))
        } catch {
            throw error.inFile(path)
        }
    }

    /// Checks the image's structures, where it has any, and reads all of its disk.
    private func read(
        _ source: ImageSource, _ format: any ImageFormat, _ opener: ImageOpener, _ context: OpenContext,
        _ report: (CheckFinding) -> Void
    ) throws(ImageError) -> VerifySummary {
        var check = CheckSummary()
        if case .store = source.bytes {
            do throws(ImageError) { check = try format.check(source, context, report: report) } catch {
                guard error.code == .unsupported else { throw error }
            }
        }
        let content = try opener.open(source, format: format.name, context).image.content()
        if case .stream(let stream) = content {
            let digest = try content.digest(options, phase: .verify)
            var summary = VerifySummary(byteCount: stream.byteCount ?? options.progress.done)
            summary.digest = digest.hash.bytes
            return summary
        }
        let copied = try content.summary(options, phase: .verify)
        var summary = VerifySummary(byteCount: copied.byteCount)
        summary.check = check
        summary.unreadable = copied.unreadable
        summary.digest = copied.digest?.hash.bytes
        return summary
    }
}

extension JobOptions {
    /// The threads of the job, to be lent to a format.
    public var threads: WorkThreads {
        WorkThreads(
            count: threadCount, fitting: { WorkerMemory(decoding: $0, self).threadCount }
        ) { (count, body) throws(ImageError) in try runOnThreads(count, body) }
    }
}
