internal import CReimageSystem
public import ReimageCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// A regular file that is written at positions, from many threads at once.
///
/// Whole aligned blocks go past the page cache, which is faster for fresh data and leaves nothing to be lost between
/// a write and its sync; the rest, a head or tail of less than a block, goes through it. The two never share a page:
/// a page is either written whole by one call or left to the cache.
public final class FileSink: ByteSink {
    public let name: String
    public let traits: StoreTraits
    let file: FileDescriptor
    private let direct: FileDescriptor?
    private let keepsLength: Bool
    /// What is allocated ahead of the writes, where that is done.
    let space: SpaceAhead?
    /// How far the writeback of what went through the cache was begun.
    private let writtenBack = Atomic<UInt64>(0)
    /// How much is gathered before it is begun.
    private static let writebackUnit: UInt64 = 4 << 20

    /// Writes the open `file`.
    ///
    /// - Parameters:
    ///   - startsZeroed: every byte reads as zero already, so that a run of zeros is had by not writing it.
    ///   - keepsLength: the file is as long as it is to be; a demand for more is an error, one for less is met.
    ///   - isNew: the file is empty and not yet of use to anybody, so that its space may be allocated ahead of the
    ///     writes, up to the next ``sync()``.
    init(
        _ file: FileDescriptor, startsZeroed: Bool, keepsLength: Bool = false, isNew: Bool = false, cache: CachePolicy
    ) {
        self.file = file
        self.keepsLength = keepsLength
        name = file.name
        direct = cache == .direct ? file.reopenedDirect(O_WRONLY) : nil
        space = isNew && direct != nil ? SpaceAhead(file) : nil
        var abilities: StoreTraits.Abilities = .punchesHoles
        if startsZeroed { abilities.insert(.startsZeroed) }
        if direct != nil { abilities.insert(.direct) }
        traits = StoreTraits(
            abilities: abilities, alignment: AlignedBuffer.alignment, requestSize: direct == nil ? 1 << 20 : 2 << 20)
    }

    /// Opens the existing file at `path` to be written over in place; it keeps its length.
    ///
    /// - Parameter isZero: the caller's word that the file reads as zeros throughout.
    /// - Throws: `.targetFailed` where it cannot be opened, `.invalidArgument` where it is no regular file.
    public convenience init(
        overwriting path: String, isZero: Bool = false, cache: CachePolicy = .direct
    ) throws(ImageError) {
        guard let file = FileDescriptor.open(path, O_RDWR) else {
            throw .system(.targetFailed, "cannot be opened for writing", file: path)
        }
        guard FileKind(mode: try file.status(.targetFailed).st_mode) == .regular else {
            throw ImageError(.invalidArgument, "is no regular file", file: path)
        }
        guard reimage_lock(file.number) == 0 else {
            throw .system(.targetFailed, "is being written by another process", file: path)
        }
        self.init(file, startsZeroed: isZero, keepsLength: true, cache: cache)
    }

    /// The length of the file now, in bytes.
    public func currentByteCount() throws(ImageError) -> UInt64 {
        if let space { return space.byteCount }
        return UInt64(try file.status(.targetFailed).st_size)
    }

    public func write(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        space?.claim(HostRange(start: offset, count: UInt64(bytes.byteCount)))
        do throws(ImageError) {
            try writeClaimed(bytes, at: offset)
        } catch  where error.isLackOfSpace && space?.release() == true {
            // Space that was only borrowed ahead is not what a copy fails for.
            try writeClaimed(bytes, at: offset)
        }
    }

    private func writeClaimed(_ bytes: RawSpan, at offset: HostOffset) throws(ImageError) {
        let whole = bytes.byteCount & ~(AlignedBuffer.alignment - 1)
        guard let direct, whole > 0, offset.isAligned, bytes.isAligned else {
            try file.write(bytes, at: offset)
            return startWriteback(behind: offset.value + UInt64(bytes.byteCount))
        }
        do throws(ImageError) {
            try direct.write(bytes.extracting(0..<whole), at: offset)
        } catch  where error.systemCode == EINVAL {
            // A file system may take O_DIRECT at opening and not at writing.
            return try file.write(bytes, at: offset)
        }
        if whole < bytes.byteCount {
            try file.write(bytes.extracting(whole..<bytes.byteCount), at: offset + UInt64(whole))
        }
    }

    /// Lets the kernel write what lies a good way behind `end`, so that the medium works all the while, and not only when
    /// the file is synced.
    private func startWriteback(behind end: UInt64) {
        let begun = writtenBack.load(ordering: .relaxed)
        let next = end.roundedDown(to: Self.writebackUnit)
        guard next >= begun + 2 * Self.writebackUnit else { return }
        let stop = next - Self.writebackUnit
        let isMine = writtenBack.compareExchange(expected: begun, desired: stop, ordering: .relaxed).exchanged
        if isMine { reimage_start_writeback(file.number, off_t(begun), off_t(stop - begun)) }
    }

    /// Fills `buffer` with what was written from `offset` on.
    /// - Throws: `.targetFailed` where the file ends before, or cannot be read.
    public func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let wanted = buffer.byteCount
        do throws(ImageError) {
            guard try file.read(into: &buffer, at: offset) == wanted else {
                throw ImageError(.targetFailed, "is shorter than what was written", at: .host(offset), file: name)
            }
        } catch {
            var error = error
            error.code = .targetFailed
            throw error
        }
    }

    public func zero(_ range: HostRange, mode: ZeroMode) throws(ImageError) {
        guard !range.isEmpty else { return }
        switch mode {
        case .sparse:
            if traits.contains(.startsZeroed) { return }
            if reimage_punch_hole(file.number, off_t(range.start.value), off_t(range.count)) == 0 { return }
            try writeZeros(range)
        case .allocated:
            space?.claim(range)
            let isNew = traits.contains(.startsZeroed)
            let done =
                isNew
                ? reimage_reserve(file.number, off_t(range.start.value), off_t(range.count))
                : reimage_zero_range(file.number, off_t(range.start.value), off_t(range.count))
            if done == 0 { return }
            guard errno != ENOSPC || space?.release() == true else {
                throw .system(.targetFailed, "space cannot be reserved", file: name)
            }
            try writeZeros(range)
        case .written:
            try writeZeros(range)
        }
    }

    private func writeZeros(_ range: HostRange) throws(ImageError) {
        let zeros = AlignedBuffer(byteCount: Int(min(range.count, 1 << 20)))
        var offset = range.start
        while offset < range.end {
            let count = min(range.end - offset, UInt64(zeros.byteCount))
            try zeros.withBytes(0..<Int(count)) { (span) throws(ImageError) in try write(span, at: offset) }
            offset += count
        }
    }

    public func setByteCount(_ count: UInt64) throws(ImageError) {
        if keepsLength {
            let length = try currentByteCount()
            guard count <= length else {
                throw ImageError(
                    .targetFailed, "is \(length) bytes long, too short for \(count)", file: name,
                    advice: "Make it longer first, or leave -n away to have it made anew.")
            }
            return
        }
        guard let length = off_t(exactly: count) else {
            throw ImageError(.targetFailed, "no file can be \(count) bytes long", file: name)
        }
        space?.setByteCount(count)
        guard retrying({ ftruncate(file.number, length) }) == 0 else {
            throw .system(.targetFailed, "cannot be made \(count) bytes long", file: name)
        }
    }

    public func sync() throws(ImageError) {
        try space?.settle()
        // A failed sync is final: a second one would report success although the pages are lost.
        guard reimage_sync(file.number) == 0 else {
            throw .system(.targetFailed, "what was written did not reach the medium", file: name)
        }
    }
}
