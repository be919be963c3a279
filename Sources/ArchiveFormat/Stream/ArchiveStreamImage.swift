internal import ReimageCore
internal import Synchronization

/// An archive in a pipe: described by what comes first, and read once.
final class ArchiveStreamImage: DiskImage {
    let format: FormatName = ArchiveFormat.formatName
    private let name: String
    private let description: ImageInfo
    private let stream: Mutex<ArchiveStream?>

    init(_ source: any ByteStream, note: @escaping @Sendable (Note) -> Void) throws(ImageError) {
        let stream = try ArchiveStream(source, note: note)
        name = stream.name
        var fields = stream.header.infoFields
        if let metadata = stream.metadata {
            fields.append(InfoField("metadata", JSONValue.object(metadata.members).info))
        }
        description = ImageInfo(
            virtualSize: stream.header.diskByteCount, clusterSize: UInt64(stream.readUnit),
            uniqueID: stream.header.uniqueID, specific: fields,
            remarks: [
                "The archive comes through a pipe: what stands at its end is not known before all of it was read."
            ])
        self.stream = Mutex(stream)
    }

    func content() throws(ImageError) -> DiskContent {
        guard let stream = stream.withLock({ $0.take() }) else {
            throw ImageError(
                .unsupported, "a pipe can be read only once", file: name, advice: "Save it to a file first.")
        }
        return .stream(stream)
    }

    func info() throws(ImageError) -> ImageInfo { description }
}
