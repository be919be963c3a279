internal import CReimageSystem

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The number by which the kernel knows a device.
public struct DeviceNumber: Hashable, Sendable, CustomStringConvertible {
    public let major: UInt32
    public let minor: UInt32

    public init(major: UInt32, minor: UInt32) {
        self.major = major
        self.minor = minor
    }

    init(_ device: dev_t) {
        major = reimage_major(UInt64(truncatingIfNeeded: device))
        minor = reimage_minor(UInt64(truncatingIfNeeded: device))
    }

    /// The number that `text` says, as in `8:1`.
    public init?(_ text: some StringProtocol) {
        let halves = text.split(separator: ":", omittingEmptySubsequences: false)
        guard halves.count == 2, let major = UInt32(halves[0]), let minor = UInt32(halves[1]) else { return nil }
        self.init(major: major, minor: minor)
    }

    public var description: String { "\(major):\(minor)" }
}

/// What a path of the host names.
public struct HostNode: Hashable, Sendable {
    public let kind: FileKind
    /// The device that the file system of the path lies on; an anonymous number for btrfs, overlay and their kind.
    public let fileSystem: DeviceNumber
    /// The device itself, where the path names a block device.
    public let device: DeviceNumber?

    public init(kind: FileKind, fileSystem: DeviceNumber, device: DeviceNumber?) {
        self.kind = kind
        self.fileSystem = fileSystem
        self.device = device
    }
}

/// Whether a block device can be had for oneself.
public enum DeviceClaim: Hashable, Sendable {
    /// It was opened exclusively, and closed again.
    case free
    /// Somebody else holds it.
    case busy
    /// The system did not let it be tried, and says why.
    case unknown(String)
}

/// The host's small files, folders and links, as `/sys`, `/proc` and `/dev` have them.
///
/// Nothing is written, and nothing waits for a peer.
public enum HostTree {
    /// The bytes of the file at `path`, at most `limit` of them; `nil` where it is missing or cannot be read.
    public static func contents(of path: String, limit: Int) -> [UInt8]? {
        guard let file = FileDescriptor.open(path, O_RDONLY | O_NONBLOCK) else { return nil }
        // Files of /proc and /sys have no length; they are read piece by piece up to their end.
        var (bytes, piece) = ([UInt8](), [UInt8](repeating: 0, count: 4096))
        while bytes.count < limit {
            // SAFETY: read writes only inside the borrowed bytes.
            let count = unsafe piece.withUnsafeMutableBytes { piece in
                guard let base = piece.baseAddress else { return 0 }
                return retrying { unsafe systemRead(file.number, base, piece.count) }
            }
            guard count >= 0 else { return nil }
            guard count > 0 else { break }
            bytes += piece.prefix(min(count, limit - bytes.count))
        }
        return bytes
    }

    /// The names in the folder at `path`, sorted; `nil` where it is missing or cannot be read.
    public static func names(in path: String) -> [String]? {
        // SAFETY: the folder is closed by the one call that opened it; each entry is copied before the next is read.
        guard let folder = unsafe opendir(path) else { return nil }
        defer { _ = unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: name.pointee)) {
                    unsafe String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The absolute path without links; `nil` where there is nothing.
    public static func realPath(of path: String) -> String? {
        // SAFETY: realpath gives memory of its own, which is copied and freed here.
        guard let resolved = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(resolved) }
        return unsafe String(cString: resolved)
    }

    /// What `path` names, links followed; `nil` where there is nothing or the system will not tell.
    public static func node(at path: String) -> HostNode? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        let kind = FileKind(mode: status.st_mode)
        return HostNode(
            kind: kind, fileSystem: DeviceNumber(status.st_dev),
            device: kind == .blockDevice ? DeviceNumber(status.st_rdev) : nil)
    }

    /// Tries to open the block device at `path` exclusively for reading, and closes it at once.
    ///
    /// For this moment nobody else can mount or claim it.
    public static func claim(_ path: String) -> DeviceClaim {
        guard FileDescriptor.open(path, O_RDONLY | O_EXCL | O_NONBLOCK) == nil else { return .free }
        return errno == EBUSY ? .busy : .unknown(systemMessage(errno))
    }
}
