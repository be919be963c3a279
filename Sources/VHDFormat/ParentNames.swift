internal import ReimageCore

/// What a differencing image calls its parent: the name in its header, and those that its locators point to.
///
/// All of them were written on another machine, mostly a Windows one, and none is trusted. Paths that only make sense
/// there (drive letters, network shares, URLs) count by their last component.
struct ParentNames {
    /// The longest name behind a locator in bytes.
    static let longestName: UInt32 = 64 << 10
    /// The longest path in UTF-8 bytes; a longer one names no file anywhere.
    private static let longestPath = 4096

    /// The names as they are stored, the header's first.
    private(set) var stored: [String] = []
    /// The paths to try, in their order.
    private(set) var paths: [String] = []
    /// Where names are stored.
    private(set) var places: [Range<UInt64>] = []
    /// What is wrong with locators.
    private(set) var remarks: [String] = []

    init(_ store: any ByteStore, _ header: DynamicHeader) throws(ImageError) {
        let headerName = String(decoding: header.parentName, as: UTF16.self)
        var relative: [StoredPath] = []
        var others: [StoredPath] = []
        if !headerName.isEmpty {
            stored.append(headerName)
            others.append(StoredPath(headerName))
        }
        for (index, locator) in header.locators.enumerated() where locator.encoding != nil {
            guard let name = try name(of: locator, index, in: store) else { continue }
            if !stored.contains(name) { stored.append(name) }
            let path = locator.encoding == .url ? .url(name) : StoredPath(name)
            if locator.platform == ParentLocator.relativeWindows { relative.append(path) } else { others.append(path) }
        }
        for path in relative { add(path.relative ?? path.last) }
        for path in others + relative { add(path.last) }
        for path in relative + others { add(path.absolute) }
    }

    private mutating func add(_ path: String?) {
        guard var path, !path.utf8.contains(0), path.utf8.count <= Self.longestPath else { return }
        // What has a colon before its first slash would be taken for a protocol.
        if path.prefix(while: { $0 != "/" }).contains(":") { path = "./" + path }
        if !paths.contains(path) { paths.append(path) }
    }

    /// The name that `locator` points to; `nil`, with a remark, where there is none.
    private mutating func name(
        of locator: ParentLocator, _ index: Int, in store: any ByteStore
    ) throws(ImageError) -> String? {
        let (count, offset) = (UInt64(locator.dataLength), locator.dataOffset)
        guard count > 0 else { return nil }
        guard locator.dataLength <= Self.longestName else {
            remarks.append("parent locator \(index) is \(count) bytes long, and was left out")
            return nil
        }
        guard count <= store.byteCount, offset <= store.byteCount - count else {
            remarks.append("parent locator \(index) lies past the end of the file (\(offset)), and was left out")
            return nil
        }
        places.append(offset..<offset + count)
        let bytes = try store.bytes(at: HostOffset(offset), count: Int(count))
        let name = locator.encoding?.text(bytes) ?? ""
        guard !name.isEmpty, !name.utf8.contains(0) else {
            remarks.append("parent locator \(index) holds no file name, and was left out")
            return nil
        }
        return name
    }
}

extension ParentLocator {
    /// A relative path in the bytes of a Windows code page; no longer written.
    static let oldRelativeWindows: UInt32 = 0x5769_3272  // "Wi2r"
    /// An absolute path in the bytes of a Windows code page; no longer written.
    static let oldAbsoluteWindows: UInt32 = 0x5769_326B  // "Wi2k"

    /// How a name is stored.
    enum Encoding {
        case utf16
        case bytes
        case url

        /// The name in `bytes`, without zeros at its end; whatever is no text becomes replacement characters.
        func text(_ bytes: [UInt8]) -> String {
            switch self {
            case .utf16:
                var units = stride(from: 0, to: bytes.count - 1, by: 2).map { index in
                    UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8
                }
                while units.last == 0 { units.removeLast() }
                return String(decoding: units, as: UTF16.self)
            case .bytes:
                return String(String.UnicodeScalarView(trimmed(bytes).map { Unicode.Scalar($0) }))
            case .url: return String(decoding: trimmed(bytes), as: UTF8.self)
            }
        }

        private func trimmed(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
            var bytes = bytes[...]
            while bytes.last == 0 { bytes.removeLast() }
            return bytes
        }
    }

    /// How the name is stored; `nil` where it is none that could be used here.
    var encoding: Encoding? {
        switch platform {
        case Self.relativeWindows, Self.absoluteWindows: .utf16
        case Self.oldRelativeWindows, Self.oldAbsoluteWindows: .bytes
        case Self.macURL: .url
        default: nil
        }
    }
}

/// A path out of an image, by what of it can be used on this machine.
private struct StoredPath {
    /// The last component; `nil` where that is no file name.
    private(set) var last: String?
    /// The path from the image's own directory, where it is one.
    private(set) var relative: String?
    /// An absolute path of this kind of machine.
    private(set) var absolute: String?

    init(_ text: String) {
        let slashed = String(String.UnicodeScalarView(text.unicodeScalars.map { $0 == "\\" ? "/" : $0 }))
        last = Self.fileName(Self.afterDrive(slashed))
        guard last != nil else { return }
        if slashed.hasPrefix("/") {
            // A drive's root or a network share, unless it was written with slashes.
            if text.hasPrefix("/"), !text.hasPrefix("//"), slashed == text { absolute = text }
        } else if !Self.hasDrive(slashed), !slashed.contains("://") {
            var rest = slashed[...]
            while rest.hasPrefix("./") { rest = rest.dropFirst(2) }
            relative = String(rest)
        }
    }

    /// Of a file URL only the last component counts; without a scheme it is a path.
    static func url(_ text: String) -> StoredPath {
        guard text.contains(":") else { return StoredPath(text) }
        let component = text.utf8.split(separator: UInt8(ascii: "/")).last.map { Array($0) } ?? []
        var bytes: [UInt8] = []
        var index = 0
        while index < component.count {
            if component[index] == UInt8(ascii: "%"), index + 2 < component.count,
                let byte = UInt8(String(decoding: component[index + 1...index + 2], as: UTF8.self), radix: 16)
            {
                bytes.append(byte)
                index += 3
            } else {
                bytes.append(component[index])
                index += 1
            }
        }
        let name = String(decoding: bytes, as: UTF8.self)
        return StoredPath(last: name.contains("/") ? nil : fileName(name[...]))
    }

    private init(last: String?) { self.last = last }

    private static func hasDrive(_ path: String) -> Bool {
        path.utf8.count >= 2 && path.utf8.dropFirst().first == UInt8(ascii: ":")
            && path.unicodeScalars.first?.properties.isAlphabetic == true
    }

    private static func afterDrive(_ path: String) -> Substring { hasDrive(path) ? path.dropFirst(2) : path[...] }

    /// What stands behind the last slash, where a file can be called so.
    private static func fileName(_ path: Substring) -> String? {
        // By scalars: what follows a slash may be a mark that joins it as one character.
        let scalars = path.unicodeScalars
        let start = scalars.lastIndex(of: "/").map { scalars.index(after: $0) } ?? scalars.startIndex
        let name = String(String.UnicodeScalarView(scalars[start...]))
        return name.isEmpty || name == "." || name == ".." ? nil : name
    }
}
