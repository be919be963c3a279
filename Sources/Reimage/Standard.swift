internal import ArchiveFormat
internal import QCOW2Format
internal import RawFormat
public import ReimageCore
internal import VHDFormat

extension FormatRegistry {
    /// Every format that this package holds.
    public static let standard: FormatRegistry = {
        let disks: [any ImageFormat] = [QCOW2Format(), VHDFormat(), ArchiveFormat()]
        let inner = FormatRegistry(disks)
        let wrappers = WrappedRawFormat.all { head in
            inner.probe(head: head, tail: head.extracting(0..<0), byteCount: nil)?.format.name
        }
        return FormatRegistry(disks + wrappers + [RawFormat()])
    }()
}
