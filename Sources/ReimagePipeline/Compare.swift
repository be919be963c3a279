public import ReimageCore
internal import ReimageSystem

/// How two disks compare.
public enum Comparison: Sendable, Hashable {
    /// Every byte is equal; where one disk is longer, the rest of it is zeros.
    case identical
    /// The first byte that differs; bytes past the shorter disk's end count as zeros.
    case differs(at: GuestOffset)
    /// The lengths differ, which counts only in a strict comparison.
    case sizesDiffer
    /// Only in a strict comparison: what is stored at this byte in one disk is not in the other.
    case allocationDiffers(at: GuestOffset)
}

/// Compares two disks on all cores.
public struct CompareJob {
    private let disks: (any BlockDevice, any BlockDevice)
    private let isStrict: Bool
    private let options: JobOptions

    /// Compares `first` and `second`.
    ///
    /// - Parameter isStrict: different lengths, and data in one where the other has none, count as differences.
    public init(
        _ first: any BlockDevice, _ second: any BlockDevice, isStrict: Bool = false,
        options: JobOptions = JobOptions()
    ) {
        disks = (first, second)
        self.isStrict = isStrict
        self.options = options
    }

    /// Does the work.
    /// - Throws: the first error of any thread; `.cancelled`.
    public func run() throws(ImageError) -> Comparison {
        if isStrict && disks.0.byteCount != disks.1.byteCount { return .sizesDiffer }
        options.progress.begin(.copy, total: max(disks.0.byteCount, disks.1.byteCount))
        let plan = ComparePlan(disks.0, disks.1, isStrict: isStrict)
        let memory = WorkerMemory(decoding: max(disks.0.readUnit, disks.1.readUnit), options)
        try runOnThreads(memory.threadCount) { [disks, options] (_) throws(ImageError) in
            do throws(ImageError) {
                try CompareWorker(plan, disks.0, disks.1).run(options)
            } catch {
                plan.stop()
                throw error
            }
        }
        return plan.result
    }
}
