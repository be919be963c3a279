public import ReimageCore

/// The virtual hard disk of Virtual PC, Hyper-V and Azure, version 1: fixed, dynamic and differencing.
public struct VHDFormat: ImageFormat {
    public let name: FormatName = "vhd"
    public let aliases: [FormatName] = ["vpc"]
    public let summary = "virtual hard disk of Hyper-V, Azure and Virtual PC, version 1"

    public init() {}

    /// The cookie at the start decides; a fixed image has none, and is found by its footer where that agrees with the
    /// file in everything: a guest could have written it, but hardly by chance.
    public func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult {
        if head.byteCount >= Footer.byteCount, Footer.isOne(head) { return .yes }
        guard let byteCount else { return .no }
        for size in [Footer.byteCount, Footer.byteCount - 1] where tail.byteCount >= size {
            let bytes = tail.extracting(tail.byteCount - size..<tail.byteCount)
            guard let footer = Footer(decoding: bytes), footer.hasRightChecksum, footer.version == Footer.version
            else { continue }
            let start = byteCount - UInt64(size)
            switch footer.kind {
            case .fixed where footer.dataOffset == Footer.noHeader && footer.currentSize == start:
                return .likely(
                    Note("its footer is that of a fixed VHD, so it is read as one; pass -f raw if it is a raw disk"))
            case .dynamic where footer.dataOffset < start, .differencing where footer.dataOffset < start:
                return .likely(
                    Note("its footer is that of a VHD whose start is damaged; pass -f raw if it is a raw disk"))
            default: continue
            }
        }
        return .no
    }

    /// Opens an image: reads its footers, its dynamic header and the names of its parent.
    ///
    /// Of `context.options` it takes `vhd-size` (`current`, `chs`), `vhd-footer` (`head`, `tail`), `ignore-checksums` and
    /// `ignore-parent-id` (`on`). The parent is opened by ``DiskImage/content()``, which needs it.
    /// - Throws: `.damaged` with the field's place; `.unsupported` for a kind or version that is not known;
    ///   `.invalidArgument` for an option that cannot be.
    public func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
        do {
            return try VHDImage(source, context)
        } catch {
            throw error.inFile(source.name)
        }
    }
}
