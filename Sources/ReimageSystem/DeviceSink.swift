internal import CReimageSystem
public import ReimageCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The device that is meant, as it was when it was chosen.
public struct DeviceExpectation: Hashable, Sendable {
    /// The kernel's number.
    public var number: DeviceNumber
    /// The length in bytes.
    public var byteCount: UInt64
    /// The kernel's number of the medium, where it has one.
    public var sequence: UInt64?
    /// Whether what is discarded is known to read as zeros: so for loop devices, whose files get holes. What drivers
    /// declare of themselves does not count.
    public var discardsToZeros: Bool

    public init(number: DeviceNumber, byteCount: UInt64, sequence: UInt64? = nil, discardsToZeros: Bool = false) {
        self.number = number
        self.byteCount = byteCount
        self.sequence = sequence
        self.discardsToZeros = discardsToZeros
    }
}

/// A block device that is overwritten and read back: held exclusively from its opening to its last reference.
///
/// Bytes go to the device and come from it past the page cache. Any offset and length may be written; what is less than
/// a sector is put into the sector that is there. Calls may come from many threads at once.
public final class DeviceSink: UpdatableStore {
    public let id = StoreID()
    public let name: String
    public let identity: StoreIdentity?
    public let byteCount: UInt64
    public let traits: StoreTraits
    /// The logical sector in bytes.
    public let sectorSize: Int
    let file: FileDescriptor
    let discardsToZeros: Bool
    private let direct: FileDescriptor?
    /// Two writes into one sector must not read it at the same time.
    private let sectorLock = Monitor(())
    private let discarded = Atomic<UInt64>(0)

    /// Opens the device at `path`, which must be the one that is expected; it is not made where it is missing.
    ///
    /// - Throws: `.refused` where it is another device or medium by now, is held by somebody, or is write-protected;
    ///   `.targetFailed` where it cannot be opened.
    public init(path: String, expecting expected: DeviceExpectation) throws(ImageError) {
        guard let file = FileDescriptor.open(path, O_RDWR | O_EXCL) else {
            let code = errno
            guard code == EBUSY else { throw .system(.targetFailed, "cannot be opened for writing", file: path) }
            throw ImageError(
                .refused, "is in use: it cannot be held exclusively", file: path,
                advice: "See what uses it: reimage devices \(path)", systemCode: code)
        }
        let status = try file.status(.targetFailed)
        var length: UInt64 = 0
        guard FileKind(mode: status.st_mode) == .blockDevice else {
            throw ImageError(.refused, "is no block device", file: path)
        }
        guard unsafe reimage_device_length(file.number, &length) == 0 else {
            throw .system(.targetFailed, "the device's length cannot be found out", file: path)
        }
        var sequence: UInt64 = 0
        let hasSequence = unsafe reimage_device_sequence(file.number, &sequence) == 0
        let isOther =
            DeviceNumber(status.st_rdev) != expected.number || length != expected.byteCount
            || (hasSequence && expected.sequence.map { $0 != sequence } ?? false)
        guard !isOther else {
            throw ImageError(
                .refused, "is no longer the device, or no longer holds the medium, that was chosen", file: path,
                advice: "Look again with 'reimage devices', and start over.")
        }
        guard reimage_device_read_only(file.number) == 0 else {
            throw ImageError(
                .refused, "is read-only", file: path,
                advice: "Look for a write-protect switch, or choose another device.")
        }
        var sector: UInt32 = 512
        guard unsafe reimage_device_sector(file.number, &sector) == 0, sector >= 512 else {
            throw .system(.targetFailed, "the sector size cannot be found out", file: path)
        }
        // What others have left in the cache must not be written over ours later.
        _ = reimage_device_drop_cache(file.number)
        self.file = file
        name = path
        identity = StoreIdentity(status)
        byteCount = length
        sectorSize = Int(sector)
        discardsToZeros = expected.discardsToZeros
        direct = file.reopenedDirect(O_RDWR)
        var abilities: StoreTraits.Abilities = direct == nil ? [] : .direct
        // A loop device says that it turns, whatever its file lies on.
        if reimage_device_rotational(file.number) == 1, !discardsToZeros { abilities.insert(.rotational) }
        traits = StoreTraits(abilities: abilities, alignment: Int(sector))
    }

    /// The bytes that were discarded so far.
    public var discardedByteCount: UInt64 { discarded.load(ordering: .relaxed) }

    func noteDiscarded(_ count: UInt64) { discarded.wrappingAdd(count, ordering: .relaxed) }

