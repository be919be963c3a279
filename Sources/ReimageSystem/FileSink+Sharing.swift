internal import CReimageSystem
public import ReimageCore

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Blocks shared with another file of the same file system (XFS, btrfs), so that a copy takes neither time nor space.
extension FileSink {
    /// Found out by sharing one block while the file is still empty: no table of file systems says what a mount, a file's
    /// flags and a subvolume come to together.
    public func sharedBlockSize(with source: BlockSource) -> Int? {
        // A shared run would have to be claimed where space is allocated ahead; there (ext4) no blocks are shared.
        guard space == nil, traits.contains(.startsZeroed), let status = try? file.status(.targetFailed),
            status.st_size == 0
        else {
            return nil
        }
        let unit = max(Int(status.st_blksize), AlignedBuffer.alignment)
        var other = stat()
        guard unsafe fstat(source.descriptor, &other) == 0, other.st_mode & S_IFMT == S_IFREG,
            Int(other.st_size) >= unit, unit & (unit - 1) == 0
        else { return nil }
        let isShared = shareBlocks(of: source, HostRange(start: .zero, count: UInt64(unit)), at: .zero)
        guard retrying({ ftruncate(file.number, 0) }) == 0, isShared else { return nil }
        return unit
    }

    public func shareBlocks(of source: BlockSource, _ range: HostRange, at offset: HostOffset) -> Bool {
        retrying {
            reimage_share_blocks(
                source.descriptor, off_t(range.start.value), off_t(range.count), file.number, off_t(offset.value))
        } == 0
    }
}
