internal import CReimageSystem
public import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

extension DeviceSink {
    /// One request of zeros in bytes: the kernel does not let go of a process in the midst of one.
    private static let zeroStep: UInt64 = 256 << 20

    /// Makes `range` read as zeros: by discarding where that is known to zero, else by the device's own means, else by
    /// writing them; always so with ``ZeroMode/written``.
    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        guard range.count <= byteCount, range.start.value <= byteCount - range.count else {
            throw ImageError(
                .targetFailed, "zeros for \(range.count) bytes pass the end (\(byteCount) bytes)",
                at: .host(range.start), file: name)
        }
        let unit = UInt64(sectorSize)
        let end = range.end.value.roundedDown(to: unit)
        guard mode != .written, let start = range.start.value.roundedUp(to: unit), start < end else {
            return try writeZeros(range)
        }
        try writeZeros(HostRange(from: range.start, to: HostOffset(start)))
        var position = start
        while position < end {
            let count = min(Self.zeroStep, end - position)
            try zeroSectors(HostRange(start: HostOffset(position), count: count), mayDiscard: mode == .sparse)
            position += count
        }
        try writeZeros(HostRange(from: HostOffset(end), to: range.end))
    }

    private func zeroSectors(_ range: HostRange, mayDiscard: Bool) throws(ImageError) {
        if mayDiscard, discardsToZeros,
            reimage_device_discard(file.number, range.start.value, range.count) == 0
        {
            return noteDiscarded(range.count)
        }
        if reimage_device_zero(file.number, range.start.value, range.count) == 0 { return }
        switch errno {
        case EOPNOTSUPP, ENOTTY, EINVAL, ENOSYS: try writeZeros(range)
        default: throw .system(.targetFailed, "zeros cannot be written", file: name, at: .host(range.start))
        }
    }

    private func writeZeros(_ range: HostRange) throws(ImageError) {
        guard !range.isEmpty else { return }
        let zeros = AlignedBuffer(byteCount: Int(min(range.count, 1 << 20)))
        var offset = range.start
        while offset < range.end {
            let count = min(range.end - offset, UInt64(zeros.byteCount))
            try zeros.withBytes(0..<Int(count)) { (span) throws(ImageError) in try write(span, at: offset) }
            offset += count
        }
    }
}
