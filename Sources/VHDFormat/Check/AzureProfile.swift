internal import ReimageCore

/// The rules of Azure for disks that are uploaded.
struct AzureProfile {
    static let name = "azure"
    private static let unit: UInt64 = 1 << 20

    private let image: CheckedImage
    private(set) var rules: [ProfileRule] = []

    /// Judges an image, whatever its kind.
    init(_ image: CheckedImage) {
        self.image = image
        let footer = image.footer
        add("the image is fixed", found: "\(image.kind)", image.kind == .fixed)
        judgeFooter(footer)
        judgeSize(footer)
        add(
            "the disk is that of no suspended machine",
            found: footer.savedState == 0 ? "it is none" : "it is suspended",
            footer.savedState == 0)
    }

    private mutating func judgeFooter(_ footer: Footer) {
        let tail = image.copies.tail
        let isLast = tail.map { $0.place.value + UInt64(Footer.byteCount) == image.store.byteCount } ?? false
        let place =
            tail.map { isLast ? "it begins at byte \($0.place)" : "it does not end with the file, at byte \($0.place)" }
        add("a footer with the cookie 'conectix' is the last 512 bytes", found: place ?? "there is none", isLast)
        let judged = tail?.footer ?? footer
        add(
            "the footer's checksum is right", found: judged.hasRightChecksum ? "it is" : "it is wrong",
            judged.hasRightChecksum)
        add(
            "the format's version is 1.0", found: "\(judged.version >> 16).\(judged.version & 0xFFFF)",
            judged.version == Footer.version)
        let offset = judged.dataOffset
        add(
            "the footer names no dynamic header",
            found: offset == Footer.noHeader ? "it names none" : "it names one at byte \(offset)",
            offset == Footer.noHeader)
    }

    private mutating func judgeSize(_ footer: Footer) {
        let size = footer.currentSize
        add(
            "the disk is a whole number of MiB long",
            found: "\(size) bytes (\(size / Self.unit) MiB"
                + (size % Self.unit == 0 ? ")" : " and \(size % Self.unit) bytes)"),
            size > 0 && size % Self.unit == 0)
        add(
            "the disk has 1 MiB to \(Footer.mostBytes >> 30) GiB", found: "\(size) bytes",
            (Self.unit...Footer.mostBytes).contains(size))
        let (whole, overflow) = size.addingReportingOverflow(UInt64(Footer.byteCount))
        add(
            "the file is the disk and its footer, and nothing else",
            found: "a file of \(image.store.byteCount) bytes for a disk of \(size)",
            !overflow && whole == image.store.byteCount)
    }

    private mutating func add(_ text: String, found: String, _ isKept: Bool) {
        rules.append(ProfileRule(text, found: found, isKept: isKept))
    }
}
