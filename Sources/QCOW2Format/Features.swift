internal import ReimageCore

/// What a reader must know to read the image at all.
/// - Source: qcow2 specification, "Header", bytes 72 to 79.
struct IncompatibleFeatures: OptionSet, Sendable {
    let rawValue: UInt64

    /// Refcounts may be stale; the mapping is right.
    static let dirty = IncompatibleFeatures(rawValue: 1 << 0)
    /// A tool found the structures damaged.
    static let corrupt = IncompatibleFeatures(rawValue: 1 << 1)
    /// Guest data lies in another file.
    static let dataFile = IncompatibleFeatures(rawValue: 1 << 2)
    /// Compressed clusters are not deflate.
    static let compressionType = IncompatibleFeatures(rawValue: 1 << 3)
    /// L2 entries are 16 bytes long and have subclusters.
    static let extendedL2 = IncompatibleFeatures(rawValue: 1 << 4)

    static let known: IncompatibleFeatures = [.dirty, .corrupt, .dataFile, .compressionType, .extendedL2]
}

/// What a reader may ignore.
/// - Source: qcow2 specification, "Header", bytes 80 to 87.
struct CompatibleFeatures: OptionSet, Sendable {
    let rawValue: UInt64

    /// Writers may put off refcounts while the image is dirty.
    static let lazyRefcounts = CompatibleFeatures(rawValue: 1 << 0)
}

/// What a writer must clear where it does not know it.
/// - Source: qcow2 specification, "Header", bytes 88 to 95.
struct AutoclearFeatures: OptionSet, Sendable {
    let rawValue: UInt64

    /// The bitmaps agree with the guest's data.
    static let bitmaps = AutoclearFeatures(rawValue: 1 << 0)
    /// The data file alone is the disk as raw bytes.
    static let rawDataFile = AutoclearFeatures(rawValue: 1 << 1)
}

/// How guest data is encrypted.
enum CryptMethod: UInt32, Sendable {
    case none = 0
    case aes = 1
    case luks = 2

    init(number: UInt32) throws(ImageError) {
        guard let method = CryptMethod(rawValue: number) else {
            throw ImageError(
                .unsupported, "crypt_method \(number) is not known",
                at: .host(HostOffset(UInt64(Header.Field.cryptMethod))))
        }
        self = method
    }

    /// The name that `info` shows.
    var name: String {
        switch self {
        case .none: "none"
        case .aes: "aes"
        case .luks: "luks"
        }
    }
}

/// How compressed clusters are coded.
/// - Source: qcow2 specification, "Additional fields", compression_type.
enum CompressionType: UInt8, Sendable {
    case zlib = 0
    case zstd = 1

    /// The name that `info` shows.
    var name: String { self == .zlib ? "zlib" : "zstd" }
    /// The codec of the stored bytes.
    var codec: Codec { self == .zlib ? .deflate : .zstd }
}

extension Header {
    /// Refuses what this reader does not know, and features that contradict each other.
    /// - Parameter names: the names that the image itself gives to its feature bits.
    /// - Throws: `.unsupported` with the names of unknown bits, `.damaged` for a contradiction.
    func checkFeatures(names: FeatureNames) throws(ImageError) -> CompressionType {
        let unknown = incompatible.subtracting(.known).rawValue
        guard unknown == 0 else {
            let list = (0..<64).filter { unknown >> UInt64($0) & 1 == 1 }
                .map { names.name(of: .incompatible, bit: $0) }.joined(separator: ", ")
            throw ImageError(
                .unsupported, "incompatible_features asks for what this version cannot read: \(list)",
                at: .host(HostOffset(UInt64(Field.incompatibleFeatures))))
        }
        guard !autoclear.contains(.rawDataFile) || incompatible.contains(.dataFile) else {
            throw .damaged(
                "autoclear_features: data-file-raw is set without a data file",
                at: HostOffset(UInt64(Field.autoclearFeatures)))
        }
        guard !incompatible.contains(.extendedL2) || clusterBits >= 14 else {
            throw .damaged(
                "cluster_bits is \(clusterBits): extended L2 entries need clusters of 16 KiB (14) at least",
                at: HostOffset(UInt64(Field.clusterBits)))
        }
        return try compression()
    }

    private func compression() throws(ImageError) -> CompressionType {
        let place = HostOffset(UInt64(Field.compressionType))
        guard (compressionType != 0) == incompatible.contains(.compressionType) else {
            throw .damaged("compression_type \(compressionType) contradicts bit 3 of incompatible_features", at: place)
        }
        guard let type = CompressionType(rawValue: compressionType) else {
            throw ImageError(.unsupported, "compression_type \(compressionType) is not known", at: .host(place))
        }
        return type
    }
}
