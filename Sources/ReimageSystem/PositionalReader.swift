internal import CReimageSystem
internal import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Reads a file or device at any offset, through the page cache or past it.
///
/// Large reads through the cache take from it what it holds, and the rest past it: bringing fresh pages into the cache
/// is slower than the medium.
final class PositionalReader: Sendable {
    /// The least read for which the cache is left out where it is empty.
    private static let largeRead = 256 << 10

    let file: FileDescriptor
    private let direct: FileDescriptor?
    private let policy: CachePolicy
    private let byteCount: UInt64
    /// The least that direct I/O reads.
    private let unit: UInt64

    /// Whether reads go past the page cache.
    var isDirect: Bool { policy == .direct && direct != nil }

    /// Reads `file`, of `byteCount` bytes.
    ///
    /// Where the file system has no direct I/O (tmpfs on older kernels), the cached pages are dropped once instead.
    /// - Parameter unit: a multiple of what the medium reads at the least, a power of two: requests that are not aligned
    ///   to it take more of the medium than was asked for, and fail where that cannot be read.
    init(
        _ file: FileDescriptor, cache: CachePolicy, byteCount: UInt64, unit: Int = AlignedBuffer.alignment
    ) throws(ImageError) {
        self.file = file
        self.byteCount = byteCount
        policy = cache
        self.unit = UInt64(unit)
        direct = file.reopenedDirect(O_RDONLY)
        if direct == nil, cache == .direct { _ = reimage_drop_cache(file.number, 0, 0) }
    }

    /// Fills `buffer` from `offset`.
    /// - Throws: `.unreadable` on an I/O error and where the range passes the end.
    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        let count = buffer.byteCount
        guard UInt64(count) <= byteCount, offset.value <= byteCount - UInt64(count) else {
            throw ImageError(
                .unreadable, "a read of \(count) bytes passes the end (\(byteCount) bytes)", at: .host(offset),
                file: file.name)
        }
        let done: Int
        switch (policy, direct) {
        case (.direct, let direct?): done = try readDirect(direct, into: &buffer, at: offset)
        case (.cached, let direct?) where count >= Self.largeRead && buffer.isAligned && offset.isAligned:
            done = try readCachedFirst(direct, into: &buffer, at: offset)
        default: done = try file.read(into: &buffer, at: offset)
        }
        guard done == count else {
            throw ImageError(
                .unreadable, "the file became shorter while it was read", at: .host(offset + UInt64(done)),
                file: file.name)
        }
    }

    private func readCachedFirst(
        _ direct: FileDescriptor, into buffer: inout MutableRawSpan, at offset: HostOffset
    ) throws(ImageError) -> Int {
        let count = buffer.byteCount
        let cached = file.readCached(into: &buffer, at: offset) & ~(AlignedBuffer.alignment - 1)
        // What is left at the end of a file may be no whole block.
        let whole = cached + (count - cached) & ~(AlignedBuffer.alignment - 1)
        var done = cached
        if cached < whole {
            done += try buffer.withSlice(cached..<whole) { (slice) throws(ImageError) in
                try direct.read(into: &slice, at: offset + UInt64(cached))
            }
        }
        guard done == whole, whole < count else { return done }
        return try buffer.withSlice(whole..<count) { (slice) throws(ImageError) in
            try done + file.read(into: &slice, at: offset + UInt64(whole))
        }
    }

    private func readDirect(
        _ direct: FileDescriptor, into buffer: inout MutableRawSpan, at offset: HostOffset
    ) throws(ImageError) -> Int {
        if buffer.isAligned && offset.isAligned && buffer.byteCount.isMultiple(of: AlignedBuffer.alignment) {
            return try direct.read(into: &buffer, at: offset)
        }
        let start = offset.value.roundedDown(to: unit)
        let skip = Int(offset.value - start)
        let length = (skip + buffer.byteCount + Int(unit) - 1) / Int(unit) * Int(unit)
        var bounce = AlignedBuffer(byteCount: length)
        let got = try bounce.withMutableBytes { (span) throws(ImageError) in
            try direct.read(into: &span, at: HostOffset(start))
        }
        let usable = max(0, min(buffer.byteCount, got - skip))
        bounce.withBytes(skip..<skip + usable) { buffer.copy(from: $0) }
        return usable
    }
}

extension Offset {
    /// Whether direct I/O can start here on any medium.
    var isAligned: Bool { value.isMultiple(of: UInt64(AlignedBuffer.alignment)) }
}

extension MutableRawSpan {
    /// Whether the memory lies as direct I/O wants it.
    var isAligned: Bool {
        mutating get {
            // SAFETY: the address is looked at, not used.
            unsafe withUnsafeMutableBytes {
                UInt(bitPattern: $0.baseAddress).isMultiple(of: UInt(AlignedBuffer.alignment))
            }
        }
    }
}

extension RawSpan {
    /// Whether the memory lies as direct I/O wants it.
    var isAligned: Bool {
        // SAFETY: the address is looked at, not used.
        unsafe withUnsafeBytes {
            UInt(bitPattern: $0.baseAddress).isMultiple(of: UInt(AlignedBuffer.alignment))
        }
    }
}
