public import ReimageCore
internal import ReimageSystem

/// A device as the disk that is captured: read once and in large requests, and sector by sector where that fails.
///
/// What was lost stays lost: a second read of it gives zeros without another try, so that an image that is laid out
/// before it is written comes out the same.
public struct CaptureDisk: BlockDevice {
    let store: any ByteStore
    let options: CaptureOptions
    let losses = LossLog()
    let cancellation: Cancellation
    public let sectorSize: Int

    /// - Parameters:
    ///   - store: the device, best past the page cache.
    ///   - sectorSize: its logical sector in bytes.
    public init(
        _ store: any ByteStore, sectorSize: Int, options: CaptureOptions = CaptureOptions(),
        cancellation: Cancellation = Cancellation()
    ) {
        self.store = store
        self.sectorSize = sectorSize
        self.options = options
        self.cancellation = cancellation
    }

    public var byteCount: UInt64 { store.byteCount }
    public var stores: [any ByteStore] { [store] }

    /// What could not be read so far, ascending and apart from each other where it failed alike.
    public var lost: [LostRun] { losses.all }

    public func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        // Where it is stored stays untold, so that nobody reads it past what is done here about bad sectors.
        Extent(.data, count: min(limit, byteCount - offset.value))
    }

    public func makeCursor() throws(ImageError) -> any DiskCursor { CaptureCursor(self) }
}

/// One thread's reader of a device.
private final class CaptureCursor: DiskCursor {
    private let disk: CaptureDisk
    private(set) var unreadable: [LostRun] = []
    /// The pieces that a failing request is cut into, in turn.
    private let steps: [Int]
    /// A sector that could be read, to tell a bad one from a device that is gone.
    private var lastGood: HostOffset?

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
                try rescue(&span, at: part.start, step: -1, &new)
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

    /// Fills `buffer`, in smaller and smaller pieces where that fails.
    private func rescue(
        _ buffer: inout MutableRawSpan, at offset: GuestOffset, step: Int, _ lost: inout [LostRun]
    ) throws(ImageError) {
        let failure: ImageError
        do {
            try disk.cancellation.check()
            try disk.store.read(into: &buffer, at: HostOffset(offset.value))
            lastGood = HostOffset(offset.value)
            return
        } catch {
            guard error.isOfTheMedium else { throw error }
            failure = error
        }
        var next = step + 1
        while next < steps.count, buffer.byteCount <= steps[next] { next += 1 }
        guard next < steps.count else { return try retry(&buffer, at: offset, after: failure, &lost) }
        var place = offset.value
        let end = place + UInt64(buffer.byteCount)
        while place < end {
            // Pieces start where the medium's own do.
            let unit = UInt64(steps[next])
            let stop = min(place.roundedDown(to: unit) + unit, end)
            let slice = Int(place - offset.value)..<Int(stop - offset.value)
            try buffer.withSlice(slice) { (span) throws(ImageError) in
                try rescue(&span, at: GuestOffset(place), step: next, &lost)
            }
            place = stop
        }
    }

    /// Tries one sector again and again, and gives it up.
    private func retry(
        _ buffer: inout MutableRawSpan, at offset: GuestOffset, after first: ImageError, _ lost: inout [LostRun]
    ) throws(ImageError) {
        var failure = first
        for _ in 0..<max(disk.options.retries, 0) {
            do {
                try disk.cancellation.check()
                return try disk.store.read(into: &buffer, at: HostOffset(offset.value))
            } catch {
                guard error.isOfTheMedium else { throw error }
                failure = error
            }
        }
        try requireDevice()
        let tries = max(disk.options.retries, 0) + 1
        guard disk.options.onReadError == .zero else {
            throw ImageError(
                .unreadable,
                "\(buffer.byteCount) bytes cannot be read, however often they are tried (\(tries) times): "
                    + failure.message, at: .guest(offset), file: disk.store.name,
                advice: "Pass --on-read-error zero to go on with zeros in their place, and a report of them.",
                systemCode: failure.systemCode)
        }
        buffer.zero()
        lost.append(
            LostRun(
                GuestRange(start: offset, count: UInt64(buffer.byteCount)), systemCode: failure.systemCode ?? 0,
                tries: tries))
    }

    /// A device that is gone fails like one whose sectors are bad, and nothing of it may be taken for zeros.
    private func requireDevice() throws(ImageError) {
        guard let lastGood else { return }
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

extension ImageError {
    /// Whether one place of a medium failed, rather than the device, the request or the program.
    /// - Source: the errors of Linux' block layer: EIO, ENODATA (medium), EILSEQ (protection), ETIMEDOUT, EREMOTEIO.
    fileprivate var isOfTheMedium: Bool {
        guard code == .unreadable, let systemCode else { return false }
        return ImageError.mediumCodes.contains(systemCode)
    }

    private static let mediumCodes: Set<Int32> = [5, 61, 84, 110, 121]
}
