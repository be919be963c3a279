public import ReimageSystem

/// The files in which the kernel and udev describe the machine's disks: `/sys`, `/proc`, `/dev` and `/run/udev`.
///
/// A protocol, so that inventory and rules can be tried on the recorded files of machines that are not here.
public protocol DeviceTree: Sendable {
    /// The bytes of a small file; `nil` where it is missing or cannot be read.
    func contents(of path: String) -> [UInt8]?
    /// The names in a folder, sorted; `nil` where it is missing or cannot be read.
    func names(in path: String) -> [String]?
    /// The absolute path without links; `nil` where there is nothing.
    func realPath(of path: String) -> String?
    /// What a path names, links followed; `nil` where there is nothing.
    func node(at path: String) -> HostNode?
}

extension DeviceTree {
    /// A file's text without white space and zero bytes around it; `nil` where nothing is left.
    func text(_ path: String) -> String? {
        guard let bytes = contents(of: path) else { return nil }
        let isBlank = { (byte: UInt8) in byte <= 0x20 }
        let text = bytes.drop(while: isBlank).reversed().drop(while: isBlank).reversed()
        return text.isEmpty ? nil : String(decoding: Array(text), as: UTF8.self)
    }

    /// A file that holds one number.
    func number(_ path: String) -> UInt64? { text(path).flatMap { UInt64($0) } }

    /// A file that says 0 or 1; a missing one says 0.
    func flag(_ path: String) -> Bool { number(path).map { $0 != 0 } ?? false }
}

/// This machine's files.
public struct HostDeviceTree: DeviceTree {
    /// Enough for the mount table of a machine with thousands of containers.
    private static let largestFile = 16 << 20

    public init() {}

    public func contents(of path: String) -> [UInt8]? { HostTree.contents(of: path, limit: Self.largestFile) }
    public func names(in path: String) -> [String]? { HostTree.names(in: path) }
    public func realPath(of path: String) -> String? { HostTree.realPath(of: path) }
    public func node(at path: String) -> HostNode? { HostTree.node(at: path) }
}
