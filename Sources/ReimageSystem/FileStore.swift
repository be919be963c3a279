internal import CReimageSystem
public import ReimageCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// How a store's bytes are reached.
public enum CachePolicy: Sendable, Hashable {
    /// Through the page cache.
    case cached
    /// Past the page cache, from the medium itself: for proof, and for reading once.
    case direct
}

/// A regular file opened for reading.
///
/// Its holes are found by SEEK_DATA and SEEK_HOLE. Any offset, length and address may be read; with
/// ``CachePolicy/direct``, what does not fit the medium's alignment goes through an aligned buffer.
public final class FileStore: ByteStore {
    public let id = StoreID()
    public let name: String
    public let identity: StoreIdentity?
    public let byteCount: UInt64
    public let allocatedByteCount: UInt64?
    public let modificationSeconds: Int64?
    public let traits: StoreTraits
    public var blockSource: BlockSource? { BlockSource(descriptor: reader.file.number) }
    private let reader: PositionalReader
    /// The run of data that was found last. The search for its end passes all of a file's pieces up to there, so it is
    /// not made anew for each part of the run, in whatever order they are asked for.
    private let data = Mutex(0..<UInt64(0))

    /// Opens the regular file at `path`.
    /// - Throws: `.unreadable` where it cannot be opened, `.invalidArgument` where it is no regular file.
    public convenience init(path: String, cache: CachePolicy = .cached) throws(ImageError) {
        try self.init(FileOpening.regular(path), cache: cache)
    }

    init(_ opening: FileOpening, cache: CachePolicy) throws(ImageError) {
        let file = opening.file
        name = file.name
        byteCount = opening.byteCount
        identity = opening.identity
        allocatedByteCount = opening.allocatedByteCount
        modificationSeconds = opening.modificationSeconds
        reader = try PositionalReader(file, cache: cache, byteCount: opening.byteCount)
        traits = StoreTraits(
            abilities: reader.isDirect ? [.reportsHoles, .direct] : .reportsHoles,
            alignment: AlignedBuffer.alignment)
    }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try reader.read(into: &buffer, at: offset)
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        let known = data.withLock { $0 }
        if known.contains(offset.value) { return Extent(.data, count: min(limit, known.upperBound - offset.value)) }
        let extent = reader.file.extent(at: offset, limit: byteCount - offset.value, byteCount: byteCount)
        if extent.kind == .data {
            let end = offset.value + extent.count
            data.withLock { $0 = min(offset.value, $0.upperBound == end ? $0.lowerBound : offset.value)..<end }
        }
        return Extent(extent.kind, count: min(limit, extent.count))
    }
}

extension FileDescriptor {
    /// The run of data or hole at `offset`, which lies below `byteCount`, the file's length.
    func extent(at offset: HostOffset, limit: UInt64, byteCount: UInt64) -> Extent {
        let most = min(limit, byteCount - offset.value)
        let data = reimage_seek_data(number, off_t(offset.value))
        if data < 0 {
            // ENXIO: nothing but a hole up to the end. Anything else: this file system cannot tell.
            return Extent(errno == ENXIO ? .hole : .data, count: most)
        }
        if UInt64(data) > offset.value { return Extent(.hole, count: min(most, UInt64(data) - offset.value)) }
        let hole = reimage_seek_hole(number, off_t(offset.value))
        guard hole > data else { return Extent(.data, count: most) }
        return Extent(.data, count: min(most, UInt64(hole) - offset.value))
    }
}

/// A block device opened for reading.
public final class BlockDeviceStore: ByteStore {
    public let id = StoreID()
    public let name: String
    public let identity: StoreIdentity?
    public let byteCount: UInt64
    public let traits: StoreTraits
    /// The logical sector in bytes.
    public let sectorSize: Int
    private let reader: PositionalReader

    /// Opens the block device at `path`.
    /// - Throws: `.unreadable` where it cannot be opened, `.invalidArgument` where it is no block device.
    public convenience init(path: String, cache: CachePolicy = .cached) throws(ImageError) {
        try self.init(FileOpening.blockDevice(path), cache: cache)
    }

    init(_ opening: FileOpening, cache: CachePolicy) throws(ImageError) {
        let file = opening.file
        name = file.name
        byteCount = opening.byteCount
        identity = opening.identity
        var sector: UInt32 = 512
        guard unsafe reimage_device_sector(file.number, &sector) == 0 else {
            throw .system(.unreadable, "the sector size cannot be found out", file: file.name)
        }
        sectorSize = Int(sector)
        // Sector by sector, so that one that cannot be read takes no other with it.
        reader = try PositionalReader(
            file, cache: cache, byteCount: opening.byteCount, unit: max(sectorSize, 512))
        var abilities: StoreTraits.Abilities = reader.isDirect ? .direct : []
        if reimage_device_rotational(file.number) == 1 { abilities.insert(.rotational) }
        traits = StoreTraits(abilities: abilities, alignment: max(sectorSize, 512))
    }

    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        try reader.read(into: &buffer, at: offset)
    }

    public func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        Extent(.data, count: min(limit, byteCount - offset.value))
    }
}
