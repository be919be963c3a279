public import ReimageCore

/// QEMU's copy-on-write image, versions 2 and 3.
///
/// Images are read whole: every cluster size, zero and compressed clusters (deflate, zstd), extended L2 entries,
/// external data files, backing files, and internal snapshots. Encrypted images can be described, not read.
public struct QCOW2Format: ImageFormat {
    public let name: FormatName = "qcow2"
    public let summary = "QEMU copy-on-write image, versions 2 and 3"
    public let writerOptions: [WriterOption]? = WriterSettings.options

    public init() {}

    public func makeWriter(_ plan: WritePlan) throws(ImageError) -> any ImageWriter { try QCOW2Writer(plan) }

    /// The magic decides, also for version 1, which is another format under the same magic: ``open(_:_:)`` refuses it
    /// by name, where a guess at raw bytes would show its tables as a disk.
    public func probe(head: RawSpan, tail: RawSpan, byteCount: UInt64?) -> ProbeResult {
        guard head.byteCount >= 8, let magic = try? head.big(UInt32.self, at: 0), magic == Header.magic else {
            return .no
        }
        return .yes
    }

    /// Opens an image: reads its first cluster and its snapshot table, and opens the files it refers to.
    ///
    /// With `context.opensReferences` unset no other file is opened, and an image that needs one can only be described.
    /// - Throws: `.damaged` with the field's name and place; `.unsupported` for a version, feature or method that is
    ///   not known; `.refused` for a reference that is not allowed; `.invalidArgument` where `context.snapshot` names
    ///   no single snapshot.
    public func open(_ source: ImageSource, _ context: OpenContext) throws(ImageError) -> any DiskImage {
        do {
            return try QCOW2Image(source, context)
        } catch {
            throw error.inFile(source.name)
        }
    }
}
