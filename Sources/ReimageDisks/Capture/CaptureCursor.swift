internal import ReimageCore
internal import ReimageSystem

/// One thread's reader of a device that may have sectors it cannot give.
///
/// A request that fails is read again in smaller and smaller pieces, down to the sector, so that every sector that can be
/// read is. Large areas that are dead cost little more than one try a sector: there, whole physical sectors are tried, and
/// only some of them again.
final class CaptureCursor: DiskCursor {
    private let disk: CaptureDisk
    private(set) var unreadable: [LostRun] = []
    /// The pieces that a failing request is cut into, in turn.
    private let steps: [Int]
    /// The request at hand: what failed of it, ascending, and how often the device was looked for meanwhile.
    private var failures: [LostRun] = []
    private var failedCount = 0
    /// How many bytes at the end of what was tried failed in physical sectors that lost every logical one.
    private var deadByteCount = 0

    /// After this many physical sectors in a row of which nothing could be read, the next are tried as wholes.
    private static let deadSectorCount = 16
    /// In longer runs of failing sectors only samples are tried again, in sectors.
    private static let longestRetriedRun = 64

    init(_ disk: CaptureDisk) {
        self.disk = disk
        steps = [65536, 4096, disk.sectorSize].filter { $0 >= disk.sectorSize }
    }

