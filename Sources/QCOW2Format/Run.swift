internal import ReimageCore

/// A run of guest bytes that one image maps in one way.
struct Run: Sendable {
    /// What an image says of a guest byte.
    enum Kind: Sendable {
        /// Nothing: the layer below decides.
        case unallocated
        /// Zeros, whatever lies below.
        case zero
        /// Plain bytes in the data store.
        case data
        /// A compressed cluster in the image's own file.
        case compressed
    }

    var kind: Kind
    /// The length in guest bytes.
    var count: UInt64
    /// The first stored byte, for data and compressed.
    var host: UInt64 = 0
    /// The bytes to fetch, for compressed.
    var hostCount: UInt64 = 0

    init(_ kind: Kind, count: UInt64, host: UInt64 = 0, hostCount: UInt64 = 0) {
        self.kind = kind
        self.count = count
        self.host = host
        self.hostCount = hostCount
    }

    /// Takes in the run that follows in the guest's space, where the two read as one.
    ///
    /// Data must go on in the store. Compressed clusters must touch there: their fetched bytes end on a sector that
    /// the next one may start in, so that both can be fetched by one read.
    @inline(__always)
    mutating func join(_ next: Run) -> Bool {
        guard kind == next.kind else { return false }
        switch kind {
        case .unallocated, .zero: break
        case .data: guard host + count == next.host else { return false }
        case .compressed:
            guard next.host > host, next.host <= host + hostCount, next.host + next.hostCount >= host + hostCount
            else { return false }
            hostCount = next.host + next.hostCount - host
        }
        count += next.count
        return true
    }

    /// The part of the run from `start` guest bytes into it, `limit` bytes at most. Not for compressed runs, which
    /// only make sense whole.
    func part(from start: UInt64, limit: UInt64) -> Run {
        Run(kind, count: min(count - start, limit), host: kind == .data ? host + start : 0)
    }
}
