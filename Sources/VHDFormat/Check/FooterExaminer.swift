internal import ReimageCore

/// How one copy of the footer is.
enum FooterState: Hashable {
    case missing
    /// It cannot be gone by, for this reason.
    case broken(String)
    case sound

    init(_ found: FooterCopies.Found?) {
        guard let footer = found?.footer else {
            self = .missing
            return
        }
        if !footer.hasRightChecksum {
            self = .broken("its checksum is wrong")
        } else if footer.kind == nil {
            self = .broken("its type is \(footer.kindCode)")
        } else if footer.version >> 16 != Footer.version >> 16 {
            self = .broken("its version is \(footer.version >> 16)")
        } else {
            self = .sound
        }
    }
}

extension Footer {
    /// The names of the fields in which `other` differs.
    func differences(from other: Footer) -> [String] {
        var names: [String] = decidingDifferences(from: other)
        if features != other.features { names.append("features") }
        if version != other.version { names.append("version") }
        if timeStamp != other.timeStamp { names.append("time stamp") }
        if creator != other.creator || creatorVersion != other.creatorVersion { names.append("creator") }
        if creatorOS != other.creatorOS { names.append("creator's system") }
        if originalSize != other.originalSize { names.append("original size") }
        if savedState != other.savedState { names.append("saved state") }
        return names
    }

    /// The names of those of them by which the disk would be another one.
    func decidingDifferences(from other: Footer) -> [String] {
        var names: [String] = []
        if kindCode != other.kindCode { names.append("type") }
        if dataOffset != other.dataOffset { names.append("data offset") }
        if currentSize != other.currentSize { names.append("current size") }
        if geometry != other.geometry { names.append("geometry") }
        if uniqueID != other.uniqueID { names.append("unique id") }
        if creator.countsByGeometry != other.creator.countsByGeometry { names.append("creator, and so the size") }
        return names
    }
}

/// Looks at the footers: each by itself, both against each other, and against the file.
struct FooterExaminer {
    let image: CheckedImage
    let log: FindingLog

    func run() {
        let copies = image.copies
        let tailPlace = copies.tail?.place ?? HostOffset(image.store.byteCount)
        if image.kind != .fixed { state(of: copies.head, "copy of the footer at the start", at: .zero) }
        state(of: copies.tail, "footer at the end", at: tailPlace)
        compare()
        ends()
        sizes()
        if image.footer.savedState != 0 {
            log.found(
                .remark,
                "the machine that used the disk was suspended: what it still held in memory is not in here",
                at: image.footerPlace + UInt64(Footer.Field.savedState))
        }
        if image.kind == .fixed, image.footer.dataOffset != Footer.noHeader {
            log.found(
                .corruption, "the footer of a fixed disk names a place for a dynamic header, which it has not",
                at: image.footerPlace + UInt64(Footer.Field.dataOffset))
        }
    }

    private func state(of found: FooterCopies.Found?, _ name: String, at place: HostOffset) {
        switch FooterState(found) {
        case .sound: break
        case .missing: log.found(.corruption, "the \(name) is missing", at: place)
        case .broken(let reason): log.found(.corruption, "the \(name) is damaged: \(reason)", at: place)
        }
    }

    private func compare() {
        let copies = image.copies
        guard image.kind != .fixed, let head = copies.head, let tail = copies.tail,
            FooterState(head) == .sound, FooterState(tail) == .sound
        else { return }
        let fields = head.footer.differences(from: tail.footer)
        guard !fields.isEmpty else { return }
        log.found(
            .corruption, "the footer and its copy at the start differ: \(fields.joined(separator: ", "))",
            at: tail.place)
    }

    /// What stands behind the footer, or is missing of it.
    private func ends() {
        guard let tail = image.copies.tail, image.endsAtFooter else { return }
        let end = tail.place.value + UInt64(Footer.byteCount)
        let length = image.store.byteCount
        if image.copies.trailingByteCount > 0 {
            log.found(
                .corruption,
                "\(image.copies.trailingByteCount) bytes stand behind the footer, where programs look for it",
                at: HostOffset(end))
        } else if length < end {
            log.found(
                .remark, "the footer has \(length - tail.place.value) bytes, as old versions of Virtual PC wrote it",
                at: tail.place)
        }
    }

    private func sizes() {
        guard let sizes = image.sizes else { return }
        let (footer, place) = (image.footer, image.footerPlace)
        if sizes.disagree(in: footer), footer.creator.countsByGeometry {
            log.found(
                .remark,
                "the disk has \(sizes.current) bytes, and \(sizes.geometry) by its geometry \(footer.geometry): programs "
                    + "differ in which counts", at: place + UInt64(Footer.Field.geometry))
        }
        if footer.originalSize != footer.currentSize {
            log.found(
                .remark, "the disk was made with \(footer.originalSize) bytes, and has \(footer.currentSize) now",
                at: place + UInt64(Footer.Field.originalSize))
        }
        guard image.kind == .fixed else { return }
        let needed = sizes.current
        if image.dataEnd < needed {
            log.found(
                .corruption, "the disk has \(needed) bytes, of which \(image.dataEnd) are stored", at: place,
                guest: GuestRange(from: GuestOffset(image.dataEnd), to: GuestOffset(needed)))
        } else if image.dataEnd > needed {
            log.found(
                .corruption, "the disk has \(needed) bytes, and \(image.dataEnd) are stored", at: HostOffset(needed))
        }
    }
}
