internal import ReimageCore
internal import Synchronization

/// An open raw file or device.
struct RawImage: DiskImage {
    private let disk: RawDisk

    init(_ store: any ByteStore) { disk = RawDisk(store: store) }

    var format: FormatName { .raw }
    func content() throws(ImageError) -> DiskContent { .random(disk) }
    func info() throws(ImageError) -> ImageInfo { ImageInfo(virtualSize: disk.byteCount) }
}

/// An image in a pipe: its content can be had once.
final class OnceImage: DiskImage {
    let format: FormatName
    private let name: String
    private let description: ImageInfo
    private let stream: Mutex<(any DiskStream)?>

    init(format: FormatName, stream: any DiskStream, info: ImageInfo) {
        self.format = format
        name = stream.name
        description = info
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
