internal import ReimageCore

/// How an image is to be read where it can be read in more than one way: what ``OpenContext/options`` says of it.
struct ReaderOptions: Hashable {
    /// Which of the two sizes counts.
    enum SizeRule: String, CaseIterable { case current, chs }

    /// Which copy of the footer counts.
    enum FooterRule: String, CaseIterable { case head, tail }

    /// `nil` goes by the creator.
    var size: SizeRule?
    /// `nil` takes the sound one, and the first of two sound ones.
    var footer: FooterRule?
    var ignoresChecksums = false
    var ignoresParentID = false

    init() {}

    /// - Throws: `.invalidArgument` for a value that is none.
    init(_ options: [String: String]) throws(ImageError) {
        size = try Self.value("vhd-size", of: options)
        footer = try Self.value("vhd-footer", of: options)
        ignoresChecksums = options["ignore-checksums"] == "on"
        ignoresParentID = options["ignore-parent-id"] == "on"
    }

    private static func value<Value: RawRepresentable & CaseIterable>(
        _ name: String, of options: [String: String]
    ) throws(ImageError) -> Value? where Value.RawValue == String {
        guard let text = options[name] else { return nil }
        guard let value = Value(rawValue: text) else {
            let known = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw ImageError(.invalidArgument, "\(name) cannot be '\(text)'", advice: "It is one of: \(known).")
        }
        return value
    }
}
