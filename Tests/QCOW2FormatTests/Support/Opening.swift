import QCOW2Format
import ReimageCore
import ReimageTesting
import Synchronization
import Testing

/// Opens an image from memory.
func open(
    _ bytes: [UInt8], _ references: FakeResolver? = nil, snapshot: String? = nil, opensReferences: Bool = true,
    note: @escaping @Sendable (Note) -> Void = { _ in }
) throws(ImageError) -> any DiskImage {
    let context = OpenContext(
        references: references, snapshot: snapshot, opensReferences: opensReferences, note: note)
    return try QCOW2Format().open(ImageSource(store: MemoryStore(bytes, name: "test.qcow2")), context)
}

/// The disk of an image.
func device(_ image: any DiskImage) throws(ImageError) -> any BlockDevice {
    guard case .random(let device) = try image.content() else { throw .damaged("the image gave a stream") }
    return device
}

/// The guest's bytes of `range`, or all of them.
func read(_ device: any BlockDevice, _ range: Range<UInt64>? = nil) throws(ImageError) -> [UInt8] {
    try read(try device.makeCursor(), range ?? 0..<device.byteCount)
}

func read(_ cursor: any DiskCursor, _ range: Range<UInt64>) throws(ImageError) -> [UInt8] {
    // Not zero at first: a byte that is not written shows.
    var bytes = [UInt8](repeating: 0xEE, count: range.count)
    try bytes.withMutableBytes { (span) throws(ImageError) in
        try cursor.read(into: &span, at: GuestOffset(range.lowerBound))
    }
    return bytes
}

/// The guest's bytes of an image's disk.
func contents(
    _ bytes: [UInt8], _ references: FakeResolver? = nil, snapshot: String? = nil
) throws(ImageError) -> [UInt8] {
    try read(try device(try open(bytes, references, snapshot: snapshot)))
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

/// The error of `body`, which must fail with `code`, name `field` and a place.
func expectError(
    _ code: ImageError.Code, _ field: String, location: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) {
    let error = #expect(throws: ImageError.self, sourceLocation: location) { try body() }
    guard let error else { return }
    #expect(error.code == code, "\(error)", sourceLocation: location)
    #expect(error.message.contains(field), "\(error)", sourceLocation: location)
    #expect(error.place != nil, "\(error)", sourceLocation: location)
    #expect(error.file != nil, "\(error)", sourceLocation: location)
}

/// References from memory, by name.
struct FakeResolver: ReferenceResolver {
    var images: [String: [UInt8]] = [:]
    var streams: Set<String> = []
    var stores: [String: [UInt8]] = [:]
    let asked = Asked()

    final class Asked: Sendable {
        let references = Mutex<[Reference]>([])
    }

    func openImage(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any DiskImage {
        asked.references.withLock { $0.append(reference) }
        if streams.contains(reference.name) { return StreamImage() }
        guard let bytes = images[reference.name] else { throw missing(reference) }
        if reference.format == .raw { return RawImage(store: MemoryStore(bytes, name: reference.name, holeSize: 512)) }
        return try QCOW2Format().open(
            ImageSource(store: MemoryStore(bytes, name: reference.name)), OpenContext(references: self))
    }

    func openStore(_ reference: Reference, of source: ImageSource) throws(ImageError) -> any ByteStore {
        asked.references.withLock { $0.append(reference) }
        guard let bytes = stores[reference.name] else { throw missing(reference) }
        return MemoryStore(bytes, name: reference.name)
    }

    private func missing(_ reference: Reference) -> ImageError {
        ImageError(
            .unreadable, "the \(reference.role) '\(reference.name)' is not there", at: .host(.zero), file: "test")
    }
}

/// A disk of plain bytes.
struct RawImage: DiskImage, BlockDevice {
    let store: MemoryStore
    var format: FormatName { .raw }
    var byteCount: UInt64 { store.byteCount }
    var sectorSize: Int { 512 }
    var stores: [any ByteStore] { [store] }

    func content() throws(ImageError) -> DiskContent { .random(self) }
    func info() throws(ImageError) -> ImageInfo { ImageInfo(virtualSize: byteCount) }

    func extent(
        at offset: GuestOffset, limit: UInt64, layers: Layers, detail: ExtentDetail
    ) throws(ImageError) -> Extent {
        let place = HostOffset(offset.value)
        let host = try store.extent(at: place, limit: limit)
        if host.kind == .hole { return Extent(.zero, count: host.count) }
        return Extent(.data, count: host.count, stored: StoredRun(store: store.id, offset: place, count: host.count))
    }

    func makeCursor() throws(ImageError) -> any DiskCursor { Cursor(store: store) }

    final class Cursor: DiskCursor {
        let store: MemoryStore
        init(store: MemoryStore) { self.store = store }
        func read(into buffer: inout MutableRawSpan, at offset: GuestOffset) throws(ImageError) {
            try store.read(into: &buffer, at: HostOffset(offset.value))
        }
    }
}

/// An image that can only be read front to back.
struct StreamImage: DiskImage {
    final class Stream: DiskStream {
        let name = "stream"
        let byteCount: UInt64? = nil
        func read(into buffer: inout OutputRawSpan) throws(ImageError) {}
    }

    var format: FormatName { .raw }
    func content() throws(ImageError) -> DiskContent { .stream(Stream()) }
    func info() throws(ImageError) -> ImageInfo { ImageInfo(virtualSize: nil) }
}

/// A store that counts reads.
final class CountingStore: ByteStore {
    let inner: MemoryStore
    let reads = Atomic<Int>(0)

    init(_ bytes: [UInt8]) { inner = MemoryStore(bytes, name: "counted") }

    var id: StoreID { inner.id }
    var name: String { inner.name }
    var identity: StoreIdentity? { nil }
    var byteCount: UInt64 { inner.byteCount }
    var traits: StoreTraits { inner.traits }

    func read(into buffer: inout MutableRawSpan, at offset: HostOffset) throws(ImageError) {
        reads.add(1, ordering: .relaxed)
        try inner.read(into: &buffer, at: offset)
    }

    func extent(at offset: HostOffset, limit: UInt64) throws(ImageError) -> Extent {
        try inner.extent(at: offset, limit: limit)
    }
}

/// A store that reports runs of 4 KiB zeros as holes.
enum MemoryStoreWithHoles {
    static func make(_ bytes: [UInt8]) -> MemoryStore { MemoryStore(bytes, name: "holes", holeSize: 4096) }
}

/// Opens an image from any store.
func openStore(_ store: any ByteStore) throws(ImageError) -> any DiskImage {
    try QCOW2Format().open(ImageSource(store: store), OpenContext())
}
