internal import ReimageCore

/// The first cluster of a new image: header, extensions, and the name of the backing file.
/// - Source: qcow2 specification, "Header", "Header extensions", "Feature name table".
struct HeaderEncoding {
    /// The length of the header with every field that is known.
    private static let length = 112
    /// Smaller clusters have little room, and do without the names of feature bits.
    private static let leastClusterWithNames: UInt64 = 8192

    /// The bits that programs may meet, with the names by which they are reported.
    private static let featureNames: [(mask: FeatureNames.Mask, bit: UInt8, name: String)] = [
        (.incompatible, 0, "dirty bit"), (.incompatible, 1, "corrupt bit"), (.incompatible, 2, "external data file"),
        (.incompatible, 3, "compression type"), (.incompatible, 4, "extended L2 entries"),
        (.compatible, 0, "lazy refcounts"), (.autoclear, 0, "bitmaps"), (.autoclear, 1, "raw external data"),
    ]

    let settings: WriterSettings
    /// The disk's length in bytes, a multiple of 512.
    let byteCount: UInt64
    let l1: (place: HostOffset, count: Int)
    let refcounts: (table: HostOffset, clusters: UInt64)

    /// The bytes from the start of the file.
    /// - Throws: `.invalidArgument` where the names do not fit the first cluster.
    func bytes() throws(ImageError) -> [UInt8] {
        var bytes = fixedPart()
        if let format = settings.backingFormat {
            try append(Extensions.Kind.backingFormat, format, to: &bytes, most: Extensions.longestFormatName)
        }
        if let file = settings.dataFile { try append(Extensions.Kind.dataFile, file.name, to: &bytes, most: 1023) }
        if settings.version >= 3, UInt64(1) << settings.clusterBits >= Self.leastClusterWithNames {
            appendFeatureNames(to: &bytes)
        }
        bytes += [UInt8](repeating: 0, count: 8)  // the end of the extensions
        if let name = settings.backingName {
            let text = Array(name.utf8)
            guard (1...Int(Header.longestBackingName)).contains(text.count), !text.contains(0) else {
                throw ImageError(
                    .invalidArgument, "the name of the backing file has \(text.count) bytes; 1 to 1023 can be stored")
            }
            bytes.withMutableBytes { [count = bytes.count] header in
                header.storeBig(UInt64(count), at: Header.Field.backingFileOffset)
                header.storeBig(UInt32(text.count), at: Header.Field.backingFileSize)
            }
            bytes += text
        }
        guard UInt64(bytes.count) <= 1 << settings.clusterBits else {
            throw ImageError(
                .invalidArgument, "the names of other files do not fit a cluster of \(1 << settings.clusterBits) bytes",
                advice: "Take larger clusters or shorter names.")
        }
        bytes += [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
        return bytes
    }

    private func fixedPart() -> [UInt8] {
        let isVersion3 = settings.version >= 3
        var bytes = [UInt8](repeating: 0, count: isVersion3 ? Self.length : Header.version2Length)
        bytes.withMutableBytes { header in
            header.storeBig(Header.magic, at: Header.Field.magic)
            header.storeBig(settings.version, at: Header.Field.version)
            header.storeBig(UInt32(settings.clusterBits), at: Header.Field.clusterBits)
            header.storeBig(byteCount, at: Header.Field.size)
            header.storeBig(UInt32(l1.count), at: Header.Field.l1Size)
            header.storeBig(l1.place.value, at: Header.Field.l1TableOffset)
            header.storeBig(refcounts.table.value, at: Header.Field.refcountTableOffset)
            header.storeBig(UInt32(refcounts.clusters), at: Header.Field.refcountTableClusters)
            guard isVersion3 else { return }
            header.storeBig(incompatible.rawValue, at: Header.Field.incompatibleFeatures)
            header.storeBig(compatible.rawValue, at: Header.Field.compatibleFeatures)
            header.storeBig(autoclear.rawValue, at: Header.Field.autoclearFeatures)
            header.storeBig(UInt32(settings.refcountOrder), at: Header.Field.refcountOrder)
            header.storeBig(UInt32(Self.length), at: Header.Field.headerLength)
            header.storeBig(settings.compressionType.rawValue, at: Header.Field.compressionType)
        }
        return bytes
    }

    private var incompatible: IncompatibleFeatures {
        var features: IncompatibleFeatures = []
        if settings.dataFile != nil { features.insert(.dataFile) }
        if settings.compressionType != .zlib { features.insert(.compressionType) }
        if settings.hasSubclusters { features.insert(.extendedL2) }
        return features
    }

    private var compatible: CompatibleFeatures { settings.hasLazyRefcounts ? .lazyRefcounts : [] }

    private var autoclear: AutoclearFeatures { settings.dataFileIsRaw ? .rawDataFile : [] }

    private func append(_ kind: UInt32, _ text: String, to bytes: inout [UInt8], most: Int) throws(ImageError) {
        let text = Array(text.utf8)
        guard (1...most).contains(text.count), !text.contains(0) else {
            throw ImageError(
                .invalidArgument, "the name '\(String(decoding: text, as: UTF8.self))' cannot be stored in the header",
                advice: "It may have 1 to \(most) bytes.")
        }
        append(kind, text, to: &bytes)
    }

    private func append(_ kind: UInt32, _ data: [UInt8], to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes += [UInt8](repeating: 0, count: 8)
        bytes.withMutableBytes { header in
            header.storeBig(kind, at: start)
            header.storeBig(UInt32(data.count), at: start + 4)
        }
        bytes += data + [UInt8](repeating: 0, count: (8 - data.count % 8) % 8)
    }

    private func appendFeatureNames(to bytes: inout [UInt8]) {
        var table: [UInt8] = []
        for feature in Self.featureNames {
            let name = Array(feature.name.utf8)
            table += [feature.mask.rawValue, feature.bit] + name + [UInt8](repeating: 0, count: 46 - name.count)
        }
        append(Extensions.Kind.featureNames, table, to: &bytes)
    }
}
