internal import ReimageCore

// The places of qcow2's structures are numbers from the file, and shown as such.
extension FindingLog {
    /// Takes a finding that is there.
    func found(
        _ kind: CheckFinding.Kind, _ message: String, at place: UInt64?, guest: GuestRange? = nil
    ) {
        found(kind, message, at: place.map { HostOffset($0) }, guest: guest)
    }

    /// Takes a finding that was put right.
    func fixed(_ kind: CheckFinding.Kind, _ message: String, at place: UInt64, guest: GuestRange? = nil) {
        fixed(kind, message, at: HostOffset(place), guest: guest)
    }
}

extension UInt64 {
    /// The number as `0x…`, as entries are shown.
    var hex: String { "0x" + String(self, radix: 16) }
}
