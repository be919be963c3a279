/// Passes the findings of a check on, and counts them. One caller at a time.
public final class FindingLog {
    /// The numbers so far.
    public private(set) var summary = CheckSummary()
    private let report: (CheckFinding) -> Void

    /// - Parameter report: takes every finding.
    public init(_ report: @escaping (CheckFinding) -> Void = { _ in }) { self.report = report }

    /// Takes a finding that is there; one sentence may stand for `count` of its kind.
    public func found(
        _ kind: CheckFinding.Kind, _ message: String, at place: HostOffset? = nil, guest: GuestRange? = nil,
        count: UInt64 = 1
    ) {
        switch kind {
        case .corruption: summary.corruptions += count
        case .leak: summary.leaks += count
        case .remark: break
        }
        report(CheckFinding(kind, message, at: place, guest: guest))
    }

    /// Takes what keeps a structure from being examined.
    public func unexamined(_ error: ImageError) {
        var place: HostOffset?
        if case .host(let offset) = error.place { place = offset }
        summary.checkErrors += 1
        found(.corruption, error.message, at: place)
    }

    /// Takes a finding that was put right. It is not counted: a repair's numbers are the difference that it made.
    public func fixed(_ kind: CheckFinding.Kind, _ message: String, at place: HostOffset, guest: GuestRange? = nil) {
        report(CheckFinding(kind, message, at: place, guest: guest, isFixed: true))
    }

    /// Changes the numbers that are no findings.
    public func measure(_ body: (inout CheckSummary) -> Void) { body(&summary) }
}
