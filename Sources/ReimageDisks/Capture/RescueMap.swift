public import ReimageCore

/// What was read and what was lost, as a map file of GNU ddrescue: it can go on where a capture gave up.
/// - Source: the manual of GNU ddrescue, "Mapfile structure".
public enum RescueMap {
    /// The map of a disk of `byteCount` bytes without the ascending runs `lost`.
    public static func text(byteCount: UInt64, lost: [LostRun]) -> String {
        var lines = [
            "# Mapfile. Made by reimage: '+' was read, '-' could not be", "# current_pos  current_status  current_pass",
            "\(hexadecimal(byteCount))  +  1", "#      pos        size  status",
        ]
        var place: UInt64 = 0
        func add(to end: UInt64, _ status: String) {
            guard end > place else { return }
            lines.append("\(hexadecimal(place))  \(hexadecimal(end - place))  \(status)")
            place = end
        }
        var index = 0
        while index < lost.count {
            add(to: lost[index].range.start.value, "+")
            // Neighbours that failed differently are one to a map.
            while index + 1 < lost.count, lost[index + 1].range.start == lost[index].range.end { index += 1 }
            add(to: lost[index].range.end.value, "-")
            index += 1
        }
        add(to: byteCount, "+")
        return lines.joined(separator: "\n") + "\n"
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16, uppercase: true)
        return "0x" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }
}