    func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        unreadable.removeAll()
        let range = GuestRange(start: offset, count: UInt64(buffer.byteCount))
        let known = disk.losses.runs(in: range)
        var new: [LostRun] = []
        // Around what is known to be lost.
        for part in [range].subtracting(known.map(\.range)) {
            let slice = Int(part.start - offset)..<Int(part.end - offset)
            try buffer.withSlice(slice) { (span) throws(ImageError) in
                new += try rescue(&span, at: part.start)
            }
        }
        disk.losses.add(new)
        for run in known {
            let (first, last) = (max(run.range.start, range.start), min(run.range.end, range.end))
            buffer.zero(Int(first - offset)..<Int(last - offset))
            new.append(LostRun(GuestRange(from: first, to: last), systemCode: run.systemCode, tries: run.tries))
        }
        unreadable = new.sorted { $0.range.start < $1.range.start }
    }

    /// Fills `buffer` with what can be read, and with zeros for the rest, which is given back.
    private func rescue(_ buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) -> [LostRun] {
        (failures, failedCount, deadByteCount) = ([], 0, 0)
        try take(&buffer, at: offset, step: -1)
        guard !failures.isEmpty else { return [] }
        try splitEdges(&buffer, at: offset)
        for _ in 0..<max(disk.options.retries, 0) {
            guard try retry(&buffer, at: offset) else { break }
        }
        // Once more, since nothing may be taken for zeros because the device is gone.
        if !failures.isEmpty { try requireDevice() }
        for run in failures {
            buffer.zero(Int(run.range.start - offset)..<Int(run.range.end - offset))
        }
        return failures
    }

    // MARK: One try for each sector

    /// Fills `buffer`, in smaller and smaller pieces where that fails.
    private func take(_ buffer: inout MutableRawSpan, at offset: GuestOffset, step: Int) throws(ImageError) {
        guard let failure = try attempt(&buffer, at: offset) else { return deadByteCount = 0 }
        let length = buffer.byteCount
        var next = step + 1
        while next < steps.count, length <= steps[next] { next += 1 }
        let isWhole = length == disk.physicalSectorSize && deadByteCount >= Self.deadSectorCount * length
        guard next < steps.count, !isWhole else { return try fail(&buffer, at: offset, failure) }
        var place = offset.value
        let end = place + UInt64(length)
        while place < end {
            // Pieces start where the medium's own do.
            let unit = UInt64(steps[next])
            let stop = min(place.roundedDown(to: unit) + unit, end)
            let slice = Int(place - offset.value)..<Int(stop - offset.value)
            try buffer.withSlice(slice) { (span) throws(ImageError) in
                try take(&span, at: GuestOffset(place), step: next)
            }
            place = stop
        }
    }

    /// Reads `buffer`; gives the error where the medium could not.
    private func attempt(_ buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) -> ImageError? {
        do {
            try disk.cancellation.check()
            try disk.store.read(into: &buffer, at: HostOffset(offset.value))
            disk.losses.noteGood(HostOffset(offset.value))
            return nil
        } catch {
            guard error.isOfTheMedium else { throw error }
            return error
        }
    }

    /// Notes a sector that could not be read; where the capture is to stop at it, it is tried to the end and that is it.
    private func fail(_ buffer: inout MutableRawSpan, at offset: GuestOffset, _ first: ImageError) throws(ImageError) {
        if disk.options.onReadError == .stop { return try insist(&buffer, at: offset, first) }
        failedCount += 1
        deadByteCount += buffer.byteCount
        // A device that is gone is found out soon, and one that is there is not asked after every sector.
        if failedCount.nonzeroBitCount == 1 { try requireDevice() }
        failures.append(
            merging: LostRun(
                GuestRange(start: offset, count: UInt64(buffer.byteCount)), systemCode: first.systemCode ?? 0, tries: 1)
        )
    }

    /// Tries one sector as often as is wished, and ends the capture where it stays unreadable.
    private func insist(_ buffer: inout MutableRawSpan, at offset: GuestOffset, _ first: ImageError) throws(ImageError)
    {
        var failure = first
        for _ in 0..<max(disk.options.retries, 0) {
            guard let error = try attempt(&buffer, at: offset) else { return }
            failure = error
        }
        try requireDevice()
        let tries = max(disk.options.retries, 0) + 1
        throw ImageError(
            .unreadable,
            "\(buffer.byteCount) bytes cannot be read, however often they are tried (\(tries == 1 ? "once" : "\(tries) times")): "
                + failure.message, at: .guest(offset), file: disk.store.name,
            advice: "Pass --on-read-error zero to go on with zeros in their place, and a report of them.",
            systemCode: failure.systemCode)
    }

    // MARK: What failed, again

    /// Tries the logical sectors of the last physical one of each dead area: a device may say of itself that its sectors
    /// are larger than they are.
    private func splitEdges(_ buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
        let unit = UInt64(disk.sectorSize)
        guard disk.physicalSectorSize > disk.sectorSize else { return }
        var rest: [LostRun] = []
        for var run in failures {
            let least = run.range.end.value - min(UInt64(disk.physicalSectorSize), run.range.count)
            while run.range.end.value > least, run.range.count > unit {
                let last = GuestOffset(run.range.end.value - unit)
                guard run.range.count > UInt64(Self.deadSectorCount * disk.physicalSectorSize),
                    try reread(&buffer, GuestRange(from: last, to: run.range.end), offset)
                else { break }
                run.range = GuestRange(from: run.range.start, to: last)
            }
            rest.append(run)
        }
        failures = rest
    }

    /// Tries the sectors that failed once more: of long runs samples from both ends, and all where one of those comes.
    /// - Returns: whether it is worth to try again.
    private func retry(_ buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) -> Bool {
        let unit = UInt64(disk.sectorSize)
        var (rest, isWorthIt) = ([LostRun](), false)
        for run in failures {
            let count = run.range.count.dividedRoundingUp(by: unit)
            if count > UInt64(Self.longestRetriedRun), try !sampleComes(&buffer, run.range, offset) {
                rest.append(merging: run)
                continue
            }
            isWorthIt = true
            var place = run.range.start.value
            while place < run.range.end.value {
                let sector = GuestRange(
                    from: GuestOffset(place), to: GuestOffset(min(place + unit, run.range.end.value)))
                if try !reread(&buffer, sector, offset) {
                    rest.append(merging: LostRun(sector, systemCode: run.systemCode, tries: run.tries + 1))
                }
                place = sector.end.value
            }
        }
        failures = rest
        return isWorthIt && !rest.isEmpty
    }

    /// Whether one of some sectors of `range` can be read now: those 1, 2, 4, 8, … sectors from either end.
    private func sampleComes(
        _ buffer: inout MutableRawSpan, _ range: GuestRange, _ offset: GuestOffset
    ) throws(ImageError) -> Bool {
        let unit = UInt64(disk.sectorSize)
        let count = range.count / unit
        var distance: UInt64 = 1
        while distance <= count / 2 {
            for index in [distance - 1, count - distance] {
                let sector = GuestRange(start: GuestOffset(range.start.value + index * unit), count: unit)
                if try reread(&buffer, sector, offset) { return true }
            }
            distance *= 2
        }
        return false
    }

    /// Tries `range`, which lies in `buffer`, once more.
    private func reread(
        _ buffer: inout MutableRawSpan, _ range: GuestRange, _ offset: GuestOffset
    ) throws(ImageError) -> Bool {
        let slice = Int(range.start - offset)..<Int(range.end - offset)
        return try buffer.withSlice(slice) { (span) throws(ImageError) in
            try attempt(&span, at: range.start) == nil
        }
    }

    /// A device that is gone fails like one whose sectors are bad, and nothing of it may be taken for zeros.
    private func requireDevice() throws(ImageError) {
        guard let lastGood = disk.losses.goodSector else { return }
        var sector = [UInt8](repeating: 0, count: disk.sectorSize)
        do {
            try sector.withMutableBytes { (span) throws(ImageError) in
                try disk.store.read(into: &span, at: lastGood)
            }
        } catch {
            throw ImageError(
                .unreadable, "the device does not answer any longer: what could be read before cannot now",
                at: .guest(GuestOffset(lastGood.value)), file: disk.store.name,
                advice: "Look at its cable and power, and begin again.", systemCode: error.systemCode)
        }
    }
}

extension [LostRun] {
    /// Adds `run`, which lies behind all others; what touches and failed alike becomes one.
    fileprivate mutating func append(merging run: LostRun) {
        if let last, last.range.end == run.range.start, last.systemCode == run.systemCode, last.tries == run.tries {
            self[count - 1].range = GuestRange(from: last.range.start, to: run.range.end)
        } else {
            append(run)
        }
    }
}

extension ImageError {
    /// Whether one place of a medium failed, rather than the device, the request or the program.
    /// - Source: the errors of Linux' block layer: EIO, ENODATA (medium), EILSEQ (protection), ETIMEDOUT, EREMOTEIO.
    fileprivate var isOfTheMedium: Bool {
        guard code == .unreadable, let systemCode else { return false }
        return ImageError.mediumCodes.contains(systemCode)
    }

    private static let mediumCodes: Set<Int32> = [5, 61, 84, 110, 121]
}
