import Foundation

/// What `map` tells of a disk: runs of one kind, in order, neighbours of one kind joined.
struct DiskMap: Equatable, CustomStringConvertible {
    struct Run: Equatable {
        var start: Int
        var count: Int
        var data: Bool
        var zero: Bool
    }

    private(set) var runs: [Run] = []

    /// Decodes the JSON of `qemu-img map` or `reimage map`, and cuts it to `byteCount`.
    init(json: Data, byteCount: Int) throws {
        struct Entry: Decodable {
            var start: Int
            var length: Int
            var data: Bool
            var zero: Bool
        }
        for entry in try JSONDecoder().decode([Entry].self, from: json) {
            let count = min(entry.length, byteCount - entry.start)
            guard count > 0 else { continue }
            if let last = runs.last, last.data == entry.data, last.zero == entry.zero,
                last.start + last.count == entry.start
            {
                runs[runs.count - 1].count += count
            } else {
                runs.append(Run(start: entry.start, count: count, data: entry.data, zero: entry.zero))
            }
        }
    }

    var description: String {
        runs.map { "\($0.start)+\($0.count)\($0.data ? " data" : "")\($0.zero ? " zero" : "")" }.joined(separator: ", ")
    }

    /// Where this map first disagrees with `other`; `nil` where they agree.
    func firstDifference(to other: DiskMap) -> String? {
        for (ours, theirs) in zip(runs, other.runs) where ours != theirs { return "\(ours) against \(theirs)" }
        guard runs.count != other.runs.count else { return nil }
        return "\(runs.count) runs against \(other.runs.count)"
    }
}
