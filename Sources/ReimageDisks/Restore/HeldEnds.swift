internal import ReimageCore
internal import Synchronization

/// The first and the last MiB of a target, kept in memory until all between them is proved.
///
/// Firmware and kernels look there for a disk's tables: as long as both are zeros on the medium, it is neither the old
/// disk nor the new one to them. Safe from any thread.
final class HeldEnds: Sendable {
    /// How much is kept at each end, in bytes.
    static let byteCount: UInt64 = 1 << 20

    /// What is written last, in bytes: the MBR and the header of a GPT, with sectors of 4096 bytes too.
    static let startByteCount = 8 << 10

    let head: HostRange
    /// Empty where the head is all.
    let tail: HostRange
    private let contents: Mutex<(head: [UInt8], tail: [UInt8])>

    /// Zeros for the ends of a target of `byteCount` bytes.
    init(byteCount: UInt64) {
        let headEnd = min(Self.byteCount, byteCount)
        head = HostRange(start: .zero, count: headEnd)
        let tailStart = max(headEnd, byteCount - min(byteCount, Self.byteCount))
        tail = HostRange(from: HostOffset(tailStart), to: HostOffset(byteCount))
        contents = Mutex(
            (
                head: [UInt8](repeating: 0, count: Int(head.count)),
                tail: [UInt8](repeating: 0, count: Int(tail.count))
            ))
    }

    /// The part of `range` between the ends; `nil` where there is none.
    func middle(of range: HostRange) -> HostRange? { range.overlap(HostRange(from: head.end, to: tail.start)) }

    /// Whether `range` has bytes of an end.
    func holds(_ range: HostRange) -> Bool { range.overlap(head) != nil || range.overlap(tail) != nil }

    /// Keeps what `bytes`, which lie at `offset` of the target, have for the ends.
    func take(_ bytes: RawSpan, at offset: HostOffset) {
        contents.withLock { contents in
            Self.copy(bytes, at: offset, into: &contents.head, head)
            Self.copy(bytes, at: offset, into: &contents.tail, tail)
        }
    }

    private static func copy(_ bytes: RawSpan, at offset: HostOffset, into end: inout [UInt8], _ place: HostRange) {
        guard let shared = place.overlap(HostRange(start: offset, count: UInt64(bytes.byteCount))) else { return }
        let first = Int(shared.start - offset)
        end.withMutableBytes {
            $0.copy(
                from: bytes.extracting(first..<first + Int(shared.count)), at: Int(shared.start - place.start))
        }
    }

    /// Lays what is kept over `bytes`, which lie at `offset` of the target.
    func lay(over bytes: inout MutableRawSpan, at offset: HostOffset) {
        let range = HostRange(start: offset, count: UInt64(bytes.byteCount))
        let (first, last) = contents.withLock { $0 }
        for (end, place) in [(first, head), (last, tail)] {
            guard let shared = place.overlap(range) else { continue }
            let start = Int(shared.start - place.start)
            end.withBytes {
                bytes.copy(from: $0.extracting(start..<start + Int(shared.count)), at: Int(shared.start - offset))
            }
        }
    }

    /// Lays `overlay` over what is kept.
    func apply(_ overlay: DiskOverlay) {
        contents.withLock { contents in
            contents.head.withMutableBytes { overlay.apply(to: &$0, at: head.start) }
            contents.tail.withMutableBytes { overlay.apply(to: &$0, at: tail.start) }
        }
    }

    /// The ends with their places in the order in which they are written: the tail, the head, and of the head last what
    /// firmware looks at first. A write of a whole MiB can be cut short; one of ``startByteCount`` goes as one request.
    var parts: [(range: HostRange, bytes: [UInt8])] {
        let (first, last) = contents.withLock { $0 }
        let split = min(Self.startByteCount, first.count)
        let start = HostRange(start: .zero, count: UInt64(split))
        let rest = HostRange(from: start.end, to: head.end)
        return [(tail, last), (rest, Array(first[split...])), (start, Array(first[..<split]))]
            .filter { !$0.range.isEmpty }
    }
}
