internal import ReimageCodecs
internal import ReimageCore
internal import ReimageSystem

/// Says which parts of a disk could not be given.
enum UnreadableReport {
    /// How many ranges are told in text; JSON has them all.
    private static let mostShown = 20

    /// Lists the parts on standard error.
    static func tell(_ unreadable: GuestRanges, of file: String) {
        Console.note(
            Note("\(file): \(unreadable.byteCount) bytes could not be read and are zeros in the target:"))
        for line in lines(unreadable) { Console.message(line) }
    }

    /// The ranges as lines of text, and how many more there are.
    static func lines(_ ranges: GuestRanges) -> [String] {
        var lines = ranges.ranges.prefix(mostShown).map { "  disk bytes \($0.start) to \($0.end) (\($0.count) bytes)" }
        let more = UInt64(ranges.ranges.count - lines.count) + ranges.leftOut
        if more > 0 { lines.append("  … and \(more) more ranges") }
        return lines
    }

    /// The ranges for JSON.
    static func json(_ ranges: GuestRanges) -> [JSONFields] {
        ranges.ranges.map { range in
            var fields = JSONFields()
            fields.add("start", range.start.value)
            fields.add("length", range.count)
            return fields
        }
    }

    /// Writes the ranges as JSON to a new file, or over an older list.
    static func write(_ unreadable: GuestRanges, of file: String, to path: String) throws {
        var fields = JSONFields()
        fields.add("filename", file)
        fields.add("unreadable-bytes", unreadable.byteCount)
        fields.add("unreadable", json(unreadable))
        if unreadable.leftOut > 0 { fields.add("ranges-left-out", unreadable.leftOut) }
        let bytes = Array((try jsonText(fields) + "\n").utf8)
        let list = try PartialFile(for: path, existing: .replace, cache: .cached)
        try bytes.withBytes { (span) throws(ImageError) in try list.sink.write(span, at: .zero) }
        try list.commit()
    }
}

/// How the digest of a disk is shown of which only a part is there: never as the digest of a disk.
func partialDigest(_ digest: ContentDigest) -> String { "partial:\(digest.hash)" }
