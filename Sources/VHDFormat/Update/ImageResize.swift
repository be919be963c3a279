internal import ReimageCore

/// Changes the length of an image's disk in place.
///
/// At any moment the image opens with the old length or the new one, and what both have is as it was. The footer at the
/// end counts for a fixed image, the copy at the start for the others; it is changed in one write, once everything that
/// it needs is on the medium.
struct ImageResize {
    let store: any UpdatableStore
    let image: CheckedImage
    let facts: CheckFacts
    let sizes: DiskSizes
    let context: OpenContext
    private let target: UpdateTarget

    /// - Throws: `.refused` where the image must be repaired first, or is a suspended machine's.
    init(_ target: UpdateTarget, _ context: OpenContext) throws(ImageError) {
        self.target = target
        self.context = context
        store = target.store
        var first: String?
        let log = FindingLog { finding in
            if finding.kind == .corruption, first == nil { first = finding.message }
        }
        var checker = try Checker(
            store, try ReaderOptions(context.options), log: log, cancellation: context.cancellation)
        try checker.run()
        image = checker.image
        facts = checker.facts
        let isSound = log.summary.corruptions == 0 && log.summary.checkErrors == 0
        guard isSound, let sizes = checker.image.sizes else {
            throw ImageError(
                .refused, "the image is damaged, and its disk cannot change its length: \(first ?? "no size")",
                advice: "Put it right first: reimage check -r all \(store.name)")
        }
        self.sizes = sizes
        guard image.footer.savedState == 0 else {
            throw ImageError(
                .refused, "the machine that uses the disk is suspended, and would find another disk when it goes on",
                at: .host(image.footerPlace + UInt64(Footer.Field.savedState)),
                advice: "Shut the machine down first.")
        }
    }

    func run(_ request: ResizeRequest) throws(ImageError) {
        let preallocation = try GrowthPreallocation(request, image.kind)
        let old = sizes.chosen
        let size = try length(for: request)
        guard preallocation == .off || size > old else {
            throw ImageError(.invalidArgument, "preallocation is for disks that grow")
        }
        guard size != old else { return }
        guard size >= old || request.allowsShrinking else {
            throw ImageError(
                .refused, "the disk has \(old) bytes; making it \(size) bytes long would cut off its end",
                advice: "If what lies there may be lost, pass --shrink.")
        }
        let parentByteCount = try openDisk()
        guard let sparse = image.sparse else { return try resizeFixed(to: size, preallocation) }
        if size > old {
            if parentByteCount > old {
                throw ImageError(
                    .unsupported,
                    "the parent's disk is longer than this one, and what it holds behind \(old) bytes would appear",
                    advice: "Convert the image to one without a parent first.")
            }
            try DynamicGrowth(resize: self, sparse: sparse).run(to: size)
        } else {
            try shrink(sparse, to: size)
        }
    }

    /// The length that is stored: whole sectors.
    private func length(for request: ResizeRequest) throws(ImageError) -> UInt64 {
        guard request.byteCount != sizes.chosen else { return sizes.chosen }
        guard request.byteCount > 0, let size = request.byteCount.roundedUp(to: Geometry.sectorSize),
            size <= Footer.mostBytes
        else {
            throw ImageError(
                .unsupported,
                "a disk of \(request.byteCount) bytes: a VHD has 512 to \(Footer.mostBytes)")
        }
        if size != request.byteCount {
            context.note(Note("\(store.name): the disk gets \(size) bytes, a whole number of sectors of 512 bytes."))
        }
        return size
    }

    /// Opens the disk as a reader does, who refuses data behind its end that would come to light, or be lost.
    /// - Returns: the length of the parent's disk; 0 where there is none.
    private func openDisk() throws(ImageError) -> UInt64 {
        var quiet = context
        quiet.note = { _ in }
        guard case .random(let disk) = try VHDFormat().open(target.source, quiet).content() else { return 0 }
        return (disk as? VHDDisk)?.parent.byteCount ?? 0
    }

