internal import ReimageCodecs
internal import ReimageCore
internal import ReimagePipeline
internal import ReimageSystem
internal import Synchronization

/// Reads a target back past every cache, once and in order, and compares it with what it must read as.
struct TargetVerifier: Sendable {
    let run: TargetRun
    /// As much of the target as the image covers, in bytes.
    let byteCount: UInt64
    let options: JobOptions
    /// The image, to find out where exactly a unit differs; `nil` for a stream.
    let disk: (any BlockDevice)?

    /// No more differing ranges are named.
    private static let mostRanges = 16
    /// No more units are compared byte by byte.
    private static let mostUnits = 8
    /// What differs is named in multiples of this.
    private static let grain = 4096

    /// - Throws: `.mismatch` that names what differs; `.targetFailed` where it cannot be read back.
    func verify() throws(ImageError) {
        let different = try units(in: Array(0..<byteCount.dividedRoundingUp(by: run.nodes.unit)))
        guard !different.isEmpty else {
            run.update { $0.result.counts.verified += byteCount }
            return
        }
        var ranges: [HostRange] = []
        for index in different.prefix(Self.mostUnits) where ranges.count < Self.mostRanges {
            ranges += try self.ranges(ofUnit: index)
        }
        let isCut = ranges.count > Self.mostRanges || different.count > Self.mostUnits
        ranges = Array(ranges.prefix(Self.mostRanges))
        throw fail(ranges, isCut: isCut)
    }

    private func fail(_ ranges: [HostRange], isCut: Bool) -> ImageError {
        run.update { $0.result.verification = .differs(ranges, isCut: isCut) }
        let named = ranges.map { "\($0.start) to \($0.end.value - 1)" }.joined(separator: ", ")
        return ImageError(
            .mismatch, "does not read back as it was written: bytes \(named)\(isCut ? " and more" : "")",
            at: ranges.first.map { .host($0.start) }, file: run.medium.name,
            advice:
                "The medium, its cable or the memory is failing; the disk's tables were left out, so nothing uses it.")
    }

    /// Those of `indices` that do not read back as they must, in order. What cannot be read ends the work.
    func units(in indices: [UInt64]) throws(ImageError) -> [UInt64] {
        let next = Atomic<Int>(0)
        let different = Mutex<[UInt64]>([])
        let width = run.medium.traits.contains(.rotational) ? 1 : min(4, max(1, options.threadCount))
        try runOnThreads(width) { (_) throws(ImageError) in
            var reader = UnitReader(run, byteCount: byteCount, options)
            while true {
                let place = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard place < indices.count else { return }
                let found = try reader.node(ofUnit: indices[place])
                guard let meant = run.node(ofUnit: indices[place]) else {
                    throw ImageError(.exhausted, "what unit \(indices[place]) must read as was not told")
                }
                if found != meant { different.withLock { $0.append(indices[place]) } }
            }
        }
        return different.withLock { $0.sorted() }
    }

    /// Where unit `index` differs from the image, read once more; the whole unit where that cannot be told.
    private func ranges(ofUnit index: UInt64) throws(ImageError) -> [HostRange] {
        var reader = UnitReader(run, byteCount: byteCount, options)
        let unit = reader.range(ofUnit: index)
        guard let disk else { return [unit] }
        let cursor = try disk.makeCursor()
        var meant = AlignedBuffer(byteCount: Piece.byteCount)
        var ranges: [HostRange] = []
        var offset = unit.start
        while offset < unit.end, ranges.count <= Self.mostRanges {
            let count = Int(min(unit.end - offset, UInt64(Piece.byteCount)))
            let place = offset
            try meant.withMutableBytes(0..<count) { (span) throws(ImageError) in
                try cursor.read(into: &span, at: GuestOffset(place.value))
                run.overlay.apply(to: &span, at: place)
            }
            try reader.withBytes(HostRange(start: place, count: UInt64(count))) { (found) throws(ImageError) in
                meant.withBytes(0..<count) { meant in
                    for start in stride(from: 0, to: count, by: Self.grain) {
                        let part = start..<min(start + Self.grain, count)
                        guard found.extracting(part).firstDifference(from: meant.extracting(part)) != nil else {
                            continue
                        }
                        ranges.append(merging: HostRange(start: place + UInt64(start), count: UInt64(part.count)))
                    }
                }
            }
            offset += UInt64(count)
        }
        return ranges.isEmpty ? [unit] : ranges
    }

    /// Compares small `parts` with what they must read as.
    /// - Throws: `.mismatch`.
    func verify(_ parts: [(range: HostRange, bytes: [UInt8])]) throws(ImageError) {
        var different: [HostRange] = []
        for part in parts {
            let found: [UInt8]
            do throws(ImageError) {
                found = try run.medium.bytes(at: part.range.start, count: part.bytes.count)
            } catch {
                throw ImageError(
                    .targetFailed, "what was written cannot be read back: \(error.message)", at: error.place,
                    file: run.medium.name, systemCode: error.systemCode)
            }
            if found != part.bytes { different.append(part.range) }
            run.count { $0.verified += part.range.count }
        }
        guard different.isEmpty else { throw fail(different, isCut: false) }
    }
}

extension [HostRange] {
    /// Adds `range`, which starts no earlier than the last one ends.
    fileprivate mutating func append(merging range: HostRange) {
        if let last, last.end == range.start {
            self[count - 1] = HostRange(from: last.start, to: range.end)
        } else {
            append(range)
        }
    }
}
