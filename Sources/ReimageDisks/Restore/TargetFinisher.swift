internal import ReimageCore
internal import ReimagePipeline

/// What is left once everything between a target's ends was written: proof, and then the ends.
struct TargetFinisher: Sendable {
    let run: TargetRun
    let index: Int
    let job: RestoreJob
    let disk: (any BlockDevice)?
    /// The bytes that all targets have to read back.
    let total: UInt64

    /// - Throws: `.mismatch` where the target does not read back; then its ends were not written.
    func finish() throws(ImageError) {
        try job.options.cancellation.check()
        var extra: [(range: HostRange, bytes: [UInt8])] = []
        if disk != nil { extra += try writeOverlay(run.overlay, outside: run.coveredByteCount) }
        try run.medium.sync()
        // What was written so far has its place in the journal; from here on only the ends are missing.
        if run.journal != nil, job.hashes { try run.record() }
        let start = ContinuousClock.now
        let verifier = TargetVerifier(
            run: run, byteCount: run.coveredByteCount, options: job.options, disk: disk)
        if job.verifies {
            if job.options.progress.phase != .verify { job.options.progress.begin(.verify, total: total) }
            try verifier.verify()
        }
        if disk == nil, let planner = job.planner {
            let overlay = try planner(WrittenView(run: run), index)
            run.update { $0.result.overlay = overlay }
            extra += try writeOverlay(overlay, outside: 0)
            try run.medium.sync()
        }
        if job.verifies { try verifier.verify(extra) }
        try job.options.cancellation.check()
        for end in run.ends.parts {
            try end.bytes.withBytes { (bytes) throws(ImageError) in try run.medium.write(bytes, at: end.range.start) }
            try run.medium.sync()
            if job.verifies { try verifier.verify([end]) }
            run.count { $0.written += end.range.count }
        }
        let seconds = start.secondsToNow
        let digest = job.hashes && (disk != nil || run.result.overlay.isEmpty) ? run.digest() : nil
        run.update { state in
            state.result.verifySeconds = job.verifies ? seconds : 0
            state.result.verification = job.verifies ? .passed : .none
            state.result.digest = digest
        }
        try run.journal?.finish()
    }

    /// Lays `overlay` over the ends, and writes what of it lies between them from byte `start` on.
    ///
    /// - Returns: what was written, as it must read back.
    private func writeOverlay(
        _ overlay: DiskOverlay, outside start: UInt64
    ) throws(ImageError) -> [(range: HostRange, bytes: [UInt8])] {
        run.ends.apply(overlay)
        var written: [(range: HostRange, bytes: [UInt8])] = []
        let rest = HostRange(from: HostOffset(start), to: HostOffset(max(start, run.medium.byteCount)))
        for range in overlay.ranges {
            guard var part = range.overlap(rest).flatMap({ run.ends.middle(of: $0) }) else { continue }
            while !part.isEmpty {
                let piece = HostRange(start: part.start, count: min(part.count, UInt64(Piece.byteCount)))
                // Between a wipe and a patch that meet there is nothing but them, so every byte is told.
                var bytes = [UInt8](repeating: 0, count: Int(piece.count))
                bytes.withMutableBytes { overlay.apply(to: &$0, at: piece.start) }
                try bytes.withBytes { (bytes) throws(ImageError) in
                    try run.medium.write(bytes, at: piece.start)
                }
                run.count { $0.written += piece.count }
                written.append((piece, bytes))
                part = HostRange(from: piece.end, to: part.end)
            }
        }
        return written
    }
}

/// A target as it will read once its ends are written: what a stream has left, as a disk.
private struct WrittenView: BlockDevice {
    let run: TargetRun

    var byteCount: UInt64 { run.coveredByteCount }
    var sectorSize: Int { 512 }
    var stores: [any ByteStore] { [run.medium] }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent { Extent(.data, count: min(limit, byteCount - offset.value)) }

    func makeCursor() throws(ImageError) -> any DiskCursor { Cursor(run: run) }

    private final class Cursor: DiskCursor {
        let run: TargetRun
        init(run: TargetRun) { self.run = run }

        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            try run.medium.read(into: &buffer, at: HostOffset(offset.value))
            run.ends.lay(over: &buffer, at: HostOffset(offset.value))
        }
    }
}