    /// The footer for a disk of `size` bytes.
    func footer(forSize size: UInt64) throws(ImageError) -> StoredStructure {
        let geometry = image.footer.geometry(forSize: size)
        var footer = try StoredStructure(footerAt: image.footerPlace, in: store)
        footer.set(Footer.Field.currentSize, to: size)
        footer.set(Footer.Field.geometry, to: geometry.cylinders)
        footer.set(Footer.Field.geometry + 2, to: geometry.heads)
        footer.set(Footer.Field.geometry + 3, to: geometry.sectorsPerTrack)
        try footer.seal()
        return footer
    }

    // MARK: Fixed

    private func resizeFixed(to size: UInt64, _ preallocation: GrowthPreallocation) throws(ImageError) {
        let footer = try footer(forSize: size)
        let end = size + UInt64(Footer.byteCount)
        let old = image.dataEnd
        if size > sizes.chosen, old > sizes.chosen {
            // What lies behind the disk's end, as it was taken, must not appear.
            try store.zero(
                HostRange(from: HostOffset(sizes.chosen), to: HostOffset(min(old, size))), mode: .allocated)
            try store.sync()
        }
        if size > old {
            // The new footer first: the one that ends the file is always whole. Until the old one is wiped, its bytes
            // stand in what the disk gained.
            try store.write(footer.bytes, at: HostOffset(size))
            try store.sync()
            let oldEnd = old + UInt64(Footer.byteCount)
            if oldEnd < size {
                let gained = HostRange(from: HostOffset(oldEnd), to: HostOffset(size))
                do throws(ImageError) {
                    try store.zero(gained, mode: preallocation.zeroMode)
                } catch {
                    // Without the space that it needs, the disk stays as it was.
                    try store.setByteCount(oldEnd)
                    throw error
                }
            }
            try store.zero(
                HostRange(start: HostOffset(old), count: min(UInt64(Footer.byteCount), size - old)), mode: .written)
            try store.sync()
        } else {
            // Into what is cut off: until the cut, the old footer counts.
            try store.write(footer.bytes, at: HostOffset(size))
            try store.sync()
            try store.setByteCount(end)
            try store.sync()
        }
    }

    // MARK: Dynamic

    /// Writes both footers: the one at the start counts, and comes last.
    func storeFooters(_ size: UInt64, tail: UInt64) throws(ImageError) {
        let footer = try footer(forSize: size)
        try store.sync()
        try store.write(footer.bytes, at: HostOffset(tail))
        try store.sync()
        try store.write(footer.bytes, at: .zero)
        try store.sync()
    }

    /// Lets the header say another length or place of the table.
    func storeTable(
        _ sparse: CheckedImage.Sparse, entries: UInt64, at place: UInt64? = nil
    ) throws(ImageError) {
        var header = try StoredStructure(headerAt: sparse.place, in: store)
        header.set(DynamicHeader.Field.entries, to: UInt32(clamping: entries))
        if let place { header.set(DynamicHeader.Field.tableOffset, to: place) }
        try header.seal()
        try store.sync()
        try store.write(firstSectorOf: header, at: sparse.place)
        try store.sync()
    }

    /// The length is cut first: afterwards nothing behind the new end counts, and what a crash leaves there is space.
    private func shrink(_ sparse: CheckedImage.Sparse, to size: UInt64) throws(ImageError) {
        try storeFooters(size, tail: image.dataEnd)
        let needed = size.dividedRoundingUp(by: sparse.blockSize)
        let space = BlockSpace(store, image, sparse, facts, context.cancellation)
        if needed < UInt64(sparse.table.count) {
            try space.clearEntries(Int(needed), count: sparse.table.count - Int(needed))
        }
        try storeTable(sparse, entries: needed)
        // What lies behind the end is not to come to light, however a program reads the size.
        try space.clearBlock(behind: size)
        let cut = try survey()
        if let rest = cut.image.sparse {
            var end = BlockSpace(store, cut.image, rest, cut.facts, context.cancellation)
            _ = try end.cut(to: cut.facts.usedEnd)
        }
        let lost = try survey().log.summary.leaks
        if lost > 0 {
            context.note(
                Note(
                    "\(store.name): room for \(lost) blocks is used no more; reimage check -r leaks gives it back."))
        }
    }

    private func survey() throws(ImageError) -> Checker {
        var checker = try Checker(store, image.options, log: FindingLog(), cancellation: context.cancellation)
        try checker.run()
        return checker
    }
}
