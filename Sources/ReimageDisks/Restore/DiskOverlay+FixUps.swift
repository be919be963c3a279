public import ReimageCore

extension DiskOverlay {
    /// What `plan` lays over the image.
    public init(_ plan: FixUpPlan) {
        let wipes = plan.wipes.map { Part(zeros: HostRange(start: HostOffset($0.start.value), count: $0.count)) }
        self.init(wipes + plan.patches.map { Part($0.bytes, at: HostOffset($0.start.value)) })
    }
}

extension PartitionTable {
    /// Whether `disk` has a partition table; a damaged one counts.
    public static func isOn(_ disk: any BlockDevice, sectorSize: Int) throws(ImageError) -> Bool {
        do throws(ImageError) { return try read(DiskStore(disk), sectorSize: sectorSize) != nil } catch {
            guard error.code == .damaged else { throw error }
            return true
        }
    }

    /// Where the table stands apart from the first and the last MiB of its disk of `byteCount` bytes: records of logical
    /// partitions, and a backup GPT that is not at the end.
    public func outlyingRanges(onDisk byteCount: UInt64) -> [HostRange] {
        let unit = UInt64(sectorSize)
        var ranges: [HostRange] = []
        func add(_ lba: UInt64, _ count: UInt64) {
            let (start, overflow) = lba.multipliedReportingOverflow(by: unit)
            guard !overflow, start < byteCount, count <= (byteCount - start) / unit else { return }
            ranges.append(HostRange(start: HostOffset(start), count: count * unit))
        }
        switch self {
        case .mbr(let table): for link in table.links { add(link.lba, 1) }
        case .gpt(let table):
            if case .success(let backup) = table.backup {
                add(backup.header.ownLBA, 1)
                add(backup.header.arrayLBA, backup.header.arraySectorCount(sectorSize))
            }
        }
        let ends = HeldEnds(byteCount: byteCount)
        return ranges.compactMap { ends.middle(of: $0) }
    }
}
