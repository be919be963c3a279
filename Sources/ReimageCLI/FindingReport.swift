internal import ReimageCore

/// Findings as they come: the first of each kind are shown or kept, the rest only counted.
struct FindingReport {
    /// How many findings of a kind are shown.
    private static let mostShown = 100

    let printsLines: Bool
    private(set) var kept: [CheckFinding] = []
    private var counts: [Sort: Int] = [:]

    private struct Sort: Hashable {
        var kind: CheckFinding.Kind
        var isFixed: Bool
    }

    init(printsLines: Bool) { self.printsLines = printsLines }

    /// How many findings are not among those kept.
    var leftOut: Int { counts.values.reduce(0) { $0 + max(0, $1 - Self.mostShown) } }

    mutating func take(_ finding: CheckFinding) {
        let sort = Sort(kind: finding.kind, isFixed: finding.isFixed)
        counts[sort, default: 0] += 1
        guard counts[sort, default: 0] <= Self.mostShown else { return }
        kept.append(finding)
        if printsLines { Console.result(Self.line(finding)) }
    }

    /// Says how many were not shown.
    func finish() {
        for kind in [CheckFinding.Kind.corruption, .leak, .remark] {
            for isFixed in [true, false] {
                let count = counts[Sort(kind: kind, isFixed: isFixed)] ?? 0
                guard printsLines, count > Self.mostShown else { continue }
                let word = (isFixed ? "repaired " : "") + kind.word
                Console.result("… and \(count - Self.mostShown) more findings of the kind: \(word)")
            }
        }
    }

    private static func line(_ finding: CheckFinding) -> String {
        var line = "\(finding.isFixed ? "repaired " : "")\(finding.kind.word): \(finding.message.printable)"
        var places: [String] = []
        if let place = finding.place { places.append("at byte \(place) of the file") }
        if let guest = finding.guest { places.append("guest bytes \(guest.start) to \(guest.end)") }
        if !places.isEmpty { line += " (\(places.joined(separator: "; ")))" }
        return line
    }
}

extension CheckFinding.Kind {
    /// The word that reports use.
    var word: String {
        switch self {
        case .corruption: "corruption"
        case .leak: "leak"
        case .remark: "remark"
        }
    }
}