    /// The bytes as they are on the device.
    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let count = buffer.byteCount
        guard UInt64(count) <= byteCount, offset.value <= byteCount - UInt64(count) else {
            throw ImageError(
                .unreadable, "a read of \(count) bytes passes the end (\(byteCount) bytes)", at: .host(offset),
                file: name)
        }
        if direct == nil { _ = reimage_device_drop_cache(file.number) }
        if direct == nil || (buffer.isAligned && isOnSectors(offset, count)) {
            return try fill(&buffer, at: offset)
        }
        let (start, skip, length) = sectors(around: offset, count)
        var bounce = AlignedBuffer(byteCount: length)
        try bounce.withMutableBytes { (span) throws(ImageError) in try fill(&span, at: start) }
        bounce.withBytes(skip..<skip + count) { buffer.copy(from: $0) }
    }

    private func fill(_ buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let wanted = buffer.byteCount
        let count = try (direct ?? file).read(into: &buffer, at: offset)
        guard count == wanted else {
            throw ImageError(
                .unreadable, "the device became shorter while it was read", at: .host(offset + UInt64(count)),
                file: name)
        }
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        Extent(.data, count: min(limit, byteCount - offset.value))
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let count = bytes.byteCount
        guard count > 0 else { return }
        guard UInt64(count) <= byteCount, offset.value <= byteCount - UInt64(count) else {
            throw ImageError(
                .targetFailed, "a write of \(count) bytes passes the end (\(byteCount) bytes)", at: .host(offset),
                file: name)
        }
        if direct == nil || (bytes.isAligned && isOnSectors(offset, count)) {
            return try (direct ?? file).write(bytes, at: offset)
        }
        let (start, skip, length) = sectors(around: offset, count)
        // Whole sectors at an aligned address go as they are; what is left at the end is less than a sector.
        if skip == 0, bytes.isAligned, count > sectorSize {
            let whole = count / sectorSize * sectorSize
            try (direct ?? file).write(bytes.extracting(0..<whole), at: offset)
            return try write(bytes.extracting(whole..<count), at: offset + UInt64(whole))
        }
        try sectorLock.withLock { (_) throws(ImageError) in
            var bounce = AlignedBuffer(byteCount: length)
            if !isOnSectors(offset, count) {
                do throws(ImageError) {
                    try bounce.withMutableBytes { (span) throws(ImageError) in try fill(&span, at: start) }
                } catch {
                    throw ImageError(
                        .targetFailed, "a sector that is written in part cannot be read: \(error.message)",
                        at: error.place, file: name, advice: error.advice, systemCode: error.systemCode)
                }
            }
            bounce.withMutableBytes { $0.copy(from: bytes, at: skip) }
            try bounce.withBytes { (span) throws(ImageError) in try (direct ?? file).write(span, at: start) }
        }
    }

    private func isOnSectors(_ offset: HostOffset, _ count: Int) -> Bool {
        count.isMultiple(of: sectorSize) && offset.value.isMultiple(of: UInt64(sectorSize))
    }

    /// The whole sectors that hold `count` bytes from `offset`: where they start, how far in the bytes lie, their length.
    private func sectors(around offset: HostOffset, _ count: Int) -> (start: HostOffset, skip: Int, length: Int) {
        let start = offset.value.roundedDown(to: UInt64(sectorSize))
        let skip = Int(offset.value - start)
        return (HostOffset(start), skip, (skip + count + sectorSize - 1) / sectorSize * sectorSize)
    }

    /// A device keeps its length; only a demand for more than it has is an error.
    public func setByteCount(_ count: UInt64) throws(ImageError) {
        guard count > byteCount else { return }
        throw ImageError(.targetFailed, "is \(byteCount) bytes long, too short for \(count)", file: name)
    }

    public func sync() throws(ImageError) {
        // A failed sync is final: a second one would report success although the bytes are lost.
        guard reimage_sync(file.number) == 0 else {
            throw .system(.targetFailed, "what was written did not reach the medium", file: name)
        }
    }

    /// Lets the kernel read the partition table anew, through the descriptor that holds the device.
    /// - Returns: why its partitions are still the old ones, where they are.
    public func rereadPartitions() -> Note? {
        _ = reimage_device_drop_cache(file.number)
        guard reimage_device_reread(file.number) != 0 else { return nil }
        switch errno {
        // Devices without partitions of their own, such as most loop devices and partitions themselves.
        case EINVAL, ENOTTY: return nil
        case let code:
            return Note(
                "\(name): the kernel still has the old partitions (\(systemMessage(code))); "
                    + "unplug the device, or run: blockdev --rereadpt \(name)")
        }
    }
}
