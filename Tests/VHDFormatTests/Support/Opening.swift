import ReimageCore
import ReimageTesting
import Synchronization
import Testing
import VHDFormat

/// Opens an image from memory.
func open(
    _ bytes: [UInt8], _ references: FakeResolver? = nil, options: [String: String] = [:],
    opensReferences: Bool = true, note: @escaping @Sendable (Note) -> Void = { _ in }
) throws(ImageError) -> any DiskImage {
    let context = OpenContext(
        references: references, options: options, opensReferences: opensReferences, note: note)
    return try VHDFormat().open(ImageSource(store: MemoryStore(bytes, name: "test.vhd", holeSize: 512)), context)
}

/// The disk of an image.
func device(_ image: any DiskImage) throws(ImageError) -> any BlockDevice {
    guard case .random(let device) = try image.content() else { throw .damaged("the image gave a stream") }
    return device
}

/// The guest's bytes of an image's disk.
func contents(
    _ bytes: [UInt8], _ references: FakeResolver? = nil, options: [String: String] = [:]
) throws(ImageError) -> [UInt8] {
    try open(bytes, references, options: options).content().allBytes()
}

/// The notes of opening an image and its disk.
func notes(
    _ bytes: [UInt8], _ references: FakeResolver? = nil, options: [String: String] = [:]
) throws(ImageError) -> [String] {
    let notes = Notes()
    _ = try open(bytes, references, options: options, note: notes.take).content()
    return notes.all
}

/// Takes notes from any thread.
final class Notes: Sendable {
    private let texts = Mutex<[String]>([])
    var all: [String] { texts.withLock { $0 } }
    var take: @Sendable (Note) -> Void { { note in self.texts.withLock { $0.append(note.text) } } }
}

/// All extents of a disk, neighbours that the disk did not merge left as they are.
func extents(
    _ device: any BlockDevice, layers: Layers = .flattened, detail: ExtentDetail = .tables
) throws(ImageError) -> [Extent] {
    var all: [Extent] = []
    var position: UInt64 = 0
    while position < device.byteCount {
        let extent = try device.extent(at: GuestOffset(position), limit: .max, layers: layers, detail: detail)
        guard extent.count > 0, extent.count <= device.byteCount - position else {
            throw .damaged("extent of \(extent.count) bytes at \(position) of \(device.byteCount)")
        }
        all.append(extent)
        position += extent.count
    }
    return all
}

/// What an extent says, without the store it cannot know.
func shape(_ extents: [Extent]) -> [String] {
    extents.map { "\($0.kind) \($0.count) depth \($0.depth)\($0.stored.map { " at \($0.offset)" } ?? "")" }
}

/// The error of `body`, which must fail with `code`, name `text`, the file, and `place` in it where one is given.
func expectError(
    _ code: ImageError.Code, _ text: String, at place: Int? = nil, location: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) {
    let error = #expect(throws: ImageError.self, sourceLocation: location) { try body() }
    guard let error else { return }
    #expect(error.code == code, "\(error)", sourceLocation: location)
    #expect(error.message.contains(text), "\(error)", sourceLocation: location)
    #expect(error.file != nil, "\(error)", sourceLocation: location)
    if let place { #expect(error.place == .host(HostOffset(UInt64(place))), "\(error)", sourceLocation: location) }
}

/// References from memory, by name; as a resolver of files does, it takes the first that is accepted.
struct FakeResolver: ReferenceResolver {
    var images: [String: [UInt8]] = [:]
    var options: [String: String] = [:]
    let asked = Asked()

    final class Asked: Sendable {
        let references = Mutex<[Reference]>([])
        var all: [Reference] { references.withLock { $0 } }
    }

    func openImage(
        _ reference: Reference, of source: ImageSource, accept: (any DiskImage) throws(ImageError) -> Void
    ) throws(ImageError) -> any DiskImage {
        asked.references.withLock { $0.append(reference) }
        var failure: ImageError?
        for name in [reference.name] + reference.otherNames {
            guard let bytes = images[name] else { continue }
            do throws(ImageError) {
                let store = MemoryStore(bytes, name: name, holeSize: 512)
                let image = try VHDFormat().open(
                    ImageSource(store: store), OpenContext(references: self, options: options))
                try accept(image)
                return image
            } catch {
                failure = failure ?? error
            }
        }
        throw failure
            ?? ImageError(.unreadable, "the \(reference.role) '\(reference.name)' is not there", file: source.name)
    }

    func openImage(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any DiskImage {
        try openImage(reference, of: source) { _ in }
    }

    func openStore(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any ByteStore {
        throw ImageError(.unsupported, "a VHD has no other files")
    }
}
