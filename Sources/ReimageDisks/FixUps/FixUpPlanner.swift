internal import ReimageCore

/// Collects the changes of one plan.
struct FixUpPlanner {
    let disk: any BlockDevice
    let store: DiskStore
    let target: TargetDisk
    let options: FixUpOptions
    var plan: FixUpPlan

    /// What old signatures a target's end may hold: the backup GPT, RAID superblocks up to 128 KiB before the end, and
    /// the same for a last partition that ends up to 1 MiB earlier.
    private static let wipedEnd: UInt64 = 2 << 20

    init(disk: any BlockDevice, imageSectorSize: Int, target: TargetDisk, options: FixUpOptions) {
        self.disk = disk
        store = DiskStore(disk)
        self.target = target
        self.options = options
        plan = FixUpPlan(
            targetByteCount: target.byteCount, targetSectorSize: target.sectorSize,
            contentByteCount: min(disk.byteCount, target.byteCount), imageSectorSize: imageSectorSize)
    }

    var isSmaller: Bool { target.byteCount < disk.byteCount }

    /// Whether somebody asked for a change that a plain copy does not need.
    var isAskedFor: Bool { options.newIDs || options.growLast }

    mutating func make() throws(ImageError) {
        let mbr = try PartitionTable.readMBR(store)
        if let mbr {
            plan.imageSectorSize = try SectorSizeGuess(store, mbr).sectorSize(said: plan.imageSectorSize)
        }
        guard !options.isOff else { return try planCopy("an exact copy", hasTable: mbr != nil) }
        guard mbr != nil else { return try planWithoutTable() }
        let table: PartitionTable?
        do {
            table = try PartitionTable.read(store, sectorSize: plan.imageSectorSize)
        } catch {
            return try planWithDamagedTable(error)
        }
        switch table {
        case .gpt(let table): try planGPT(table)
        case .mbr(let table): try planMBR(table)
        case nil: return try planWithoutTable()
        }
        wipeEnd()
    }

    /// The content as it is, which must fit as a whole.
    private mutating func planCopy(_ what: String, hasTable: Bool) throws(ImageError) {
        if isSmaller {
            throw ImageError(
                .refused,
                "\(what) needs \(disk.byteCount) bytes, \(disk.byteCount - target.byteCount) more than the target has",
                advice: "Choose a larger device.")
        }
        if !hasTable {
            try warnOfSectors(HostRange(start: .zero, count: disk.byteCount), "the image")
        } else if plan.imageSectorSize != target.sectorSize {
            warn(
                "the partition table counts sectors of \(plan.imageSectorSize) bytes, and the target has "
                    + "\(target.sectorSize): no system will find the partitions.")
        }
    }

    private mutating func planWithoutTable() throws(ImageError) {
        if isAskedFor {
            throw ImageError(
                .refused, "the image has no partition table, so there are no ids and no last partition",
                advice: "Leave out --new-ids and --grow-last.")
        }
        try planCopy("an image without a partition table", hasTable: false)
        wipeEnd()
    }

    /// A table that cannot be read harms no copy, but nothing can be fitted by it.
    private mutating func planWithDamagedTable(_ error: ImageError) throws(ImageError) {
        let mustChange = isSmaller || isAskedFor || plan.imageSectorSize != target.sectorSize
        guard error.code == .damaged, !mustChange else {
            var error = error
            if error.code == .damaged {
                error.advice = "For an exact copy to a device of at least the same size pass --fixups none."
            }
            throw error
        }
        plan.warnings.append(Note("\(error.message); it is copied as it is."))
        wipeEnd()
    }

    /// Behind a shorter image the target's end keeps what it held before; signatures there would be found again.
    private mutating func wipeEnd() {
        let content = plan.contentByteCount.roundedUp(to: target.unit) ?? target.byteCount
        let start = max(content, target.byteCount - min(Self.wipedEnd, target.byteCount))
        guard start < target.byteCount else { return }
        plan.wipes.append(GuestRange(from: GuestOffset(start), to: GuestOffset(target.byteCount)))
        add(
            .wipedEnd,
            "the last \(target.byteCount - start) bytes of the target are wiped, where older signatures may stand")
    }

    // MARK: Collecting

    mutating func add(_ kind: FixUp.Kind, _ message: String, partition: Int? = nil) {
        plan.changes.append(FixUp(kind, message, partition: partition))
    }

    mutating func warn(_ text: String) { plan.warnings.append(Note(text)) }

    /// Puts `bytes` at `offset`, unless the image has the same there.
    /// - Returns: whether it has others.
    @discardableResult
    mutating func put(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) -> Bool {
        if offset <= plan.contentByteCount, UInt64(bytes.count) <= plan.contentByteCount - offset,
            try store.bytes(at: HostOffset(offset), count: bytes.count) == bytes
        {
            // What is wiped around it must not take it along.
            let range = GuestRange(start: GuestOffset(offset), count: UInt64(bytes.count))
            plan.wipes = GuestRanges(plan.wipes).ranges.subtracting([range])
            return false
        }
        plan.patches.append(FixUpPlan.Patch(start: GuestOffset(offset), bytes: bytes))
        return true
    }

    /// Makes `range` of the content read as zeros; what lies past the content is left out.
    mutating func erase(_ range: GuestRange) {
        let end = min(range.end, GuestOffset(plan.contentByteCount))
        if range.start < end { plan.wipes.append(GuestRange(from: range.start, to: end)) }
    }

    /// The plan, its patches and wipes in order.
    func finished() -> FixUpPlan {
        var plan = plan
        plan.patches.sort { $0.start < $1.start }
        plan.wipes = GuestRanges(plan.wipes).ranges.subtracting(plan.patches.map(\.range))
        return plan
    }

    // MARK: What does not fit

    /// Refuses where `ranges`, which no partition has, hold something that the target has no place for.
    func requireNoData(in ranges: [GuestRange], _ why: String) throws(ImageError) {
        for range in ranges {
            guard let place = try disk.firstNonZero(from: range.start, to: range.end, options.cancellation) else {
                continue
            }
            throw ImageError(
                .refused, "the image holds data outside of all partitions \(why)", at: .guest(place),
                advice: "Choose a device of the image's size, and pass --fixups none for an exact copy.")
        }
    }
}
