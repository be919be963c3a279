internal import ReimageCore

/// Makes the copies of the footer say the same, by the one that counts.
struct FooterRepair {
    let store: any UpdatableStore
    let image: CheckedImage
    let facts: CheckFacts
    let log: FindingLog

    func run() throws(ImageError) {
        var footer = try StoredStructure(footerAt: image.footerPlace, in: store)
        if image.kind == .fixed { footer.set(Footer.Field.dataOffset, to: Footer.noHeader) }
        try footer.seal()
        if image.kind == .fixed { return try repairFixed(footer) }
        // Without a header where the footer says, its copy could be written over what is none.
        guard image.sparse != nil else { return }
        try repairHead(footer)
        try repairTail(footer)
        try cutTrailing()
    }

    private func repairFixed(_ footer: StoredStructure) throws(ImageError) {
        let place = image.footerPlace
        if try !isStored(footer, at: place) { try write(footer, at: place, "the footer was written anew") }
        if image.dataEnd == image.sizes?.current { try cutTrailing() }
    }

    private func repairHead(_ footer: StoredStructure) throws(ImageError) {
        guard try needsWriting(image.copies.head, footer) else { return }
        try write(footer, at: .zero, "the copy of the footer at the start was made that at the end")
    }

    private func repairTail(_ footer: StoredStructure) throws(ImageError) {
        if image.endsAtFooter, !tailIsData {
            guard let tail = image.copies.tail, try needsWriting(tail, footer) else { return }
            return try write(footer, at: tail.place, "the footer at the end was made its copy at the start")
        }
        guard image.trustsHeader else { return }
        // Behind all there is, so that nothing is written over; blocks that the end of the file cut get their length.
        let end = max(store.byteCount, facts.blocksEnd).roundedUp(to: Geometry.sectorSize) ?? .max
        for index in facts.cut where facts.blocksEnd > store.byteCount {
            log.fixed(
                .corruption, "what the file lacks of block \(index) reads as zeros now",
                at: HostOffset(store.byteCount), guest: image.guest(index))
        }
        try write(footer, at: HostOffset(end), "the footer was written behind the last block")
    }

    /// Whether what looks like a damaged footer at the end belongs to a block that ends with the file: then the footer
    /// was lost, and these are the guest's bytes.
    private var tailIsData: Bool {
        FooterState(image.copies.tail) != .sound && !facts.cut.isEmpty && facts.blocksEnd <= store.byteCount
    }

    /// Whether `found` is to become `footer`: it is damaged, or differs in nothing that makes the disk another one,
    /// unless the caller said which of them counts.
    private func needsWriting(_ found: FooterCopies.Found?, _ footer: StoredStructure) throws(ImageError) -> Bool {
        guard let found, FooterState(found) == .sound else { return true }
        if try isStored(footer, at: found.place) { return false }
        let fields = image.footer.decidingDifferences(from: found.footer)
        guard image.options.footer == nil, !fields.isEmpty else { return true }
        log.found(
            .remark,
            "the footers were left as they are, as they differ in what the disk is (\(fields.joined(separator: ", "))): "
                + "say which counts (--vhd-footer head or --vhd-footer tail)")
        return false
    }

    /// Whether the whole of `footer` stands at `place`.
    private func isStored(_ footer: StoredStructure, at place: HostOffset) throws(ImageError) -> Bool {
        guard store.byteCount >= place.value + UInt64(Footer.byteCount) else { return false }
        return try StoredStructure(footerAt: place, in: store).bytes == footer.bytes
    }

    private func cutTrailing() throws(ImageError) {
        guard image.endsAtFooter, let tail = image.copies.tail, image.copies.trailingByteCount > 0 else { return }
        let end = tail.place.value + UInt64(Footer.byteCount)
        log.fixed(
            .corruption, "\(image.copies.trailingByteCount) bytes behind the footer were cut off", at: HostOffset(end))
        try store.setByteCount(end)
        try store.sync()
    }

    private func write(
        _ footer: StoredStructure, at place: HostOffset, _ message: String
    ) throws(ImageError) {
        try store.write(footer.bytes, at: place)
        try store.sync()
        log.fixed(.corruption, message, at: place)
    }
}
