/// How much memory this process can still take without harm, as the kernel tells it in small files.
///
/// That is what the machine has left (`MemAvailable`), or what one of the control groups that the process lies in lets
/// it have, if that is less. A group's file pages that were not used for long do not count: they give way.
///
/// - Source: proc_meminfo(5), cgroups(7); Linux, "Control Group v2" (memory) and "Memory Resource Controller" (v1).
public struct AvailableMemory: Sendable {
    private let contents: @Sendable (String) -> [UInt8]?

    /// - Parameter contents: gives the bytes of the file at a path; `nil` where it is missing.
    public init(_ contents: @escaping @Sendable (String) -> [UInt8]?) { self.contents = contents }

    /// That of this machine.
    public static let system = AvailableMemory { HostTree.contents(of: $0, limit: 64 << 10) }

    /// The bytes; `nil` where the system tells nothing, as outside Linux.
    public var byteCount: UInt64? { ([machine] + groups).compactMap(\.self).min() }

    private var machine: UInt64? {
        value(of: "MemAvailable:", in: "/proc/meminfo").map { $0.multipliedReportingOverflow(by: 1024).partialValue }
    }

    /// What the groups of both versions leave, from the process's own up to the root.
    private var groups: [UInt64?] {
        guard let list = text("/proc/self/cgroup") else { return [] }
        var found: [UInt64?] = []
        for line in list.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            let folders: [String]
            let names: Names
            if fields[0] == "0", fields[1].isEmpty {
                (folders, names) = (["/sys/fs/cgroup", "/sys/fs/cgroup/unified"], .version2)
            } else if fields[1].split(separator: ",").contains("memory") {
                (folders, names) = (["/sys/fs/cgroup/memory"], .version1)
            } else {
                continue
            }
            for folder in folders { found += Self.paths(to: fields[2]).map { rest(of: folder + $0, names) } }
        }
        return found
    }

    /// `/a/b`, `/a` and the root for `/a/b`: a limit holds for all below it. In a container the path may be one of the
    /// machine outside, and then only the root is there.
    private static func paths(to path: Substring) -> [String] {
        let parts = path.split(separator: "/")
        return (0...parts.count).reversed().map { count in parts[..<count].map { "/\($0)" }.joined() }
    }

    private struct Names {
        var limit: String
        var use: String
        var idlePages: String

        static let version2 = Names(limit: "memory.max", use: "memory.current", idlePages: "inactive_file")
        static let version1 = Names(
            limit: "memory.limit_in_bytes", use: "memory.usage_in_bytes", idlePages: "total_inactive_file")
    }

    private func rest(of group: String, _ names: Names) -> UInt64? {
        // No limit is `max`, or in version 1 a number near 2^63.
        guard let limit = number("\(group)/\(names.limit)"), let use = number("\(group)/\(names.use)") else {
            return nil
        }
        let idle = value(of: names.idlePages, in: "\(group)/memory.stat") ?? 0
        let held = use - min(use, idle)
        return limit - min(limit, held)
    }

    private func text(_ path: String) -> String? { contents(path).map { String(decoding: $0, as: UTF8.self) } }

    private func number(_ path: String) -> UInt64? {
        text(path)?.split(whereSeparator: \.isWhitespace).first.flatMap { UInt64($0) }
    }

    /// The number behind the word `name` that starts a line.
    private func value(of name: String, in path: String) -> UInt64? {
        for line in text(path)?.split(separator: "\n") ?? [] {
            let words = line.split(whereSeparator: \.isWhitespace)
            if words.count > 1, words[0] == name { return UInt64(words[1]) }
        }
        return nil
    }
}
