/// A size as it is typed: `4096`, `64k`, `1.5G`, `2MiB`.
///
/// The letters are powers of 1024, as in qemu-img. `KB` and its kind are refused, since people mean two things by it.
public struct ByteSize: Hashable, Sendable {
    /// The size in bytes.
    public let count: UInt64

    public init(_ count: UInt64) { self.count = count }

    /// Why a text is no size.
    public struct Problem: Error, Hashable, CustomStringConvertible {
        public let description: String
    }

    private static let units = "bkmgtpe"

    /// The size that `text` says.
    public static func parse(_ text: String) throws(Problem) -> ByteSize {
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        var unit = text.dropFirst(digits.count).lowercased()
        if unit.count > 2, unit.hasSuffix("ib") {
            unit.removeLast(2)
        } else if unit.count > 1, unit.hasSuffix("b") {
            throw Problem(
                description:
                    "'\(text)': \(unit.uppercased()) may mean 1000 or 1024; write \(digits)\(unit.prefix(1).uppercased()) "
                    + "or \(digits)\(unit.prefix(1).uppercased())iB for powers of 1024, or the plain number of bytes")
        }
        guard unit.count <= 1,
            let power = unit.isEmpty
                ? 0
                : units.firstIndex(of: Character(unit)).map({
                    units.distance(from: units.startIndex, to: $0)
                })
        else { throw Problem(description: "'\(text)' is no size; sizes look like 4096, 64k, 1.5G or 2MiB") }
        let scale = UInt64(1) << UInt64(10 * power)
        guard let count = scaled(String(digits), by: scale) else {
            throw Problem(description: "'\(text)' is no size that fits 64 bits")
        }
        return ByteSize(count)
    }

    /// Whole numbers exactly; fractions as far as they give whole bytes.
    private static func scaled(_ digits: String, by scale: UInt64) -> UInt64? {
        if let whole = UInt64(digits) {
            let (count, overflow) = whole.multipliedReportingOverflow(by: scale)
            return overflow ? nil : count
        }
        guard let number = Double(digits), number >= 0, scale > 1 else { return nil }
        let count = number * Double(scale)
        return count < 0x1p53 ? UInt64(count) : nil
    }
}

/// A byte count for people: `2 GiB`, `1.5 MiB`.
public func humanSize(_ count: UInt64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    var unit = 0
    var scale: UInt64 = 1
    while unit < units.count - 1, count / scale >= 1024 {
        scale *= 1024
        unit += 1
    }
    guard unit > 0 else { return "\(count) B" }
    let (whole, rest) = count.quotientAndRemainder(dividingBy: scale)
    let hundredths = scale.dividingFullWidth(rest.multipliedFullWidth(by: 100)).quotient
    guard hundredths > 0 else { return "\(whole) \(units[unit])" }
    let padded = hundredths < 10 ? "0\(hundredths)" : "\(hundredths)"
    return "\(whole).\(padded.hasSuffix("0") ? String(padded.dropLast()) : padded) \(units[unit])"
}
