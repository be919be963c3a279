internal import ReimageCore

/// A footer or header as it is stored: changes keep what this version does not know of.
struct StoredStructure {
    private(set) var bytes: [UInt8]
    private let checksum: Int

    /// The footer at `place`; one byte at its end may be missing.
    init(footerAt place: HostOffset, in store: any ByteStore) throws(ImageError) {
        let count = min(UInt64(Footer.byteCount), store.byteCount - min(store.byteCount, place.value))
        bytes = try store.bytes(at: place, count: Int(count))
        bytes += [UInt8](repeating: 0, count: Footer.byteCount - bytes.count)
        checksum = Footer.Field.checksum
    }

    /// The dynamic header at `place`.
    init(headerAt place: HostOffset, in store: any ByteStore) throws(ImageError) {
        bytes = try store.bytes(at: place, count: DynamicHeader.byteCount)
        checksum = DynamicHeader.Field.checksum
    }

    /// Changes a field; ``seal()`` makes the checksum right again.
    mutating func set<Number: FixedWidthInteger & BitwiseCopyable>(_ field: Int, to value: Number) {
        bytes.withMutableBytes { $0.storeBig(value, at: field) }
    }

    mutating func seal() throws(ImageError) {
        let sum = try bytes.withBytes { (span) throws(ImageError) in try structureChecksum(span, field: checksum) }
        set(checksum, to: sum)
    }
}

extension UpdatableStore {
    func write(_ bytes: [UInt8], at place: HostOffset) throws(ImageError) {
        try bytes.withBytes { (span) throws(ImageError) in try write(span, at: place) }
    }

    /// Writes `structure`'s first sector, which has all fields that change: the medium writes it whole or not at all.
    func write(firstSectorOf structure: StoredStructure, at place: HostOffset) throws(ImageError) {
        try write(Array(structure.bytes.prefix(Int(Geometry.sectorSize))), at: place)
    }
}
