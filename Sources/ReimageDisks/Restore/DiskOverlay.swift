public import ReimageCore

/// Bytes that a target is to have in place of the image's: tables that were put right, and signatures that are wiped.
public struct DiskOverlay: Sendable, Hashable {
    /// A run of bytes.
    public struct Part: Sendable, Hashable {
        public var range: HostRange
        /// What the range reads as; `nil` for zeros.
        public var bytes: [UInt8]?

        /// `bytes` from `offset` on.
        public init(_ bytes: [UInt8], at offset: HostOffset) {
            range = HostRange(start: offset, count: UInt64(bytes.count))
            self.bytes = bytes
        }

        /// Zeros.
        public init(zeros range: HostRange) { self.range = range }
    }

    /// The parts, in the order in which they are laid on: later ones count.
    public private(set) var parts: [Part] = []

    /// Changes nothing.
    public init() {}

    public init(_ parts: [Part]) { self.parts = parts.filter { !$0.range.isEmpty } }

    public var isEmpty: Bool { parts.isEmpty }

    /// Whether any part has bytes in `range`.
    func touches(_ range: HostRange) -> Bool {
        parts.contains { $0.range.start < range.end && range.start < $0.range.end }
    }

    /// Lays the parts onto `bytes`, which lie at `offset` of the target.
    func apply(to bytes: inout MutableRawSpan, at offset: HostOffset) {
        let range = HostRange(start: offset, count: UInt64(bytes.byteCount))
        for part in parts {
            let start = max(part.range.start, range.start)
            let end = min(part.range.end, range.end)
            guard start < end else { continue }
            let place = Int(start - offset)..<Int(end - offset)
            guard let patch = part.bytes else {
                bytes.zero(place)
                continue
            }
            let first = Int(start - part.range.start)
            patch.withBytes { bytes.copy(from: $0.extracting(first..<first + place.count), at: place.lowerBound) }
        }
    }

    /// The ranges of the parts, merged and in order of their place.
    var ranges: [HostRange] {
        parts.map(\.range).sorted { $0.start < $1.start }.reduce(into: []) { merged, next in
            guard let last = merged.last, next.start <= last.end else { return merged.append(next) }
            merged[merged.count - 1] = HostRange(from: last.start, to: max(last.end, next.end))
        }
    }
}

extension HostRange {
    /// What both ranges have in common; `nil` where that is nothing.
    func overlap(_ other: HostRange) -> HostRange? {
        let (first, last) = (Swift.max(start, other.start), Swift.min(end, other.end))
        return first < last ? HostRange(from: first, to: last) : nil
    }
}
