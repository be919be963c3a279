internal import ReimageCore

/// What a differencing image keeps of its parent: its unique id, when it was changed, and the names it may be found by.
///
/// - Source: the specification's "Parent Locator Entries" and "Dynamic Disk Header Format".
struct StoredParentNames: Hashable, Sendable {
    /// A locator, and the bytes it points to.
    struct Located: Hashable, Sendable {
        var platform: UInt32
        var bytes: [UInt8]
    }

    /// What the names may take in the file: no reader should have to believe more.
    private static let mostBytes = 64 << 10

    let uniqueID: [UInt8]
    /// Seconds since 2000; 0 where it is not told.
    let timeStamp: UInt32
    /// The last component of the name, as UTF-16 code units: it is looked for beside the child.
    let fileName: [UInt16]
    let located: [Located]

    /// - Throws: `.unsupported` for a parent that is no VHD, `.invalidArgument` for a name that cannot be stored.
    init(_ parent: Reference, _ facts: BackingFacts?, stamp: ImageStamp) throws(ImageError) {
        guard parent.format == "vhd" else {
            throw ImageError(
                .unsupported,
                "the parent of a vhd image is a vhd image, and '\(parent.name)' is \(parent.format?.text ?? "not named one")",
                advice:
                    "Name a VHD with -b FILE -F vhd, or write a qcow2 image, whose backing file can be of any format.")
        }
        guard let facts, let id = facts.uniqueID, id.count == 16 else {
            throw ImageError(
                .unsupported, "the parent '\(parent.name)' has no unique id, by which a differencing image knows it")
        }
        uniqueID = id
        // Neither when the parent was copied here nor where it lies belongs to an image that is the same everywhere.
        timeStamp =
            stamp.isDeterministic ? 0 : facts.modificationSeconds.map(Footer.timeStamp(ofUnixSeconds:)) ?? 0
        let parts = parent.name.split(separator: "/", omittingEmptySubsequences: true)
        guard let last = parts.last, last != ".", last != ".." else {
            throw ImageError(.invalidArgument, "'\(parent.name)' is no name of a parent")
        }
        guard !parent.name.contains("\\"), !parent.name.contains("\0") else {
            throw ImageError(
                .invalidArgument, "the parent's name '\(parent.name)' cannot be stored: in a VHD, \\ parts directories",
                advice: "Rename the file.")
        }
        fileName = Array(last.utf16)
        guard fileName.count < DynamicHeader.nameByteCount / 2 else {
            throw ImageError(
                .invalidArgument,
                "the parent's file name has \(fileName.count) UTF-16 units; \(DynamicHeader.nameByteCount / 2 - 1) can be stored"
            )
        }
        let isAbsolute = parent.name.hasPrefix("/")
        var located: [Located] = []
        if !isAbsolute {
            let path = Self.relativeName(parts)
            located.append(Located(platform: ParentLocator.relativeWindows, bytes: Self.littleEndian(path)))
        }
        if isAbsolute || !stamp.isDeterministic {
            located.append(Located(platform: ParentLocator.absoluteWindows, bytes: Self.littleEndian(facts.path)))
        }
        guard located.allSatisfy({ $0.bytes.count <= Self.mostBytes }) else {
            throw ImageError(.invalidArgument, "the parent's path is too long to be stored")
        }
        self.located = located
    }

    /// The path as Windows has it, from the child's directory: `.\name`, `..\name`, `.\directory\name`.
    private static func relativeName(_ parts: [Substring]) -> String {
        let path = parts.drop { $0 == "." }
        return ((path.first == ".." ? [] : ["."]) + path).joined(separator: "\\")
    }

    private static func littleEndian(_ text: String) -> [UInt8] {
        text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
    }

    /// The bytes of all names, each in sectors of its own.
    var byteCount: Int { located.reduce(0) { $0 + Self.space($1) } }

    private static func space(_ name: Located) -> Int { (name.bytes.count + 511) / 512 * 512 }

    /// Fills in the parent's fields of `header`, whose names lie from `place` on.
    /// - Returns: the bytes of the names.
    func store(in header: inout DynamicHeader, namesAt place: HostOffset) -> [UInt8] {
        header.parentID = uniqueID
        header.parentTimeStamp = timeStamp
        header.parentName = fileName
        var bytes: [UInt8] = []
        for name in located {
            header.locators.append(
                ParentLocator(
                    platform: name.platform, dataSpace: UInt32(Self.space(name)),
                    dataLength: UInt32(name.bytes.count), dataOffset: place.value + UInt64(bytes.count)))
            bytes += name.bytes + [UInt8](repeating: 0, count: Self.space(name) - name.bytes.count)
        }
        return bytes
    }
}
