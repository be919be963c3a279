internal import ReimageCore

/// Features of an archive that a reader must know: each is a bit of the file header, and 1.0 has none of them.
///
/// - Source: archive specification 1.0, section 4.9.
enum Features {
    private static let names = ["ENCRYPTED", "REF_CODECS", "SPLIT", "FREE_FORM", "PARENT"]
    private static let experimental = 63

    /// The names of the bits that are set.
    static func names(of bits: UInt64) -> [String] {
        (0..<UInt64.bitWidth).filter { bits >> UInt64($0) & 1 == 1 }.map { bit in
            switch bit {
            case names.indices: names[bit]
            case experimental: "EXPERIMENTAL"
            default: "number \(bit)"
            }
        }
    }
}

/// What the file header's flags say.
struct HeaderFlags: OptionSet, Hashable, Sendable {
    let rawValue: UInt64

    /// Slots come in order; always set.
    static let ordered = HeaderFlags(rawValue: 1 << 0)
    /// The disk's size was not known when the first header was written.
    static let sizeLate = HeaderFlags(rawValue: 1 << 1)
    /// The bytes are a function of disk and options.
    static let deterministic = HeaderFlags(rawValue: 1 << 2)
    /// Free space of the source was left out.
    static let freeSpaceDropped = HeaderFlags(rawValue: 1 << 4)
    /// The source told of holes.
    static let sparseSource = HeaderFlags(rawValue: 1 << 5)
}

extension ImageError {
    /// The archive needs `what`, which version 1.0 does not have.
    static func archiveNeeds(_ what: String, at place: HostOffset, writer: String? = nil) -> ImageError {
        let author = writer.map { $0.isEmpty ? "" : ", written by \($0)" } ?? ""
        return ImageError(
            .unsupported, "the archive needs \(what), which format version 1.0 does not have\(author)",
            at: .host(place), advice: "Read it with a newer version of this program.")
    }
}
