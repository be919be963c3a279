internal import ReimageCore

/// The copy of the footer that counts, and what is to be said of that.
struct FooterChoice {
    let found: FooterCopies.Found
    let kind: Footer.Kind
    /// Whether what stands at the file's end is a footer of this image, so that no data lies there.
    let tailIsFooter: Bool
    private(set) var remarks: [String] = []

    /// - Throws: `.damaged` where neither copy is sound, or where two sound ones are of different kinds.
    init(_ copies: FooterCopies, _ options: ReaderOptions, fileByteCount: UInt64) throws(ImageError) {
        let head = Self.judge(copies.head, options)
        let tail = Self.judge(copies.tail, options)
        switch (head, tail) {
        case (.missing, .missing):
            throw ImageError(
                .damaged, "there is no VHD footer at either end of the file", at: .host(HostOffset(fileByteCount)),
                advice: "Is it a VHD at all, and is its end there?")
        case (.sound(let first, let firstKind), .sound(let last, let lastKind)):
            guard firstKind == lastKind || options.footer != nil else {
                throw .damaged(
                    "the footers at the two ends are of different kinds (\(firstKind) and \(lastKind))", at: last.place,
                    advice: "Say which is right: --vhd-footer head or --vhd-footer tail.")
            }
            let isTail = options.footer == .tail || (options.footer == nil && lastKind == .fixed)
            found = isTail ? last : first
            kind = isTail ? lastKind : firstKind
            // One with another id is that of a disk within the disk: this image's own was lost.
            tailIsFooter = isTail || first.footer.uniqueID == last.footer.uniqueID
            if first.footer != last.footer {
                remarks.append(
                    "the footers at the two ends differ; the one at the \(isTail ? "end" : "start") was taken "
                        + "(--vhd-footer decides)")
            }
        case (.sound(let first, let firstKind), let other):
            guard options.footer != .tail else { throw Self.error(of: other, "end", fileByteCount) }
            found = first
            kind = firstKind
            if case .broken = other { tailIsFooter = true } else { tailIsFooter = false }
            remarks.append("\(Self.state(of: other, "end")); the copy at the start was taken")
        case (let other, .sound(let last, let lastKind)):
            guard options.footer != .head else { throw Self.error(of: other, "start", fileByteCount) }
            found = last
            kind = lastKind
            tailIsFooter = true
            // A fixed image has no copy, and what stands at its start is the guest's.
            if lastKind != .fixed {
                remarks.append("\(Self.state(of: other, "start")); the one at the end was taken")
            }
        case (.broken(let error), _), (_, .broken(let error)): throw error
        }
        if !found.footer.hasRightChecksum {
            remarks.append("the footer's checksum is wrong; it was taken all the same")
        }
        // A guest may have such a footer in its first sector, but not the one of its own image.
        if kind == .fixed, case .sound(let first, .fixed) = head,
            found.place == .zero || first.footer.uniqueID == found.footer.uniqueID
        {
            throw .damaged(
                "the footer at the start is that of a fixed disk, which has none there", at: .zero,
                advice: "The image contradicts itself; if its end was cut off, it cannot be read safely.")
        }
        if copies.trailingByteCount > 0, tailIsFooter {
            remarks.append("what stands behind the footer was left out: \(copies.trailingByteCount) more bytes")
        }
    }

    private enum Judgement {
        case missing
        case broken(ImageError)
        case sound(FooterCopies.Found, Footer.Kind)
    }

    private static func judge(_ found: FooterCopies.Found?, _ options: ReaderOptions) -> Judgement {
        guard let found else { return .missing }
        guard found.footer.hasRightChecksum || options.ignoresChecksums else {
            return .broken(Layout.wrongChecksum(of: "footer", at: found.place))
        }
        guard let kind = found.footer.kind else {
            return .broken(
                ImageError(
                    .unsupported, "images of type \(found.footer.kindCode) cannot be read",
                    at: .host(found.place + UInt64(Footer.Field.kind)),
                    advice: "Types 2 (fixed), 3 (dynamic) and 4 (differencing) are known."))
        }
        guard found.footer.version >> 16 == Footer.version >> 16 else {
            return .broken(
                ImageError(
                    .unsupported, "the format's version is \(found.footer.version >> 16), and only 1 is known",
                    at: .host(found.place + UInt64(Footer.Field.version))))
        }
        return .sound(found, kind)
    }

    private static func state(of judgement: Judgement, _ end: String) -> String {
        if case .broken(let error) = judgement { return "the footer at the \(end) is damaged (\(error.message))" }
        return "there is no footer at the \(end)"
    }

    private static func error(of judgement: Judgement, _ end: String, _ fileByteCount: UInt64) -> ImageError {
        if case .broken(let error) = judgement { return error }
        return .damaged("there is no footer at the \(end)", at: end == "start" ? .zero : HostOffset(fileByteCount))
    }
}
