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

    /// Where this map first disagrees with qemu's; `nil` where they agree.
    ///
    /// One run may be told apart: a data cluster over a hole of the host's file. qemu adds `zero` to it where it guesses,
    /// from refcounts and allocated blocks, that the image was preallocated; without that guess it says `data` alone.
    func firstDifference(toQemus other: DiskMap) -> String? {
        var (left, right) = (runs[...], other.runs[...])
        while let ours = left.first, let theirs = right.first {
            let agree = ours.data == theirs.data && (ours.zero == theirs.zero || theirs.data && theirs.zero)
            guard agree, ours.start == theirs.start else { return "\(ours) against \(theirs)" }
            let count = min(ours.count, theirs.count)
            Self.drop(count, from: &left)
            Self.drop(count, from: &right)
        }
        guard let rest = left.first ?? right.first else { return nil }
        return "one map ends before \(rest)"
    }

    private static func drop(_ count: Int, from runs: inout ArraySlice<Run>) {
        guard var first = runs.popFirst(), first.count > count else { return }
        first.start += count
        first.count -= count
        runs = [first] + runs
    }
}
