import ReimageDisks
import ReimageSystem

/// The files of a machine, written down as text, one a line:
///
/// - `cd FOLDER`: what relative paths of the next lines lie in.
/// - `PATH = VALUE`: a file with one line.
/// - `PATH <<` up to a line `>>`: a file with several.
/// - `PATH -> TARGET`: a symbolic link.
/// - `PATH block 8:1`: a block device's node.
/// - `PATH on 8:1`: a regular file in the file system of that number.
///
/// A space in a path is written `\040`. Every folder on the way is there.
struct RecordedTree: DeviceTree {
    private enum Entry: Sendable {
        case file([UInt8])
        case link(String)
        case block(DeviceNumber)
        case fileOn(DeviceNumber)
    }

    private var entries: [String: Entry] = [:]
    private var folders: [String: Set<String>] = ["/": []]

    init(_ text: String) {
        var folder = "/"
        var multi: (path: String, lines: [Substring])?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if var file = multi {
                if line == ">>" {
                    add(file.path, .file(Array((file.lines.joined(separator: "\n") + "\n").utf8)))
                    multi = nil
                } else {
                    file.lines.append(line)
                    multi = file
                }
                continue
            }
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count >= 2, !line.hasPrefix("#") else { continue }
            if words[0] == "cd" {
                folder = String(words[1])
                continue
            }
            let name = String(words[0]).replacing("\\040", with: " ")
            let path = name.hasPrefix("/") ? name : "\(folder)/\(name)"
            let value = words.count > 2 ? String(words[2]) : ""
            switch words[1] {
            case "=": add(path, .file(Array("\(value)\n".utf8)))
            case "<<": multi = (path, [])
            case "->": add(path, .link(value))
            case "block": add(path, .block(Self.number(value)))
            case "on": add(path, .fileOn(Self.number(value)))
            default: preconditionFailure("not understood: \(line)")
            }
        }
    }

    private mutating func add(_ path: String, _ entry: Entry) {
        let path = Self.normal(path)
        entries[path] = entry
        var child = path
        while let slash = child.lastIndex(of: "/"), child != "/" {
            let parent = slash == child.startIndex ? "/" : String(child[..<slash])
            folders[parent, default: []].insert(String(child[child.index(after: slash)...]))
            child = parent
        }
    }

    func contents(of path: String) -> [UInt8]? {
        guard let path = realPath(of: path), case .file(let bytes) = entries[path] else { return nil }
        return bytes
    }

    func names(in path: String) -> [String]? { realPath(of: path).flatMap { folders[$0] }?.sorted() }

    func realPath(of path: String) -> String? {
        var (done, rest) = ("", path.split(separator: "/")[...])
        var links = 0
        while let part = rest.popFirst() {
            if part == "." { continue }
            if part == ".." {
                done = String(done[..<(done.lastIndex(of: "/") ?? done.startIndex)])
                continue
            }
            let next = "\(done)/\(part)"
            if case .link(let target) = entries[next] {
                links += 1
                guard links < 40 else { return nil }
                if target.hasPrefix("/") { done = "" }
                rest = (target.split(separator: "/") + rest)[...]
                continue
            }
            done = next
        }
        if done.isEmpty { done = "/" }
        return entries[done] != nil || folders[done] != nil ? done : nil
    }

    func node(at path: String) -> HostNode? {
        guard let path = realPath(of: path) else { return nil }
        let nowhere = DeviceNumber(major: 0, minor: 99)
        switch entries[path] {
        case .block(let number): return HostNode(kind: .blockDevice, fileSystem: nowhere, device: number)
        case .fileOn(let number): return HostNode(kind: .regular, fileSystem: number, device: nil)
        case .file, .link: return HostNode(kind: .regular, fileSystem: nowhere, device: nil)
        case nil: return HostNode(kind: .directory, fileSystem: nowhere, device: nil)
        }
    }

    private static func number(_ text: String) -> DeviceNumber {
        guard let number = DeviceNumber(text) else { preconditionFailure("no device number: \(text)") }
        return number
    }

    private static func normal(_ path: String) -> String {
        path.split(separator: "/").reduce(into: [Substring]()) { parts, part in
            if part == ".." { parts.removeLast() } else { parts.append(part) }
        }.reduce("") { "\($0)/\($1)" }
    }
}
