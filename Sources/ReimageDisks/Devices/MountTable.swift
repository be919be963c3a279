internal import ReimageSystem

/// One mounted file system.
struct Mount: Hashable, Sendable {
    /// Its device; an anonymous number (major 0) where the file system spans devices or has none.
    let device: DeviceNumber
    let mountPoint: String
    let fileSystem: String
    /// What was mounted: mostly the path of a device.
    let source: String
    /// The options of the file system itself, such as overlay's directories.
    let options: String

    /// Every mount of a mountinfo file; lines that are not understood are left out.
    ///
    /// - Source: proc_pid_mountinfo(5).
    static func all(in text: String) -> [Mount] { text.split(separator: "\n").compactMap { Mount(line: $0) } }

    private init?(line: Substring) {
        let fields = line.split(separator: " ")
        // Between the six fixed fields and the dash stand any number of optional ones.
        guard fields.count >= 10, let dash = fields[6...].firstIndex(of: "-"), dash + 3 < fields.count,
            let device = DeviceNumber(fields[2])
        else { return nil }
        self.device = device
        mountPoint = unescaped(fields[4])
        fileSystem = String(fields[dash + 1])
        source = unescaped(fields[dash + 2])
        options = unescaped(fields[dash + 3])
    }

    /// The directories that an overlay is made of, the writable one first.
    var overlaidDirectories: [String] {
        guard fileSystem == "overlay" else { return [] }
        let values = options.split(separator: ",").compactMap { option -> (String, Substring)? in
            let parts = option.split(separator: "=", maxSplits: 1)
            return parts.count == 2 ? (String(parts[0]), parts[1]) : nil
        }
        let upper = values.filter { $0.0 == "upperdir" }.map { String($0.1) }
        // Kernels from 6.5 on may show one `lowerdir+` a layer.
        return upper
            + values.filter { $0.0.hasPrefix("lowerdir") }.flatMap { $0.1.split(separator: ":").map(String.init) }
    }
}

/// The mounts that one process sees.
struct MountTable: Sendable {
    let mounts: [Mount]
    private let byPlace: [String: Mount]

    /// The mounts of a mountinfo file.
    init(_ text: String) {
        mounts = Mount.all(in: text)
        // Of several at one place the last is on top.
        byPlace = Dictionary(mounts.map { ($0.mountPoint, $0) }) { _, last in last }
    }

    /// The mount that holds the absolute path `path`.
    func holding(_ path: String) -> Mount? {
        var place = path[...]
        while let slash = place.lastIndex(of: "/") {
            if let mount = byPlace[String(place)] { return mount }
            place = place[..<slash]
        }
        return byPlace["/"]
    }
}

/// An active swap area.
struct SwapArea: Hashable, Sendable {
    let path: String
    /// Whether it is a file in a file system rather than a device.
    let isFile: Bool

    /// Every area of `/proc/swaps`.
    static func all(in text: String) -> [SwapArea] {
        text.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split { $0 == " " || $0 == "\t" }
            guard fields.count >= 2 else { return nil }
            return SwapArea(path: unescaped(fields[0]), isFile: fields[1] == "file")
        }
    }
}

/// A field of `/proc` with its octal escapes (`\040` for a space) undone.
private func unescaped(_ field: Substring) -> String {
    guard field.utf8.contains(UInt8(ascii: "\\")) else { return String(field) }
    var bytes: [UInt8] = []
    var rest = field.utf8[...]
    while let byte = rest.popFirst() {
        let digits = rest.prefix(3)
        if byte == UInt8(ascii: "\\"), digits.count == 3,
            let value = UInt8(String(decoding: Array(digits), as: UTF8.self), radix: 8)
        {
            bytes.append(value)
            rest = rest.dropFirst(3)
        } else {
            bytes.append(byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
