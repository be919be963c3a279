internal import ReimageCore

/// What follows the header in cluster 0: extensions, and the name of the backing file.
/// - Source: qcow2 specification, "Header extensions".
struct Extensions: Sendable {
    /// The numbers of the extensions that this reader knows.
    enum Kind {
        static let end: UInt32 = 0
        static let backingFormat: UInt32 = 0xE279_2ACA
        static let featureNames: UInt32 = 0x6803_F857
        static let bitmaps: UInt32 = 0x2385_2875
        static let encryption: UInt32 = 0x0537_BE77
        static let dataFile: UInt32 = 0x4441_5441
    }

    /// The longest name of a format.
    static let longestFormatName = 15

    /// The name of the backing file; `nil` where there is none.
    private(set) var backingName: String?
    /// The backing file's format as stored; `nil` where the image leaves it open.
    private(set) var backingFormat: String?
    /// The name of the data file; `nil` where none is stored.
    private(set) var dataFileName: String?
    /// The names of feature bits.
    private(set) var featureNames = FeatureNames()
    /// Where the bitmaps are listed, with the place of the extension's data; not yet checked.
    private(set) var bitmaps: (place: HostOffset, data: [UInt8])?
    /// Where the LUKS header lies.
    private(set) var encryption: HostRange?

    private var seen: Set<UInt32> = []

    /// Reads the rest of cluster 0.
    /// - Parameter cluster: the file's first bytes: a cluster, or all where the file is shorter.
    /// - Throws: `.damaged` where an extension passes its area or has a length that it cannot have.
    init(cluster: RawSpan, header: Header) throws(ImageError) {
        guard header.length <= cluster.byteCount else {
            throw .damaged(
                "header_length is \(header.length), past the end of the file (\(cluster.byteCount) bytes)",
                at: HostOffset(UInt64(Header.Field.headerLength)))
        }
        // The area ends where the name begins, or with the cluster.
        let nameOffset = Int(header.backingFileOffset)
        let end = min(nameOffset == 0 ? Int(header.clusterSize) : nameOffset, cluster.byteCount)
        var position = header.length
        while position + 8 <= end {
            let kind = try cluster.big(UInt32.self, at: position)
            if kind == Kind.end { break }
            let count = Int(try cluster.big(UInt32.self, at: position + 4))
            guard count <= end - position - 8 else {
                throw .damaged(
                    "header extension \(Self.hex(kind)) of \(count) bytes passes the end of its area (\(end))",
                    at: HostOffset(UInt64(position)))
            }
            try take(kind, cluster, position + 8..<position + 8 + count, header)
            position += 8 + (count + 7) / 8 * 8
        }
        if nameOffset != 0, header.backingFileSize != 0 {
            guard header.backingFileSize <= cluster.byteCount - min(nameOffset, cluster.byteCount) else {
                throw .damaged(
                    "the name of the backing file passes the end of the file", at: HostOffset(UInt64(nameOffset)))
            }
            backingName = try Self.name(
                "the name of the backing file", cluster, nameOffset..<nameOffset + Int(header.backingFileSize))
        }
        guard header.cryptMethod != .luks || encryption != nil else {
            throw .damaged(
                "crypt_method is LUKS, but header extension \(Self.hex(Kind.encryption)) is missing",
                at: HostOffset(UInt64(Header.Field.cryptMethod)))
        }
    }

    private mutating func take(
        _ kind: UInt32, _ cluster: RawSpan, _ data: Range<Int>, _ header: Header
    ) throws(ImageError) {
        let place = HostOffset(UInt64(data.lowerBound - 8))
        switch kind {
        case Kind.backingFormat, Kind.featureNames, Kind.bitmaps, Kind.encryption, Kind.dataFile:
            guard seen.insert(kind).inserted else {
                throw .damaged("header extension \(Self.hex(kind)) is there twice", at: place)
            }
        default: return  // Unknown extensions are for a writer to keep, not for a reader.
        }
        switch kind {
        case Kind.backingFormat:
            guard data.count <= Self.longestFormatName else {
                throw .damaged("the format of the backing file has \(data.count) bytes, more than 15", at: place)
            }
            backingFormat = data.isEmpty ? nil : try Self.name("the format of the backing file", cluster, data)
        case Kind.featureNames: featureNames = try FeatureNames(cluster, data)
        case Kind.bitmaps: bitmaps = (place + 8, try cluster.bytes(data))
        case Kind.encryption:
            guard data.count == 16, header.cryptMethod == .luks else {
                throw .damaged(
                    "header extension \(Self.hex(kind)) has \(data.count) bytes with crypt_method "
                        + "\(header.cryptMethod.name); it has 16, and LUKS", at: place)
            }
            encryption = try Self.encryption(cluster, data.lowerBound, header)
        default: dataFileName = try Self.name("the name of the data file", cluster, data)
        }
    }

    private static func encryption(
        _ cluster: RawSpan, _ position: Int, _ header: Header
    ) throws(ImageError) -> HostRange {
        let offset = try cluster.big(UInt64.self, at: position)
        let count = try cluster.big(UInt64.self, at: position + 8)
        guard offset % header.clusterSize == 0, offset >= header.clusterSize, offset < Header.offsetLimit,
            count < Header.offsetLimit
        else {
            throw .damaged(
                "the encryption header's offset \(offset) or length \(count) cannot be",
                at: HostOffset(UInt64(position)))
        }
        return HostRange(start: HostOffset(offset), count: count)
    }

    /// The text of a name; a NUL ends it, as other readers have it.
    private static func name(_ what: String, _ cluster: RawSpan, _ range: Range<Int>) throws(ImageError) -> String {
        let place = HostOffset(UInt64(range.lowerBound))
        let bytes = try cluster.bytes(range).prefix { $0 != 0 }
        guard !bytes.isEmpty else { throw .damaged("\(what) is empty", at: place) }
        // A name with replacement characters would be the name of another file.
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ImageError(.unsupported, "\(what) is no UTF-8 text", at: .host(place))
        }
        return text
    }

    private static func hex(_ number: UInt32) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
    }
}

/// The names that an image gives to its feature bits, so that a reader can say what it does not know.
/// - Source: qcow2 specification, "Feature name table".
struct FeatureNames: Sendable {
    /// The three masks, by their number in the table.
    enum Mask: UInt8, Sendable {
        case incompatible = 0
        case compatible = 1
        case autoclear = 2
    }

    private static let entrySize = 48
    private var names: [UInt16: String] = [:]

    /// No names.
    init() {}

    /// The names in `range`; what is left over at its end is no entry.
    init(_ bytes: RawSpan, _ range: Range<Int>) throws(ImageError) {
        // Three masks of 64 bits: more entries can only repeat.
        for index in 0..<min(range.count / Self.entrySize, 3 * 64) {
            let entry = range.lowerBound + index * Self.entrySize
            let mask = try bytes.big(UInt8.self, at: entry)
            let bit = try bytes.big(UInt8.self, at: entry + 1)
            let name = try bytes.bytes(entry + 2..<entry + Self.entrySize).prefix { $0 != 0 }
            names[UInt16(mask) << 8 | UInt16(bit)] = String(decoding: name, as: UTF8.self)
        }
    }

    /// The name of a bit with its number, safe to print.
    func name(of mask: Mask, bit: Int) -> String {
        guard let name = names[UInt16(mask.rawValue) << 8 | UInt16(bit)], !name.isEmpty else { return "bit \(bit)" }
        return "'\(name.printable)' (bit \(bit))"
    }
}
