internal import ReimageCore

/// Passes findings on, and counts them.
final class FindingLog {
    private(set) var summary = CheckSummary()
    private let report: (CheckFinding) -> Void

    init(_ report: @escaping (CheckFinding) -> Void) { self.report = report }

    /// Takes a finding that is there.
    func found(
        _ kind: CheckFinding.Kind, _ message: String, at place: UInt64? = nil, guest: GuestRange? = nil
    ) {
        switch kind {
        case .corruption: summary.corruptions += 1
        case .leak: summary.leaks += 1
        case .remark: break
        }
        report(CheckFinding(kind, message, at: place.map { HostOffset($0) }, guest: guest))
    }

    /// Takes a finding that was put right. It is not counted: a repair's numbers are the difference that it made.
    func fixed(_ kind: CheckFinding.Kind, _ message: String, at place: UInt64, guest: GuestRange? = nil) {
        report(CheckFinding(kind, message, at: HostOffset(place), guest: guest, isFixed: true))
    }

    /// Changes the numbers that are no findings.
    func measure(_ body: (inout CheckSummary) -> Void) { body(&summary) }
}

extension UInt64 {
    /// The number as `0x…`, as entries are shown.
    var hex: String { "0x" + String(self, radix: 16) }
}
