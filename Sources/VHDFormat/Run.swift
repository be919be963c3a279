internal import ReimageCore

/// A run of guest bytes that one image maps in one way.
struct Run: Sendable {
    /// What an image says of a guest byte.
    enum Kind: Sendable {
        /// Nothing: the parent decides, and zeros where there is none.
        case unallocated
        /// Stored in the file.
        case data
    }

    var kind: Kind
    /// The length in guest bytes.
    var count: UInt64
    /// The first stored byte, for data.
    var host: UInt64 = 0

    init(_ kind: Kind, count: UInt64, host: UInt64 = 0) {
        self.kind = kind
        self.count = count
        self.host = host
    }

    /// Takes in the run that follows in the guest's space, where the two read as one: data must go on in the file, which
    /// it never does from block to block, as the next one's bitmap lies between.
    @inline(__always)
    mutating func join(_ next: Run) -> Bool {
        guard kind == next.kind, kind == .unallocated || host + count == next.host else { return false }
        count += next.count
        return true
    }

    /// The part of the run from `start` guest bytes into it, `limit` bytes at most.
    func part(from start: UInt64, limit: UInt64) -> Run {
        Run(kind, count: min(count - start, limit), host: kind == .data ? host + start : 0)
    }
}
