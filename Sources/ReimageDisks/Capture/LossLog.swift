internal import ReimageCore
internal import ReimageSystem

/// What a capture could not read, and a place that it could: collected from all threads.
final class LossLog: Sendable {
    private let runs = Monitor([LostRun]())
    private let good = Monitor(HostOffset?.none)

    /// A sector that could be read, to tell a bad one from a device that is gone; `nil` as long as there is none.
    var goodSector: HostOffset? { good.withLock { $0 } }

    /// Notes that the sector at `offset` could be read.
    func noteGood(_ offset: HostOffset) { good.withLock { $0 = offset } }

    /// Adds `new`, which nobody has added before; what touches and failed alike becomes one.
    func add(_ new: [LostRun]) {
        guard !new.isEmpty else { return }
        runs.withLock { runs in
            for run in new {
                var index = Self.index(of: run.range.start, in: runs)
                runs.insert(run, at: index)
                if index > 0, runs[index - 1].touches(run) { index -= 1 }
                while Self.touchesNext(index, runs) {
                    runs[index].range = GuestRange(from: runs[index].range.start, to: runs[index + 1].range.end)
                    runs.remove(at: index + 1)
                }
            }
        }
    }

    /// Those that have a byte of `range`, ascending.
    func runs(in range: GuestRange) -> [LostRun] {
        runs.withLock { runs in
            let first = Self.index(of: range.start, in: runs)
            return runs[max(first - 1, 0)...].prefix { $0.range.start < range.end }.filter { $0.range.overlaps(range) }
        }
    }

    /// All of them, ascending.
    var all: [LostRun] { runs.withLock { $0 } }

    /// The first run that starts at `offset` or behind it.
    private static func index(of offset: GuestOffset, in runs: [LostRun]) -> Int {
        var (low, high) = (0, runs.count)
        while low < high {
            let middle = (low + high) / 2
            if runs[middle].range.start < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private static func touchesNext(_ index: Int, _ runs: [LostRun]) -> Bool {
        index + 1 < runs.count && runs[index].touches(runs[index + 1])
    }
}

extension LostRun {
    /// Whether `next` begins where this ends, and failed alike.
    fileprivate func touches(_ next: LostRun) -> Bool {
        range.end == next.range.start && systemCode == next.systemCode && tries == next.tries
    }
}
